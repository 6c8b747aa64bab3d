// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/plan"
	"github.com/zviz/run/workflows/syntax"
)

const whole = `
name: CI
run-name: Run ${{ github.ref_name }} ${{ vars.V }}
on: push
env: {A: '1', B: 'w ${{ vars.V }}', S: '${{ secrets.TOK }}'}
defaults: {run: {shell: sh, working-directory: w1}}
permissions: {contents: read}
jobs:
  a:
    runs-on: [self-hosted, '${{ vars.V }}']
    timeout-minutes: 1.9
    cancel-timeout-minutes: ${{ 3 }}
    continue-on-error: ${{ github.ref_name == 'main' }}
    environment: {name: 'e-${{ vars.v }}', url: 'https://${{ steps.s.outputs.u }}'}
    concurrency: {group: 'g-${{ github.ref_name }}'}
    env: {B: job, C: 1.10, ' ': x}
    defaults: {run: {working-directory: '${{ env.A }}'}}
    container:
      image: docker://${{ vars.V }}:1
      options: --cpus 1
      ports: [80, '81:82']
      volumes: ['/a:/b']
      env: {P: '${{ secrets.TOK }}', Q: q}
      credentials: {username: u, password: '${{ secrets.TOK }}'}
    services:
      none: {image: '${{ github.none }}'}
      redis: {image: redis, ports: [1]}
    outputs: {o: '${{ steps.s.outputs.o }}'}
    steps: [{id: s, run: 'echo ${{ env.A }}'}]
  b:
    runs-on: {group: g, labels: x}
    permissions: {id-token: write}
    env: "${{ fromJSON(secrets.ALL) }}"
    container: "${{ fromJSON('{\"image\":\"i\",\"env\":{\"K\":1}}') }}"
    steps: [{run: x}]
`

// later shows what is evaluated when the job runs.
func later(vars []plan.Variable) []string {
	var list []string
	for _, v := range vars {
		s := v.Name + "=" + v.Value
		if v.Later != nil {
			s += "~" + v.Later.String()
		}
		list = append(list, s)
	}
	return list
}

func TestJob(t *testing.T) {
	p := newPlan(t, whole, nil, plan.Options{
		Event: plan.Event{Ref: "refs/heads/main"}, Vars: map[string]string{"V": "v1"}, Secrets: []string{"TOK"},
	})
	if p.Name != "CI" || p.RunName != "Run main v1" {
		t.Errorf("got %q, %q", p.Name, p.RunName)
	}
	jobs := p.Ready()
	a, b := jobs[0], jobs[1]
	for _, tt := range []struct {
		name      string
		want, got any
	}{
		{"runs-on", plan.RunsOn{Labels: []string{"self-hosted", "v1"}}, a.RunsOn},
		{"runs-on with a group", plan.RunsOn{Group: "g", Labels: []string{"x"}}, b.RunsOn},
		{"timeout", []int{1, 3, 360, 5}, []int{a.Timeout, a.Grace, b.Timeout, b.Grace}},
		{"continue-on-error", []bool{true, false}, []bool{a.Tolerated, b.Tolerated}},
		{"environment", []string{"e-v1", "${{ format('https://{0}', steps.s.outputs.u) }}"}, []string{a.Environment.Name, a.Environment.URL.String()}},
		{"groups", []plan.Group{{Name: "g-main", Holder: a.ID}}, a.Groups},
		{"env", []string{"A=1", "B=job", "S=~${{ secrets.TOK }}", "C=1.1", " =x"}, later(a.Env)},
		{"env that is one expression", []string{"A=1", "B=w v1", "S=~${{ secrets.TOK }}", "=~${{ fromJSON(secrets.ALL) }}"}, later(b.Env)},
		{"defaults", []string{"sh", "${{ env.A }}", "sh", "w1"}, []string{a.Defaults.Shell.Value, a.Defaults.Dir.Later.String(), b.Defaults.Shell.Value, b.Defaults.Dir.Value}},
		{"image", []string{"v1:1", "--cpus 1", "i"}, []string{a.Container.Image, a.Container.Options, b.Container.Image}},
		{"ports and volumes", []string{"80", "81:82", "/a:/b"}, append(a.Container.Ports, a.Container.Volumes...)},
		{"env of the container", []string{"P=~${{ secrets.TOK }}", "Q=q"}, later(a.Container.Env)},
		{"env of a container that is one expression", []string{"K=1"}, later(b.Container.Env)},
		{"credentials", []string{"username=u", "password=~${{ secrets.TOK }}"}, later(a.Container.Credentials)},
		{"services", []plan.Container{{Name: "redis", Image: "redis", Ports: []string{"1"}}}, a.Services},
		{"permissions", []string{"read", "none", "write"}, []string{string(a.Permissions.Level("contents")), string(b.Permissions.Level("contents")), string(b.Permissions.Level("id-token"))}},
		{"outputs", "${{ steps.s.outputs.o }}", a.Outputs.Get("o").String()},
		{"steps", "s", a.Steps[0].ID},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// The words are GitHub's.
func TestJobThatCannotBe(t *testing.T) {
	for _, tt := range []struct{ name, key, want string }{
		{"a text where a number is wanted", "timeout-minutes: '${{ github.ref_name }}'", "cannot evaluate 'timeout-minutes' of job 'a': .github/workflows/ci.yml (Line: 6, Col: 22): Unexpected value 'main'"},
		{"a number where a boolean is wanted", "continue-on-error: ${{ fromJSON('1') }}", "Unexpected value '1'"},
		{"an object where a text is wanted", "name: ${{ github.event }}", "A mapping was not expected"},
		{"no environment is an object", "environment: ${{ fromJSON('[]') }}", "A sequence was not expected"},
		{"a key of a container", "container: \"${{ fromJSON('{\\\"imag\\\":1}') }}\"", "Unexpected value 'imag'"},
		{"ports", "container: {image: i, ports: \"${{ fromJSON('1') }}\"}", "Unexpected value '1'"},
		{"env", "env: \"${{ fromJSON('[1]') }}\"", "A sequence was not expected"},
		{"a value of env", "env: {A: \"${{ fromJSON('[1]') }}\"}", "A sequence was not expected"},
		{"a group", "concurrency: {group: g, cancel-in-progress: \"${{ fromJSON('1') }}\"}", "Unexpected value '1'"},
		{"a group without a name", "concurrency: ${{ github.head_ref }}", "Concurrency group name cannot be empty"},
		{"a group whose name is null", "concurrency: {group: '${{ github.nothing }}'}", "Concurrency group name cannot be empty"},
		{"an expression without a value", "name: ${{ fromJSON('x') }}", "cannot evaluate 'name' of job 'a'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlan(t, "on: push\njobs:\n  a:\n    runs-on: x\n    steps: [{run: x}]\n    "+tt.key+"\n", nil, plan.Options{Event: plan.Event{Ref: "refs/heads/main"}})
			play(t, p, "is a failure\ndone failure\nwhy a "+tt.want)
		})
	}
	t.Run("runs-on", func(t *testing.T) {
		p := newPlan(t, "on: push\njobs:\n  a:\n    runs-on: ${{ github.nothing }}\n    steps: [{run: x}]\n", nil, plan.Options{})
		play(t, p, "is a failure\nwhy a Unexpected value ''")
	})
	t.Run("a label of runs-on", func(t *testing.T) {
		p := newPlan(t, "on: push\njobs:\n  a:\n    runs-on: [self-hosted, '${{ github.nothing }}']\n    steps: [{run: x}]\n", nil, plan.Options{})
		play(t, p, "is a failure\nwhy a Unexpected value ''")
	})
	t.Run("a long one is cut", func(t *testing.T) {
		p := newPlan(t, "on: push\njobs:\n  a:\n    runs-on: x\n    name: ${{ format('{"+strings.Repeat("x", 10_000)+"') }}\n    steps: [{run: x}]\n", nil, plan.Options{})
		if why := p.Jobs()[0].Why; len(why) > 510 || !strings.HasSuffix(why, "[...]") {
			t.Errorf("%d bytes", len(why))
		}
	})
}

func TestRunThatCannotBe(t *testing.T) {
	_, err := plan.New(parse(t, "on: push\nrun-name: ${{ github.event }}\njobs: {a: {runs-on: x, steps: [{run: x}]}}", nil), plan.Options{})
	var e *plan.EvalError
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "cannot evaluate 'run-name': .github/workflows/ci.yml (Line: 2, Col: 11): A mapping was not expected") {
		t.Errorf("got %v", err)
	}
}

// What a call gives is evaluated where it stands, and asks for what it names only.
func TestSecrets(t *testing.T) {
	files := map[string]string{
		"./.github/workflows/c.yml": "on:\n  workflow_call:\n    secrets: {one: {}, all: {}}\njobs:\n  j: {runs-on: x, steps: [{run: x}]}\n  k: {uses: ./.github/workflows/d.yml, secrets: inherit}\n",
		"./.github/workflows/d.yml": "on: workflow_call\njobs:\n  j: {runs-on: x, steps: [{run: x}]}\n",
	}
	p := newPlan(t, "on: push\njobs:\n  c: {uses: ./.github/workflows/c.yml, secrets: {one: '${{ secrets.tok }}-${{ github.ref_name }}', all: '${{ toJSON(secrets) }}'}}\n  a: {runs-on: x, steps: [{run: x}]}\n", files,
		plan.Options{Event: plan.Event{Ref: "refs/heads/main"}, Secrets: []string{"TOK", "OTHER"}})
	secrets := map[string]*plan.Secrets{}
	for _, j := range p.Ready() {
		secrets[j.ID] = j.Secrets
	}
	for _, tt := range []struct{ job, name, want, asked string }{
		{"a", "tok", "value of TOK", "TOK"},
		{"a", "one", "", ""},
		{"a", "github_token", "value of GITHUB_TOKEN", "GITHUB_TOKEN"},
		{"c.j", "ONE", "value of TOK-main", "TOK"},
		{"c.j", "tok", "", ""},
		{"c.k.j", "one", "value of TOK-main", "TOK"},
		{"c.j", "GITHUB_TOKEN", "value of GITHUB_TOKEN", "GITHUB_TOKEN"},
	} {
		t.Run(tt.job+" "+tt.name, func(t *testing.T) {
			var asked []string
			got, err := secrets[tt.job].Value(tt.name, func(_, name string) string {
				asked = append(asked, name)
				return "value of " + name
			})
			if err != nil || got != tt.want || strings.Join(asked, " ") != tt.asked {
				t.Errorf("got %q, %v; asked for %v", got, err, asked)
			}
		})
	}
	if diff := cmp.Diff([][]string{{"TOK", "OTHER"}, {"one", "all"}, {"one", "all"}}, [][]string{secrets["a"].Names(), secrets["c.j"].Names(), secrets["c.k.j"].Names()}); diff != "" {
		t.Errorf("names (-want +got)\n%s", diff)
	}
	if all, err := secrets["c.j"].Value("all", func(_, name string) string { return name }); err != nil || !strings.Contains(all, `"OTHER"`) {
		t.Errorf("got %q, %v", all, err)
	}
}

// What an environment has goes before what its job has besides, in a called workflow too.
func TestEnvironments(t *testing.T) {
	files := map[string]string{
		"./.github/workflows/c.yml": "on:\n  workflow_call:\n    secrets: {tok: {}, more: {}}\njobs:\n  j: {runs-on: x, environment: Live, env: {V: '${{ vars.V }}'}, steps: [{run: x}]}\n",
	}
	p := newPlan(t, `on: push
jobs:
  c: {uses: ./.github/workflows/c.yml, secrets: {tok: given, more: '${{ secrets.other }}'}}
  a: {runs-on: x, environment: {name: "${{ vars.W }}"}, env: {V: "${{ vars.v }}", W: "${{ vars.W }}"}, steps: [{run: x}]}
  b: {runs-on: x, environment: test, env: {V: "${{ vars.V }}"}, steps: [{run: x}]}
`, files, plan.Options{
		Vars: map[string]string{"V": "of all", "W": "LIVE"}, Secrets: []string{"TOK", "OTHER"},
		Environments: map[string]plan.OfEnvironment{"live": {Vars: map[string]string{"v": "of live"}, Secrets: []string{"tok", "own"}}},
	})
	jobs := map[string]*plan.Job{}
	for _, j := range p.Ready() {
		jobs[j.ID] = j
	}
	own := func(environment, name string) string { return environment + "/" + name }
	for _, tt := range []struct{ job, secret, want string }{
		{"a", "TOK", "live/tok"},
		{"a", "own", "live/own"},
		{"a", "other", "/OTHER"},
		{"a", "github_token", "/GITHUB_TOKEN"},
		{"b", "TOK", "/TOK"},
		{"b", "own", ""},
		{"c.j", "tok", "live/tok"},
		{"c.j", "own", "live/own"},
		{"c.j", "more", "/OTHER"},
		{"c.j", "other", ""},
	} {
		if got, err := jobs[tt.job].Secrets.Value(tt.secret, own); err != nil || got != tt.want {
			t.Errorf("%s of %s: %q, %v, want %q", tt.secret, tt.job, got, err, tt.want)
		}
	}
	env := map[string]string{}
	for id, j := range jobs {
		for _, v := range j.Env {
			env[id+" "+v.Name] = v.Value
		}
	}
	if diff := cmp.Diff(map[string]string{"a V": "of live", "a W": "LIVE", "b V": "of all", "c.j V": "of live"}, env); diff != "" {
		t.Errorf("variables (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"tok", "own", "OTHER"}, jobs["a"].Secrets.Names()); diff != "" {
		t.Errorf("names (-want +got)\n%s", diff)
	}
}

// Nine levels of calls, each of which names twenty secrets in each of twenty: each is
// evaluated once.
func TestSecretsOnce(t *testing.T) {
	const levels, width = 9, 20
	var spec, given, all strings.Builder
	for i := range width {
		fmt.Fprintf(&all, "${{ secrets.s%d && '' }}", i)
	}
	for i := range width {
		fmt.Fprintf(&spec, "      s%d: {}\n", i)
		fmt.Fprintf(&given, "      s%d: \"x%s\"\n", i, all.String())
	}
	call := func(level int) string {
		return fmt.Sprintf("jobs:\n  c:\n    uses: ./.github/workflows/%d.yml\n    secrets:\n%s", level, given.String())
	}
	files := map[string]string{}
	for i := range levels {
		text := "on:\n  workflow_call:\n    secrets:\n" + spec.String()
		if i+1 < levels {
			text += call(i + 1)
		} else {
			text += "jobs: {j: {runs-on: x, steps: [{run: x}]}}\n"
		}
		files[fmt.Sprintf("./.github/workflows/%d.yml", i)] = text
	}
	p := newPlan(t, "on: push\n"+call(0), files, plan.Options{Secrets: []string{"s0"}})
	asked := 0
	v, err := p.Next().Secrets.Value("s1", func(_, _ string) string {
		asked++
		return "v"
	})
	if err != nil || v != "x" || asked != 1 {
		t.Errorf("got %q, %v; asked %d times", v, err, asked)
	}
}

func TestEvaluate(t *testing.T) {
	wf := parse(t, whole, nil)
	env := expr.Env{Contexts: expr.Values{"steps": expr.NewObject(expr.Member{Name: "s", Value: expr.NewObject(
		expr.Member{Name: "outputs", Value: expr.NewObject(expr.Member{Name: "o", Value: expr.Number(1)})},
	)})}}
	got, err := plan.Evaluate(wf.Jobs[0].Outputs, env)
	if err != nil || got.Get("o").Kind != syntax.Number || got.Get("o").String() != "1" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestGroupsOfCallers(t *testing.T) {
	files := map[string]string{
		"./.github/workflows/c.yml": "on: workflow_call\nconcurrency: {group: 'c-${{ github.ref_name }}', queue: max}\njobs:\n  j: {runs-on: x, steps: [{run: x}], concurrency: {group: j, cancel-in-progress: true}}\n",
	}
	p := newPlan(t, jobs("a: {uses: ./.github/workflows/c.yml, concurrency: a}"), files, plan.Options{Event: plan.Event{Ref: "refs/heads/main"}})
	want := []plan.Group{{Name: "j", Cancel: true, Holder: "a.j"}, {Name: "a", Holder: "a"}, {Name: "c-main", Queue: true, Holder: "a"}}
	if diff := cmp.Diff(want, p.Next().Groups); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestChosen(t *testing.T) {
	text := jobs("a: {}\n b: {needs: a}\n c: {needs: B, strategy: {matrix: {v: [1, 2], w: [x, y]}}}\n d: {}")
	p := newPlan(t, text, nil, plan.Options{Jobs: []string{"C"}, Matrix: map[string]string{"V": "2", "other": "z"}})
	play(t, p, "ready a\nfinish a success\nfinish b success\nready c._2_x c._2_y\neval c._2_x strategy.job-index = 2\nfinish c._2_x success\nfinish c._2_y success\ndone success")
	if _, err := plan.New(parse(t, text, nil), plan.Options{Jobs: []string{"x"}}); err == nil {
		t.Error("a job that is not there was chosen")
	}
	p = newPlan(t, text, nil, plan.Options{Matrix: map[string]string{"v": "3"}})
	play(t, p, "finish a success\nfinish b success\nis c skipped")
}

func TestMaxJobs(t *testing.T) {
	p := newPlan(t, jobs("a: {strategy: {matrix: {v: [1, 2, 3]}}}"), nil, plan.Options{MaxJobs: 2})
	play(t, p, "is a failure\nwhy a more than 2 jobs\ndone failure")
}

func TestGraph(t *testing.T) {
	p := newPlan(t, jobs("b: {needs: [a, c]}\n a: {}\n c: {uses: ./.github/workflows/c.yml, with: {n: 1}, needs: a}\n d: {strategy: {matrix: {v: [1, 2]}}}\n e: {strategy: {matrix: '${{ github.x }}'}}"), map[string]string{"./.github/workflows/c.yml": callee}, plan.Options{})
	want := []plan.Node{
		{ID: "b", Name: "b", Needs: []string{"a", "c"}, Stage: 2},
		{ID: "a", Name: "a"},
		{ID: "c", Name: "c", Needs: []string{"a"}, Stage: 1, Uses: "./.github/workflows/c.yml", Jobs: []plan.Node{
			{ID: "c.j", Name: "J"},
			{ID: "c.k", Name: "k", Needs: []string{"c.j"}, Stage: 1},
		}},
		{ID: "d", Name: "d", Matrix: true, Cells: []string{"d (1)", "d (2)"}},
		{ID: "e", Name: "e", Matrix: true},
	}
	if diff := cmp.Diff(want, p.Graph()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestValuesAreBounded(t *testing.T) {
	big := strings.Repeat("x", 900<<10)
	text := "on: push\njobs:\n  a:\n    runs-on: x\n    env: {A: '${{ github.big }}', B: '${{ github.big }}'}\n    steps: [{run: x}]\n" +
		"  b:\n    runs-on: x\n    name: '${{ github.big }}'\n    env: {A: '1'}\n    steps: [{run: x}]\n"
	p := newPlan(t, text, nil, plan.Options{GitHub: []expr.Member{{Name: "big", Value: expr.String(big)}}})
	play(t, p, "is a failure\nwhy a more than 1048576\nname b "+strings.Repeat("x", 97)+"...\nready b")

	cells := "on: push\njobs:\n  a:\n    runs-on: x\n    env: {A: '${{ github.big }}'}\n    steps: [{run: x}]\n    strategy: {fail-fast: false, matrix: {v: ['" + strings.Join(strings.Split(strings.Repeat("x", 100), ""), "', '") + "']}}\n"
	p = newPlan(t, cells, nil, plan.Options{GitHub: []expr.Member{{Name: "big", Value: expr.String(big)}}})
	if n := len(p.Ready()); n != 72 {
		t.Errorf("%d jobs of 900 KiB are ready, not the 72 that 64 MiB hold", n)
	}
	for j := p.Next(); j != nil; j = p.Next() {
		if err := errors.Join(p.Started(j.ID), p.Finish(j.ID, plan.Result{Conclusion: plan.Success})); err != nil {
			t.Fatal(err)
		}
	}
	play(t, p, "done failure")
}
