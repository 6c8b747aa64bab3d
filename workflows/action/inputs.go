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
	var l values
	for _, v := range given {
		l.set(v.Name, v.Text)
	}
	if m == nil {
		return Inputs{Values: l.list}, nil
	}
	in := Inputs{Warnings: m.warnings(l.list)}
	for _, i := range m.Inputs {
		if l.has(i.Name) {
			continue
		}
		text, err := EvalText(i.Default, syntax.Allowed("action-input-default"), env)
		if err != nil {
			return Inputs{}, fmt.Errorf("default of input '%s': %w", i.Name, err)
		}
		if i.Required && i.Default == nil {
			in.Missing = append(in.Missing, i.Name)
		}
		l.set(i.Name, text)
	}
	in.Values = l.list
	return in, nil
}

// warnings are about inputs that are deprecated, which the runner finds by their exact
// names, and about those that the action does not know.
func (m *Manifest) warnings(given []Value) (list []string) {
	var valid values
	if m.Runs.Kind == Docker { // with.entryPoint and with.args are always taken
		valid.set("entryPoint", "")
		valid.set("args", "")
	}
	deprecated := map[string]string{}
	for _, i := range m.Inputs {
		valid.set(i.Name, "")
		deprecated[i.Name] = i.Deprecation
	}
	var unexpected []string
	for _, v := range given {
		if message := deprecated[v.Name]; message != "" {
			list = append(list, fmt.Sprintf("Input '%s' has been deprecated with message: %s", v.Name, message))
		}
		if !valid.has(v.Name) {
			unexpected = append(unexpected, v.Name)
		}
	}
	if len(unexpected) == 0 {
		return list
	}
	names := make([]string, len(valid.list))
	for i, v := range valid.list {
		names[i] = v.Name
	}
	return append(list, fmt.Sprintf("Unexpected input(s) '%s', valid inputs are ['%s']", strings.Join(unexpected, "', '"), strings.Join(names, "', '")))
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
