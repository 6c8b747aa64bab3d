// SPDX-License-Identifier: Apache-2.0

package action

import (
	"fmt"
	"strings"

	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// Inputs are what an action gets.
type Inputs struct {
	Values   []Value  // those of the step in its order, then those that have a default only
	Warnings []string // GitHub's texts
	Missing  []string // required, not given and without a default: GitHub says nothing
}

// Resolve makes the inputs of what a step gives (EvalMapping of its with) and the
// defaults, which are evaluated in env. An input that is given is as it is, empty too; one
// that is not has its default, else an empty text. What the action does not know goes
// along, with a warning. A nil manifest, which is that of docker://image, knows nothing
// and warns of nothing.
func (m *Manifest) Resolve(given []Value, env expr.Env) (Inputs, error) {
	var in Inputs
	for _, v := range given {
		in.Values = set(in.Values, v.Name, v.Text)
	}
	if m == nil {
		return in, nil
	}
	for _, v := range in.Values {
		// The runner finds a deprecated input by its exact name.
		if i, ok := m.Input(v.Name); ok && i.Name == v.Name && i.Deprecation != "" {
			in.Warnings = append(in.Warnings, fmt.Sprintf("Input '%s' has been deprecated with message: %s", v.Name, i.Deprecation))
		}
	}
	if w := m.unexpected(in.Values); w != "" {
		in.Warnings = append(in.Warnings, w)
	}
	for _, i := range m.Inputs {
		if _, ok := in.Get(i.Name); ok {
			continue
		}
		text, err := EvalText(i.Default, syntax.Allowed("action-input-default"), env)
		if err != nil {
			return Inputs{}, fmt.Errorf("default of input '%s': %w", i.Name, err)
		}
		if i.Required && i.Default == nil {
			in.Missing = append(in.Missing, i.Name)
		}
		in.Values = append(in.Values, Value{i.Name, text})
	}
	return in, nil
}

// unexpected is the warning about inputs that the action does not know.
func (m *Manifest) unexpected(given []Value) string {
	var valid, wrong []string
	if m.Runs.Kind == Docker { // with.entryPoint and with.args are always taken
		valid = append(valid, "entryPoint", "args")
	}
	add := func(name string) {
		for _, v := range valid {
			if sameName(v, name) {
				return
			}
		}
		valid = append(valid, name)
	}
	for _, i := range m.Inputs {
		add(i.Name)
	}
	known := make(map[string]bool, len(valid))
	for _, v := range valid {
		known[expr.Fold(v)] = true
	}
	for _, v := range given {
		if !known[expr.Fold(v.Name)] {
			wrong = append(wrong, v.Name)
		}
	}
	if len(wrong) == 0 {
		return ""
	}
	return fmt.Sprintf("Unexpected input(s) '%s', valid inputs are ['%s']", strings.Join(wrong, "', '"), strings.Join(valid, "', '"))
}

// Get finds an input without regard to case.
func (in Inputs) Get(name string) (string, bool) {
	for _, v := range in.Values {
		if sameName(v.Name, name) {
			return v.Text, true
		}
	}
	return "", false
}

// Environ are the variables of node and docker actions, as NAME=VALUE. Composite actions
// have none. Names that become the same have the last value, as in the runner.
func (in Inputs) Environ() []string {
	var names []string
	values := map[string]string{}
	for _, v := range in.Values {
		name := EnvName(v.Name)
		if _, twice := values[name]; !twice {
			names = append(names, name)
		}
		values[name] = v.Text
	}
	for i, name := range names {
		names[i] = name + "=" + values[name]
	}
	return names
}

// EnvName is the variable of an input: only spaces change, and case.
func EnvName(input string) string {
	return "INPUT_" + expr.Fold(strings.ReplaceAll(input, " ", "_"))
}

// Context is the context inputs, in which all are texts.
func (in Inputs) Context() *expr.Object {
	members := make([]expr.Member, len(in.Values))
	for i, v := range in.Values {
		members[i] = expr.Member{Name: v.Name, Value: expr.String(v.Text)}
	}
	return expr.NewObject(members...)
}

func (in Inputs) env() expr.Env { return expr.Env{Contexts: expr.Values{"inputs": in.Context()}} }
