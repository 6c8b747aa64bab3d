// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/plan"
)

// actCase is a row of cases.tsv.
type actCase struct{ id, path, event, args, expect string }

func actCases(t testing.TB, dir string) map[string]actCase {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "cases.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]actCase{}
	for line := range strings.Lines(string(data)) {
		if f := strings.Split(line, "\t"); len(f) > 5 && f[0] != "id" {
			cases[f[0]] = actCase{f[0], f[1], f[2], f[3], f[4]}
		}
	}
	return cases
}

// plan makes the plan that a case starts with, as run.py would have it run.
func (c actCase) plan(t testing.TB, dir string) (*plan.Plan, error) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "data", c.path))
	if err != nil {
		t.Fatal(err)
	}
	open := func(uses string) (string, error) {
		path := filepath.Join("data", uses)
		if uses == "./.github/workflows/zv-callee.yml" {
			path = "data/own/_callee.yml"
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		if errors.Is(err, os.ErrNotExist) {
			err = workflows.ErrNotHere
		}
		return string(data), err
	}
	wf, problems := workflows.Parse(c.path, string(text), workflows.Options{Open: open})
	if len(problems.Errors) > 0 {
		return nil, problems.Errors[0]
	}
	return plan.New(wf, c.options(t, dir))
}

func (c actCase) options(t testing.TB, dir string) plan.Options {
	t.Helper()
	o := plan.Options{
		Event:  plan.Event{Name: c.event, Ref: "refs/heads/main"},
		Inputs: map[string]string{},
		GitHub: []expr.Member{{Name: "repository", Value: expr.String("nektos/conformance")}},
	}
	words := strings.Fields(c.args)
	for i := 0; i+1 < len(words); i += 2 {
		name, value, _ := strings.Cut(words[i+1], "=")
		switch words[i] {
		case "--input":
			o.Inputs[name] = value
		case "--secret":
			o.Secrets = append(o.Secrets, name)
		case "-e":
			data, err := os.ReadFile(filepath.Join(dir, "data", words[i+1]))
			if err != nil {
				t.Fatal(err)
			}
			v, err := expr.ParseJSON(string(data))
			if err != nil {
				t.Fatal(err)
			}
			o.Event.Payload = v.(*expr.Object)
		}
	}
	return o
}

// What the scripts of the jobs do is played: the cases whose outcome is decided by what
// runs when, and by values that are known before a step.
func TestActPlans(t *testing.T) {
	dir := testenv.Conformance(t, "act")
	cases := actCases(t, dir)
	for _, tt := range []struct{ id, script string }{
		{"own/needs-failure-job-runs", `
			ready a
			finish a failure
			ready b
			eval b needs.a.result = failure
			finish b success
			finish c success
			done failure`},
		{"own/fail-fast-cancels", `
			start a._1 a._2
			finish a._1 failure
			stops a._2
			finish a._2 cancelled
			done failure`},
		{"own/concurrency-group", `
			ready a
			is b pending
			finish a success
			finish b success
			done success`},
		{"own/job-outputs", `
			finish a success v=a=b
			eval b needs.a.outputs.v = a=b
			finish b success
			done success`},
		{"own/matrix-from-needs", `
			finish a success m={"k":[1,2],"include":[{"k":3,"w":"z"}]}
			eval b._1 format('{0}{1}', matrix.k, matrix.w) = 1
			eval b._2 format('{0}{1}', matrix.k, matrix.w) = 2
			eval b._3_z format('{0}{1}', matrix.k, matrix.w) = 3z`},
		{"own/matrix-include-order", `
			ready a.apple_cat
			eval a.apple_cat format('{0}/{1}:{2}', strategy.job-index, strategy.job-total, join(matrix.*, '-')) = 0/6:apple-cat-pink-circle
			finish a.apple_cat success
			eval a.apple_dog join(matrix.*, '-') = apple-dog-green-circle
			finish a.apple_dog success
			eval a.pear_cat join(matrix.*, '-') = pear-cat-pink
			finish a.pear_cat success
			eval a.pear_dog join(matrix.*, '-') = pear-dog-green
			finish a.pear_dog success
			eval a.banana join(matrix.*, '-') = banana
			finish a.banana success
			eval a.banana_cat format('{0}/{1}', strategy.job-index, strategy.job-total) = 5/6
			finish a.banana_cat success
			done success`},
		{"own/matrix-exclude-nested", `
			ready a._1_a_x a._2_b_x a._2_b_y
			eval a._2_b_y matrix.v.n = 2`},
		{"own/reusable-local", `
			ready call.j
			eval call.j inputs.d = dd
			finish call.j success o=got-3
			eval after needs.call.outputs.o = got-3
			finish after success
			done success`},
		{"own/dispatch-bool-false", `
			eval a toJSON(inputs.b) = false
			eval a toJSON(github.event.inputs.b) = "false"`},
		{"job-needs-context-contains-result", `
			finish test success
			is assert skipped
			done success`},
		{"job-status-check", `
			finish fail failure
			ready suc1 suc2
			finish suc1 success
			finish suc2 success
			is next skipped
			done failure`},
		{"evalmatrix", `
			ready evalm.A evalm.B _additionalInclude_0.val _additionalProperties_0._0_0_0
			eval evalm.B matrix.A = B
			eval _additionalInclude_0.val matrix.def = val
			eval _additionalProperties_0._0_0_0 matrix.def == 'val' && matrix.z == 0 = true
			finish _additionalInclude_0.val success result=success
			eval _additionalInclude_1 needs._additionalInclude_0.outputs.result = success`},
		{"evalmatrix-merge-map", `
			ready a.val1_val2_val3
			eval a.val1_val2_val3 join(matrix.a.env.*) = val1,val2,val3`},
		{"evalmatrixneeds", `
			finish prepare success matrix={"package":["a","b"]}
			ready evalm.a evalm.b
			eval evalm.b matrix.package = b`},
		{"matrix", `
			name build.ubuntu-18_04_4 PHP ubuntu-18.04 4
			name test._8_x test (8.x)`},
		{"matrix-exitcode", `
			start test.success test.failure
			finish test.failure failure
			stops
			finish test.success success
			done failure`},
		{"outputs", `
			finish build_output success variable_1=var1 variable_4=var4
			eval build needs.build_output.outputs.variable_4 = var4`},
		{"pull-request", `
			eval build github.head_ref = sample-head-ref
			eval build github.base_ref = sample-base-ref`},
		{"uses-workflow-defaults", `
			eval call-reuse-w-val.reusable_workflow_job inputs.my-val = passed value from main
			eval call-reuse-w-val.reusable_workflow_job !inputs.dispatch-val = true
			eval call-reuse-w-val.reusable_workflow_job github.event_name = workflow_dispatch`},
		{"workflow_dispatch", `
			eval test inputs.with_default = default
			eval test toJSON(inputs.boolean) = true
			eval test toJSON(github.event.inputs.boolean) = "true"`},
		{"workflow_dispatch_no_inputs_mapping", `
			finish test success
			done success`},
	} {
		t.Run(tt.id, func(t *testing.T) {
			p, err := cases[tt.id].plan(t, dir)
			if err != nil {
				t.Fatal(err)
			}
			play(t, p, tt.script)
		})
	}
	for _, id := range []string{"own/matrix-too-big", "own/needs-cycle", "own/reusable-required-missing"} {
		t.Run(id, func(t *testing.T) {
			if _, err := cases[id].plan(t, dir); err == nil || cases[id].expect != "failure" {
				t.Errorf("got %v, want an error before the start", err)
			}
		})
	}
	t.Run("services-empty-image", func(t *testing.T) {
		p, err := cases["services-empty-image"].plan(t, dir)
		if err != nil {
			t.Fatal(err)
		}
		if j := p.Next(); j == nil || len(j.Services) != 0 {
			t.Errorf("got %v, want a job without a service", j)
		}
	})
}

// Every case that has a plan comes to an end, and succeeds if all its jobs do.
func TestActCasesEnd(t *testing.T) {
	dir := testenv.Conformance(t, "act")
	known, err := os.ReadFile("testdata/known.txt")
	if err != nil {
		t.Fatal(err)
	}
	planned := 0
	for id, c := range actCases(t, dir) {
		p, err := c.plan(t, dir)
		if strings.Contains(string(known), "\n"+id+" ") {
			if err == nil {
				t.Errorf("%s can be planned: take it out of known.txt", id)
			}
			continue
		}
		if err != nil {
			if c.expect != "failure" {
				t.Errorf("%s: %v", id, err)
			}
			continue
		}
		planned++
		for j := p.Next(); j != nil; j = p.Next() {
			if err := errors.Join(p.Started(j.ID), p.Finish(j.ID, plan.Result{Conclusion: plan.Success})); err != nil {
				t.Fatal(err)
			}
		}
		got, done := p.Done()
		want := plan.Success
		if id == "evalmatrixneeds" || id == "own/matrix-from-needs" {
			want = plan.Failure // without the output there is no matrix
		}
		if !done || got != want {
			t.Errorf("%s: %v %v: %v", id, got, done, p.Jobs())
		}
	}
	if planned < 60 {
		t.Errorf("only %d cases have a plan", planned)
	}
	t.Logf("%d cases have a plan", planned)
}
