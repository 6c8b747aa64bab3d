// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/plan"
)

// script gives numbers made of bytes, then zeros.
type script struct{ bytes []byte }

func (s *script) n(below int) int {
	if len(s.bytes) == 0 {
		return 0
	}
	b := s.bytes[0]
	s.bytes = s.bytes[1:]
	return int(b) % below
}

func (s *script) pick(list ...string) string { return list[s.n(len(list))] }

// randomCallee has groups of its own, so that calls can wait for each other.
func randomCallee(s *script) string {
	var b strings.Builder
	b.WriteString("on:\n  workflow_call:\n    outputs: {o: {value: \"${{ jobs.x.outputs.o }}\"}}\n")
	b.WriteString(s.pick("", "concurrency: g1\n", "concurrency: {group: g2, cancel-in-progress: true}\n"))
	b.WriteString("jobs:\n")
	for i, id := range []string{"x", "y"} {
		fmt.Fprintf(&b, "  %s:\n    runs-on: r\n    steps: [{run: x}]\n%s%s", id, randomGroup(s), randomIf(s))
		if i > 0 {
			b.WriteString(s.pick("", "    needs: x\n"))
		}
	}
	return b.String()
}

func randomGroup(s *script) string {
	return s.pick("", "    concurrency: g1\n", "", "    concurrency: g2\n", "    concurrency: {group: g1, cancel-in-progress: true}\n", "    concurrency: {group: g2, queue: max}\n")
}

func randomIf(s *script) string {
	return s.pick("", "", "", "    if: always()\n", "    if: failure()\n", "    if: '!cancelled()'\n", "    if: cancelled()\n", "    if: false\n", "    if: fromJSON('x')\n")
}

// randomWorkflow is a graph of up to eight jobs with all that a plan decides about.
func randomWorkflow(s *script) (text, callee string) {
	callee = randomCallee(s)
	var b strings.Builder
	b.WriteString("on: push\n" + s.pick("", "concurrency: g2\n") + "jobs:\n")
	for i := range 1 + s.n(8) {
		fmt.Fprintf(&b, "  j%d:\n", i)
		var needs []string
		for k := range i {
			if s.n(3) == 1 {
				needs = append(needs, fmt.Sprintf("j%d", k))
			}
		}
		if len(needs) > 0 {
			b.WriteString("    needs: [" + strings.Join(needs, ", ") + "]\n")
		}
		b.WriteString(randomIf(s) + randomGroup(s))
		if s.n(3) == 1 {
			fmt.Fprintf(&b, "    strategy: {fail-fast: %v, max-parallel: %d, matrix: {v: [1, 2, 3]}}\n", s.n(2) == 0, s.n(4))
		}
		if s.n(4) == 1 {
			b.WriteString("    uses: ./.github/workflows/c.yml\n")
			continue
		}
		b.WriteString("    runs-on: x\n    steps: [{run: x}]\n    continue-on-error: " + s.pick("false", "true", "${{ github.ref }}") + "\n")
	}
	return b.String(), callee
}

// referee follows a run from outside and complains.
type referee struct {
	t       *testing.T
	p       *plan.Plan
	defs    map[string]*workflows.Job
	chained bool // in the called workflow y needs x
	running []string
	ended   map[string]bool
	trace   []string
}

func (r *referee) start(id string) {
	if r.ended[id] || slices.Contains(r.running, id) {
		r.t.Errorf("%s starts twice", id)
	}
	if err := r.p.Started(id); err != nil {
		r.t.Error(err)
	}
	r.running = append(r.running, id)
	r.trace = append(r.trace, "start "+id)
	r.look()
}

func (r *referee) finish(at int, c plan.Conclusion) {
	id := r.running[at]
	r.running = slices.Delete(r.running, at, at+1)
	if err := r.p.Finish(id, plan.Result{Conclusion: c, Outputs: []plan.Output{{Name: "o", Value: id}}}); err != nil {
		r.t.Error(err)
	}
	r.ended[id] = true
	r.trace = append(r.trace, "finish "+id+" "+string(c))
	r.look()
}

// top is the job of the run's own file that a job is of.
func top(id string) string {
	id, _, _ = strings.Cut(id, ".")
	return id
}

// look checks what holds at any time.
func (r *referee) look() {
	list := r.p.Jobs()
	all := map[string]plan.State{}
	for _, st := range list {
		all[st.ID] = st.State
	}
	done, active := map[string]bool{}, map[string]int{}
	for _, st := range list {
		if _, seen := done[top(st.ID)]; !seen {
			done[top(st.ID)] = true
		}
		done[top(st.ID)] = done[top(st.ID)] && st.State == plan.Done
		if (st.Conclusion == "") == (st.State == plan.Done) {
			r.t.Errorf("%s is %s and %q", st.ID, st.State, st.Conclusion)
		}
		started := st.State == plan.Ready || st.State == plan.Running
		if started && strings.Count(st.ID, ".") == strings.Count(top(st.ID), ".")+matrixDots(r.defs[top(st.ID)]) {
			active[top(st.ID)]++
		}
		if r.ended[st.ID] && st.State != plan.Done {
			r.t.Errorf("%s has ended and is %s", st.ID, st.State)
		}
		if inner, is := strings.CutSuffix(st.ID, ".y"); is && started && r.chained && all[inner+".x"] != plan.Done {
			r.t.Errorf("%s may run, and x is not done", st.ID)
		}
		if started {
			for _, need := range r.defs[top(st.ID)].Needs {
				if !done[need.Text] { // needs come first in these files
					r.t.Errorf("%s may run, and %s is not done", st.ID, need.Text)
				}
			}
		}
	}
	for id, n := range active {
		if m := r.defs[id].Strategy.Get("max-parallel"); m != nil && m.Num > 0 && n > int(m.Num) {
			r.t.Errorf("%d cells of %s, not %v", n, id, m.Num)
		}
	}
}

// matrixDots is how many dots the id of a cell has.
func matrixDots(j *workflows.Job) int {
	if j.Strategy != nil {
		return 1
	}
	return 0
}

// run plays a run by a script: nothing but its bytes decides.
func run(t *testing.T, data []byte) []string {
	t.Helper()
	s := &script{data}
	text, callee := randomWorkflow(s)
	wf := parse(t, text, map[string]string{"./.github/workflows/c.yml": callee})
	r := &referee{t: t, p: newPlan(t, text, map[string]string{"./.github/workflows/c.yml": callee}, plan.Options{}), chained: strings.Contains(callee, "needs: x"), defs: map[string]*workflows.Job{}, ended: map[string]bool{}}
	for _, j := range wf.Jobs {
		r.defs[j.ID.Text] = j
	}
	r.look()
	const most = 400
	for turn := 0; ; turn++ {
		if turn > most {
			t.Fatalf("no end after %d turns:\n%s", most, text)
		}
		if _, done := r.p.Done(); done {
			break
		}
		ready := r.p.Ready()
		if len(ready) == 0 && len(r.running) == 0 {
			t.Fatalf("not done, and nothing is left to do:\n%s\n%v", text, r.p.Jobs())
		}
		switch what := s.n(16); {
		case what == 15:
			r.p.Cancel("asked to")
			r.look()
		case len(ready) > 0 && (what < 8 || len(r.running) == 0):
			r.start(ready[s.n(len(ready))].ID)
		case len(r.running) > 0:
			r.finish(s.n(len(r.running)), []plan.Conclusion{plan.Success, plan.Failure, plan.Success, plan.Cancelled}[s.n(4)])
		}
		for _, stop := range r.p.Stops() {
			if !slices.Contains(r.running, stop.ID) {
				t.Errorf("%s is to be stopped, and does not run", stop.ID)
			}
		}
	}
	if len(r.running) > 0 || len(r.p.Ready()) > 0 {
		t.Errorf("the run has ended, and these run: %v", r.running)
	}
	told := map[string]bool{}
	for _, st := range r.p.Ended() {
		if told[st.ID] || r.ended[st.ID] || st.State != plan.Done {
			t.Errorf("%s ended without having run: it ran, is %s, or is told twice", st.ID, st.State)
		}
		told[st.ID] = true
	}
	for _, st := range r.p.Jobs() {
		if st.State != plan.Done {
			t.Errorf("the run has ended, and %s is %s", st.ID, st.State)
		}
		if !st.Calls && !told[st.ID] && !r.ended[st.ID] {
			t.Errorf("%s has not run, and nobody was told", st.ID)
		}
		r.trace = append(r.trace, st.ID+" "+string(st.Conclusion))
	}
	return r.trace
}

// FuzzRun: whatever the graph and the results, every job ends once, nothing starts before
// what it needs, max-parallel holds, the run ends, and the same calls have the same
// answers.
func FuzzRun(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		data := make([]byte, 20+r.IntN(300))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		first := run(t, data)
		if diff := cmp.Diff(first, run(t, data)); diff != "" {
			t.Errorf("the same run is another one\n%s", diff)
		}
	})
}

// FuzzWorkflow: whatever a file says that GitHub would take, its run ends.
func FuzzWorkflow(f *testing.F) {
	for _, text := range []string{
		whole, callee, onEvents(dispatch), matrixOf(3), chainOf(3),
		jobs("a: {strategy: {matrix: {v: '${{ fromJSON(github.x) }}', include: '${{ github.y }}', exclude: [{v: 1}]}, max-parallel: '${{ github.n }}'}}\n b: {needs: a, if: success('a') && failure('x')}"),
		"on: push\njobs:\n  a: {runs-on: x, steps: [{run: x}], services: '${{ github.x }}', environment: '${{ github.x }}', container: {env: '${{ github.x }}', ports: '${{ github.x }}'}}\n",
		"on: push\njobs:\n  c: {uses: ./.github/workflows/c.yml, with: {n: '${{ github.n }}'}, strategy: {matrix: {v: [1, 2]}}}\n",
	} {
		f.Add(text, `{"x": [1, "a", {"b": null}], "n": 3}`)
	}
	f.Fuzz(func(t *testing.T, text, github string) {
		wf, problems := workflows.Parse("f.yml", text, workflows.Options{Open: func(string) (string, error) { return callee, nil }})
		v, err := expr.ParseJSON(github)
		facts, ok := v.(*expr.Object)
		if len(problems.Errors) > 0 || err != nil || !ok {
			t.Skip()
		}
		o := plan.Options{Any: true, MaxJobs: 300}
		for name, v := range facts.All() {
			o.GitHub = append(o.GitHub, expr.Member{Name: name, Value: v})
		}
		for _, on := range append(wf.On, workflows.Event{Name: "push"}) {
			o.Event.Name = on.Name
			p, err := plan.New(wf, o)
			if err != nil {
				continue // it says what cannot be evaluated
			}
			p.Graph()
			for j := p.Next(); j != nil; j = p.Next() {
				if err := errors.Join(p.Started(j.ID), p.Finish(j.ID, plan.Result{Conclusion: plan.Success})); err != nil {
					t.Fatal(err)
				}
			}
			if _, done := p.Done(); !done {
				t.Errorf("no end: %v", p.Jobs())
			}
		}
	})
}
