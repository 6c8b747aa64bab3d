// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"

	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/plan"
)

// The members are those of docs.github.com, "Contexts reference".
func TestContexts(t *testing.T) {
	p := newPlan(t, jobs("a: {strategy: {matrix: {v: [1]}}}"), nil, plan.Options{Event: plan.Event{Ref: "refs/heads/main"}})
	contexts := p.Next().Within(expr.Values{
		"steps": plan.Steps([]plan.StepResult{
			{ID: "s", Outcome: plan.Failure, Conclusion: plan.Success, Outputs: []plan.Output{{Name: "o", Value: "1"}, {Name: "o", Value: "2"}}},
			{ID: "__run", Outcome: plan.Success},
		}),
		"env":    plan.Env([]plan.Output{{Name: "A", Value: "1"}, {Name: "a", Value: "2"}, {Name: "A", Value: "3"}}),
		"runner": plan.Runner{OS: "Linux", Arch: "X64", Temp: "/t"}.Context(),
		"job": plan.Progress{Status: plan.Failure, Container: "c1", Network: "n1", Services: []plan.ServiceFacts{
			{Name: "redis", ID: "r1", Network: "n1", Ports: []plan.Output{{Name: "6379", Value: "32768"}}},
		}}.Context(),
	})
	for _, tt := range []struct{ source, want string }{
		{"steps.s.outputs.o", "2"},
		{"format('{0} {1}', steps.S.outcome, steps.s.conclusion)", "failure success"},
		{"toJSON(steps.__run)", "null"},
		{"format('{0}{1}', env.A, env.a)", "32"},
		{"format('{0} {1} {2}', runner.os, runner.arch, runner.temp)", "Linux X64 /t"},
		{"toJSON(runner.debug)", "null"},
		{"job.status", "failure"},
		{"job.container.network", "n1"},
		{"job.services.redis.ports[6379]", "32768"},
		{"format('{0} {1}', github.ref_name, matrix.v)", "main 1"},
		{"success() || cancelled()", "false"},
		{"failure() && always()", "true"},
	} {
		t.Run(tt.source, func(t *testing.T) {
			e, err := expr.Parse(tt.source, expr.Options{
				Contexts:  []string{"github", "matrix", "steps", "env", "runner", "job"},
				Functions: []expr.Signature{{Name: "success"}, {Name: "failure"}, {Name: "cancelled"}, {Name: "always"}},
			})
			if err != nil {
				t.Fatal(err)
			}
			v, err := e.Eval(expr.Env{Contexts: contexts, Functions: plan.StepFunctions(plan.Failure)})
			if err != nil || expr.ToString(v) != tt.want {
				t.Errorf("got %q, %v, want %q", expr.ToString(v), err, tt.want)
			}
		})
	}
}
