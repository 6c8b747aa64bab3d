// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"cmp"
	"slices"
)

// Kind is what kind of thing a workflow needs.
type Kind string

// The kinds, in the order in which they are listed.
const (
	Label    Kind = "label"    // of runs-on
	Image    Kind = "image"    // of a container or a service
	Called   Kind = "workflow" // that a job calls
	Action   Kind = "action"
	Node     Kind = "node"  // a major version, for actions
	Shell    Kind = "shell" // of steps
	Tool     Kind = "tool"  // a program that a step's script starts
	Registry Kind = "registry"
	Secret   Kind = "secret"
	Variable Kind = "variable"
)

func order(k Kind) int {
	return slices.Index([]Kind{Label, Image, Called, Action, Node, Shell, Tool, Registry, Secret, Variable}, k)
}

// State is whether it is there.
type State string

// The states.
const (
	Here    State = "here"
	Fetch   State = "fetch"   // a run fetches it
	Made    State = "made"    // a step of the job before brings it, as far as its words say
	Give    State = "give"    // who starts the run gives it, or it is empty
	Reach   State = "reach"   // a step may reach it unless other hosts are named
	Unknown State = "unknown" // only a run knows
	Missing State = "missing" // this machine lacks it
)

// Item is one thing.
type Item struct {
	Kind   Kind     `json:"kind"`
	Name   string   `json:"name"`
	State  State    `json:"state"`
	Detail string   `json:"detail,omitempty"` // for people: where it is, or why not
	Used   []string `json:"used"`             // job, or job/step
}

// Lacks says that a run would miss it.
func (i Item) Lacks() bool { return i.State == Missing }

// items gathers each thing once, with all that use it.
type items struct{ list []Item }

func (l *items) add(k Kind, name string, s State, detail, used string) {
	i := slices.IndexFunc(l.list, func(x Item) bool { return x.Kind == k && x.Name == name })
	if i < 0 {
		l.list = append(l.list, Item{k, name, s, detail, []string{used}})
		return
	}
	x := &l.list[i]
	if !slices.Contains(x.Used, used) {
		x.Used = append(x.Used, used)
	}
	if s == Missing && x.State != Missing { // one job brings it, another one does not
		x.State, x.Detail, x.Used = s, detail, []string{used}
	}
}

func (l *items) sorted() []Item {
	slices.SortStableFunc(l.list, func(a, b Item) int {
		return cmp.Or(cmp.Compare(order(a.Kind), order(b.Kind)), cmp.Compare(a.Name, b.Name))
	})
	return l.list
}
