// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/plan"
)

// parse reads a workflow; files are those that it calls, by uses.
func parse(t testing.TB, text string, files map[string]string) *workflows.Workflow {
	t.Helper()
	wf, problems := workflows.Parse(".github/workflows/ci.yml", text, workflows.Options{Open: func(uses string) (string, error) {
		if text, ok := files[uses]; ok {
			return text, nil
		}
		return "", workflows.ErrNotHere
	}})
	if len(problems.Errors) > 0 {
		t.Fatal(problems.Errors[0])
	}
	return wf
}

// scenario plays a run. Each line of script does or checks one thing:
//
//	ready ID…               these may start, in this order
//	start ID…
//	finish ID RESULT k=v…   starts it if need be
//	cancel                  the run
//	stops ID…               these are asked to end
//	is ID CONCLUSION        waiting, pending, ready or running if it has not ended
//	why ID TEXT             what is said about it
//	name ID NAME
//	eval ID EXPR = TEXT     in the contexts of a job that is or was ready
//	done CONCLUSION         or: done no
type scenario struct {
	t    *testing.T
	p    *plan.Plan
	jobs map[string]*plan.Job
}

func play(t *testing.T, p *plan.Plan, script string) {
	t.Helper()
	s := &scenario{t, p, map[string]*plan.Job{}}
	for line := range strings.Lines(script) {
		for _, j := range p.Ready() {
			s.jobs[j.ID] = j
		}
		if line = strings.TrimSpace(line); line != "" {
			s.do(line)
		}
		if t.Failed() {
			t.Fatalf("at: %s", line)
		}
	}
}

func (s *scenario) do(line string) {
	verb, rest, _ := strings.Cut(line, " ")
	words := strings.Fields(rest)
	switch verb {
	case "ready":
		var got []string
		for _, j := range s.p.Ready() {
			got = append(got, j.ID)
		}
		s.equal(words, got)
	case "start":
		for _, id := range words {
			s.check(s.p.Started(id))
		}
	case "finish":
		s.finish(words)
	case "cancel":
		s.p.Cancel("asked to")
	case "stops":
		var got []string
		for _, x := range s.p.Stops() {
			got = append(got, x.ID)
		}
		s.equal(words, got)
	case "is":
		st := s.status(words[0])
		s.equal(words[1], strings.Replace(string(st.State), "done", string(st.Conclusion), 1))
	case "why":
		id, want, _ := strings.Cut(rest, " ")
		if why := s.status(id).Why; !strings.Contains(why, want) {
			s.t.Errorf("%q does not contain %q", why, want)
		}
	case "name":
		id, want, _ := strings.Cut(rest, " ")
		s.equal(want, s.status(id).Name)
	case "eval":
		id, rest, _ := strings.Cut(rest, " ")
		source, want, _ := strings.Cut(rest, " = ")
		s.equal(want, s.eval(id, source))
	case "done":
		got := "no"
		if c, ok := s.p.Done(); ok {
			got = string(c)
		}
		s.equal(rest, got)
	default:
		s.t.Fatalf("no such verb: %s", line)
	}
}

func (s *scenario) finish(words []string) {
	id := words[0]
	if s.status(id).State == plan.Ready {
		s.check(s.p.Started(id))
	}
	r := plan.Result{Conclusion: plan.Conclusion(words[1])}
	if r.Conclusion == "timeout" {
		r = plan.Result{Conclusion: plan.Cancelled, TimedOut: true}
	}
	for _, w := range words[2:] {
		name, value, _ := strings.Cut(w, "=")
		r.Outputs = append(r.Outputs, plan.Output{Name: name, Value: value})
	}
	s.check(s.p.Finish(id, r))
}

func (s *scenario) status(id string) plan.Status {
	jobs := s.p.Jobs()
	i := slices.IndexFunc(jobs, func(st plan.Status) bool { return st.ID == id })
	if i < 0 {
		s.t.Fatalf("no job %q in %v", id, jobs)
	}
	return jobs[i]
}

func (s *scenario) eval(id, source string) string {
	j := s.jobs[id]
	if j == nil {
		s.t.Fatalf("job %q was never ready", id)
	}
	e, err := expr.Parse(source, expr.Options{Contexts: []string{"github", "vars", "inputs", "needs", "strategy", "matrix"}})
	s.check(err)
	v, err := e.Eval(expr.Env{Contexts: j.Contexts})
	s.check(err)
	return expr.ToString(v)
}

func (s *scenario) check(err error) {
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *scenario) equal(want, got any) {
	if diff := cmp.Diff(want, got, cmp.Transformer("empty", func(l []string) string { return strings.Join(l, " ") })); diff != "" {
		s.t.Errorf("(-want +got)\n%s", diff)
	}
}

// jobs makes a workflow of one line a job, in the flow form of YAML; without runs-on and
// steps, which are put in.
func jobs(lines string) string {
	var b strings.Builder
	b.WriteString("on: push\njobs:\n")
	for line := range strings.Lines(lines) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if !strings.Contains(line, "uses:") {
			line = strings.Replace(line, "{", "{runs-on: x, steps: [{run: x}], ", 1)
		}
		b.WriteString("  " + strings.Replace(line, ", }", "}", 1) + "\n")
	}
	return b.String()
}

func newPlan(t testing.TB, text string, files map[string]string, o plan.Options) *plan.Plan {
	t.Helper()
	p, err := plan.New(parse(t, text, files), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
