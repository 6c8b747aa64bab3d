// SPDX-License-Identifier: Apache-2.0

package job

import (
	"maps"
	"slices"

	"github.com/zviz/run/workflows/expr"
)

// environment is variables in the order in which they were first set. Set makes a
// new value: what somebody holds does not change.
type environment struct {
	names  []string
	values map[string]string
}

func newEnvironment(list []Variable) environment {
	var e environment
	for _, v := range list {
		e = e.set(v.Name, v.Value)
	}
	return e
}

func (e environment) get(name string) (string, bool) {
	v, ok := e.values[name]
	return v, ok
}

func (e environment) set(name, value string) environment {
	return e.with([]Variable{{name, value}})
}

func (e environment) with(list []Variable) environment {
	if len(list) == 0 {
		return e
	}
	n := environment{names: slices.Clone(e.names), values: maps.Clone(e.values)}
	if n.values == nil {
		n.values = map[string]string{}
	}
	for _, v := range list {
		if _, ok := n.values[v.Name]; !ok {
			n.names = append(n.names, v.Name)
		}
		n.values[v.Name] = v.Value
	}
	return n
}

func (e environment) list() []Variable {
	out := make([]Variable, 0, len(e.names))
	for _, n := range e.names {
		out = append(out, Variable{n, e.values[n]})
	}
	return out
}

// object is the env context: its names differ in case too.
func (e environment) object() *expr.Object {
	members := make([]expr.Member, 0, len(e.names))
	for _, n := range e.names {
		members = append(members, expr.Member{Name: n, Value: expr.String(e.values[n])})
	}
	return expr.NewExactObject(members...)
}
