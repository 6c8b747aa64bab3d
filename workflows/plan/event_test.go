// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/plan"
)

func object(t testing.TB, text string) *expr.Object {
	t.Helper()
	v, err := expr.ParseJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	return v.(*expr.Object)
}

func onEvents(on string) string {
	return "on: " + on + "\njobs: {a: {runs-on: x, steps: [{run: x}]}}\n"
}

// The rules are of docs.github.com, "Events that trigger workflows".
func TestTriggered(t *testing.T) {
	for _, tt := range []struct {
		name, on string
		event    plan.Event
		payload  string
		why      string // empty: it starts
	}{
		{"push is the default", "push", plan.Event{Ref: "refs/heads/main"}, "{}", ""},
		{"another event", "pull_request", plan.Event{}, "{}", "does not have the event push"},
		{"a branch", "{push: {branches: [main]}}", plan.Event{Ref: "refs/heads/dev"}, "{}", `branches: "dev"`},
		{"paths", "{push: {paths: ['src/**']}}", plan.Event{Ref: "refs/heads/main", Paths: []string{"README.md"}}, "{}", "paths"},
		{"paths that are not known", "{push: {paths: ['src/**']}}", plan.Event{Ref: "refs/heads/main"}, "{}", ""},
		{"the action of the payload", "pull_request", plan.Event{Name: "pull_request"}, `{"action": "labeled"}`, "types"},
		{"an action beside the payload", "pull_request", plan.Event{Name: "pull_request", Action: "opened"}, `{"action": "labeled"}`, ""},
		{"the base of a pull request, not its ref", "{pull_request: {branches: [main]}}", plan.Event{Name: "pull_request", Ref: "refs/pull/1/merge"}, `{"pull_request": {"base": {"ref": "dev"}}}`, `branches: "dev"`},
		{"the name of another run", "{workflow_run: {workflows: [w]}}", plan.Event{Name: "workflow_run"}, `{"workflow_run": {"name": "v"}, "workflow": {"name": "w"}}`, `workflows: "v"`},
		{"the branch of another run", "{workflow_run: {workflows: [w], branches: [main]}}", plan.Event{Name: "workflow_run", Ref: "refs/heads/main"}, `{"workflow_run": {"head_branch": "dev"}}`, `branches: "dev"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.event.Payload = object(t, tt.payload)
			wf := parse(t, onEvents(tt.on), nil)
			_, err := plan.New(wf, plan.Options{Event: tt.event})
			var not *plan.NotTriggeredError
			switch {
			case tt.why == "" && err != nil:
				t.Error(err)
			case tt.why != "" && (!errors.As(err, &not) || !strings.Contains(err.Error(), tt.why)):
				t.Errorf("got %v, want %q", err, tt.why)
			}
			if _, err := plan.New(wf, plan.Options{Event: tt.event, Any: true}); err != nil {
				t.Errorf("whatever its filters say: %v", err)
			}
		})
	}
}

func TestGitHubContext(t *testing.T) {
	for _, tt := range []struct{ ref, payload, source, want string }{
		{"refs/heads/f/x", "{}", "format('{0} {1} {2}', github.ref, github.ref_name, github.ref_type)", "refs/heads/f/x f/x branch"},
		{"refs/tags/v1", "{}", "format('{0} {1} {2}', github.ref, github.ref_name, github.ref_type)", "refs/tags/v1 v1 tag"},
		{"refs/pull/7/merge", "{}", "github.ref_name", "7/merge"},
		{"", `{"pull_request": {"head": {"ref": "h"}, "base": {"ref": "b"}}}`, "format('{0} {1}', github.head_ref, github.base_ref)", "h b"},
		{"", `{"a": {"B": 1}}`, "github.event.A.b", "1"},
		{"", "{}", "format('{0} {1} {2}', github.event_name, github.workflow, github.job)", "push .github/workflows/ci.yml a"},
		{"", "{}", "github.actor", "me"},
		{"", "{}", "toJSON(inputs)", "{}"},
	} {
		t.Run(tt.source, func(t *testing.T) {
			p := newPlan(t, onEvents("push"), nil, plan.Options{
				Event:  plan.Event{Ref: tt.ref, Payload: object(t, tt.payload)},
				GitHub: []expr.Member{{Name: "actor", Value: expr.String("me")}},
			})
			play(t, p, "ready a\neval a "+tt.source+" = "+tt.want)
		})
	}
}

const dispatch = `{workflow_dispatch: {inputs: {
  s: {}, d: {default: dd}, r: {required: true, default: x},
  b: {type: boolean}, bt: {type: boolean, default: true}, n: {type: number}, nd: {type: number, default: 2},
  c: {type: choice, options: [one, two], default: two}, e: {type: environment}}}}`

func TestInputs(t *testing.T) {
	for _, tt := range []struct {
		name    string
		inputs  map[string]string
		payload string
		want    string // of toJSON(inputs) without white space, or the error
	}{
		{"defaults", nil, "{}", `{"s":"","d":"dd","r":"x","b":false,"bt":true,"n":0,"nd":2,"c":"two","e":""}`},
		{"given", map[string]string{"S": "1", "b": "true", "bt": "false", "n": "1.50", "c": "one"}, "{}", `{"s":"1","d":"dd","r":"x","b":true,"bt":false,"n":1.5,"nd":2,"c":"one","e":""}`},
		{"in the payload", nil, `{"inputs": {"B": "true", "n": 3, "unknown": 1}}`, `{"s":"","d":"dd","r":"x","b":true,"bt":true,"n":3,"nd":2,"c":"two","e":""}`},
		{"given counts more", map[string]string{"n": "4"}, `{"inputs": {"n": 3}}`, `{"s":"","d":"dd","r":"x","b":false,"bt":true,"n":4,"nd":2,"c":"two","e":""}`},
		{"an empty text stays", map[string]string{"d": ""}, "{}", `{"s":"","d":"","r":"x","b":false,"bt":true,"n":0,"nd":2,"c":"two","e":""}`},
		{"no boolean", map[string]string{"b": "yes"}, "{}", `input "b": it is a boolean`},
		{"no number", map[string]string{"n": "1x"}, "{}", `input "n": it is a number`},
		{"an empty number", map[string]string{"n": ""}, "{}", `input "n": it is a number`},
		{"no option", map[string]string{"c": "three"}, "{}", `input "c": it is none of the options`},
		{"unknown", map[string]string{"x": ""}, "{}", `input "x": the event workflow_dispatch of this workflow does not have it`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := plan.New(parse(t, onEvents(dispatch), nil), plan.Options{
				Event: plan.Event{Name: "workflow_dispatch", Payload: object(t, tt.payload)}, Inputs: tt.inputs,
			})
			if err != nil {
				if err.Error() != tt.want {
					t.Errorf("got %v, want %s", err, tt.want)
				}
				return
			}
			j := p.Next()
			e, err := expr.Parse("toJSON(inputs)", expr.Options{Contexts: []string{"inputs"}})
			if err != nil {
				t.Fatal(err)
			}
			v, err := e.Eval(expr.Env{Contexts: j.Contexts})
			if got := strings.Join(strings.Fields(expr.ToString(v)), ""); err != nil || got != tt.want {
				t.Errorf("got %s, %v, want %s", got, err, tt.want)
			}
			play(t, p, "ready a\neval a toJSON(github.event.inputs.nd) = \"2\"")
		})
	}
	t.Run("defaults that are texts", func(t *testing.T) {
		const on = "{workflow_dispatch: {inputs: {b: {type: boolean, default: 'true'}, n: {type: number, default: '5'}, e: {type: boolean, default: ''}}}}"
		p := newPlan(t, onEvents(on), nil, plan.Options{Event: plan.Event{Name: "workflow_dispatch"}})
		play(t, p, "ready a\neval a toJSON(inputs.b) = true\neval a toJSON(inputs.n) = 5\neval a toJSON(inputs.e) = false\neval a toJSON(github.event.inputs.n) = \"5\"")
		_, err := plan.New(parse(t, onEvents("{workflow_dispatch: {inputs: {b: {type: boolean, default: maybe}}}}"), nil), plan.Options{Event: plan.Event{Name: "workflow_dispatch"}})
		var e *plan.InputError
		if !errors.As(err, &e) || e.Name != "b" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("required", func(t *testing.T) {
		_, err := plan.New(parse(t, onEvents("{workflow_dispatch: {inputs: {r: {required: true}}}}"), nil), plan.Options{Event: plan.Event{Name: "workflow_dispatch"}})
		var e *plan.InputError
		if !errors.As(err, &e) || e.Name != "r" || e.Hint() == "" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("of an event that has none", func(t *testing.T) {
		_, err := plan.New(parse(t, onEvents("push"), nil), plan.Options{Inputs: map[string]string{"r": "1"}})
		var e *plan.InputError
		if !errors.As(err, &e) || !strings.Contains(e.Hint(), "workflow_dispatch") {
			t.Errorf("got %v", err)
		}
	})
}
