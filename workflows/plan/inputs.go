// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// InputError is an input that the workflow does not take. Its value is not repeated.
type InputError struct {
	Name string
	Text string
	hint string
}

func (e *InputError) Error() string { return fmt.Sprintf("input %q: %s", e.Name, e.Text) }

// Hint says what would do; empty if nothing is near.
func (e *InputError) Hint() string { return e.hint }

// runInputs are the inputs of the run itself: those of a workflow_dispatch, or of a
// workflow_call that is run on its own. They are given as text, by name or in the payload.
func runInputs(wf *workflows.Workflow, e Event, given map[string]string, ev *evaluator, env expr.Env) ([]expr.Member, error) {
	specs, takes := specsOf(wf, e.Name)
	values := map[string]string{}
	if o, ok := e.Payload.Get("inputs"); ok && takes {
		if o, ok := o.(*expr.Object); ok {
			for name, v := range o.All() {
				values[expr.Fold(name)] = expr.ToString(v)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.ContainsFunc(specs, func(in workflows.Input) bool { return expr.Fold(in.Name) == expr.Fold(name) }) {
			return nil, unknownInput(name, e.Name, specs)
		}
		values[expr.Fold(name)] = given[name]
	}
	var list []expr.Member
	for _, in := range specs {
		text, ok := values[expr.Fold(in.Name)]
		// What a dispatch gives is text, so that the default of a boolean may be 'true'.
		if d := in.Default; !ok && e.Name == dispatchEvent && d != nil && d.Kind == syntax.String && (in.Type == "boolean" || in.Type == "number") {
			text, ok, in.Default = d.Text, d.Text != "", nil
		}
		v, err := inputValue(in, text, ok, ev, env)
		if err != nil {
			return nil, err
		}
		list = append(list, expr.Member{Name: in.Name, Value: v})
	}
	return list, nil
}

func specsOf(wf *workflows.Workflow, event string) (specs []workflows.Input, takes bool) {
	if event != dispatchEvent && event != callEvent {
		return nil, false
	}
	for _, on := range wf.On {
		if on.Name == event {
			return on.Inputs, true
		}
	}
	return nil, true
}

func unknownInput(name, event string, specs []workflows.Input) error {
	e := &InputError{Name: name, Text: "the event " + event + " of this workflow does not have it"}
	if len(specs) == 0 {
		e.hint = "inputs are for --event " + dispatchEvent
		return e
	}
	var names []string
	for _, s := range specs {
		names = append(names, s.Name)
	}
	e.hint = "it has " + strings.Join(names, ", ")
	return e
}

// inputValue makes the value of an input's type. Not given is the default, or else the
// empty value of the type.
func inputValue(in workflows.Input, text string, given bool, ev *evaluator, env expr.Env) (expr.Value, error) {
	if !given {
		if in.Default != nil {
			t, err := ev.evaluate(in.Default, env)
			if err != nil {
				return nil, err
			}
			return typed(in.Type, t)
		}
		if in.Required != nil && in.Required.Bool {
			return nil, &InputError{Name: in.Name, Text: "it is required", hint: "--input " + in.Name + "=…"}
		}
		return emptyInput(in.Type), nil
	}
	switch in.Type {
	case "boolean":
		if text == "true" || text == "false" {
			return expr.Bool(text == "true"), nil
		}
		return nil, &InputError{Name: in.Name, Text: "it is a boolean", hint: "true or false"}
	case "number":
		if n := expr.ToNumber(expr.String(text)); strings.TrimSpace(text) != "" && !math.IsNaN(n) {
			return expr.Number(n), nil
		}
		return nil, &InputError{Name: in.Name, Text: "it is a number"}
	case "choice":
		if !slices.Contains(in.Options, text) {
			return nil, &InputError{Name: in.Name, Text: "it is none of the options", hint: strings.Join(in.Options, ", ")}
		}
	}
	return expr.String(text), nil
}

func emptyInput(kind string) expr.Value {
	switch kind {
	case "boolean":
		return expr.Bool(false)
	case "number":
		return expr.Number(0)
	default:
		return expr.String("")
	}
}

// typed checks a value that was evaluated: a boolean and a number must be one, all other
// types are text.
func typed(kind string, t *syntax.Token) (expr.Value, error) {
	switch {
	case !t.Scalar():
		return nil, unexpected(t)
	case kind == "boolean" && t.Kind != syntax.Bool, kind == "number" && t.Kind != syntax.Number:
		return nil, unexpected(t)
	case kind == "boolean" || kind == "number":
		return t.Value(), nil
	default:
		return expr.String(t.String()), nil
	}
}

// withInputs is the payload of a dispatch, in which inputs are texts.
func withInputs(payload *expr.Object, inputs []expr.Member) *expr.Object {
	var texts []expr.Member
	for _, m := range inputs {
		texts = append(texts, expr.Member{Name: m.Name, Value: expr.String(expr.ToString(m.Value))})
	}
	members := []expr.Member{{Name: "inputs", Value: expr.NewObject(texts...)}} // the first of a name counts
	for name, v := range payload.All() {
		members = append(members, expr.Member{Name: name, Value: v})
	}
	return expr.NewObject(members...)
}
