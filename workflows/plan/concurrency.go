// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"unicode/utf16"

	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// Group is a concurrency group: of those that name it one runs at a time, one waits, and
// a newcomer takes the place of the one that waits. Names ignore case.
type Group struct {
	Name   string // empty: none
	Cancel bool   // the one that runs too
	Queue  bool   // as many wait as there is room for, the first comes first
	Holder string // id of the job that names it; of the run's own group empty
}

// maxQueue is how many wait in a group with queue: max (changelog of 2026-05-07).
const maxQueue = 100

// maxGroupName is in UTF-16 units (ConcurrencyModel of the converter: 400).
const maxGroupName = 400

// group is a concurrency group in this run.
type group struct {
	name    string
	holder  *cell
	pending []*cell
}

// group evaluates a concurrency.
func (p *Plan) group(t *syntax.Token, env expr.Env) (Group, error) {
	v, err := p.ev.evaluate(t, env)
	if err != nil || v == nil {
		return Group{}, err
	}
	g := Group{}
	switch v.Kind {
	case syntax.Sequence:
		return g, unexpected(v)
	case syntax.Mapping:
		name := v.Get("group")
		if name == nil {
			return g, wrong(v, "Required property is missing: group")
		}
		if !name.Scalar() {
			return g, unexpected(name)
		}
		g.Name, g.Queue = name.String(), v.Get("queue").String() == "max"
		if c := v.Get("cancel-in-progress"); c != nil {
			if c.Kind != syntax.Bool {
				return g, unexpected(c)
			}
			g.Cancel = c.Bool
		}
	default:
		g.Name = v.String()
	}
	if g.Name == "" {
		return g, wrong(v, "Concurrency group name cannot be empty")
	}
	if len(utf16.Encode([]rune(g.Name))) > maxGroupName {
		return g, wrong(v, "Concurrency group name must be less than 400 characters")
	}
	return g, nil
}

// want makes a cell wait for a group.
func (c *cell) want(g Group) {
	if g.Name != "" {
		c.named, c.wants = append(c.named, g), append(c.wants, g)
	}
}

// groups are those that a cell runs in: its own, then those of its callers.
func (c *cell) groups() []Group {
	var list []Group
	for at := c; at != nil; at = at.node.scope.caller {
		for _, g := range at.named {
			g.Holder = at.id
			list = append(list, g)
		}
	}
	return list
}

// acquire gives a group to a cell. If it cannot, the cell waits in the group, or ends.
func (p *Plan) acquire(c *cell, want Group) bool {
	key := expr.Fold(want.Name)
	if above := p.heldAbove(c, key); above != "" {
		c.why = fmt.Sprintf("Canceling since a deadlock for concurrency group '%s' was detected between '%s' and '%s'", want.Name, above, c.name)
		p.end(c, Cancelled)
		return false
	}
	g := p.groups[key]
	if g == nil {
		g = &group{name: want.Name}
		p.groups[key] = g
	}
	if g.holder == c {
		return true
	}
	if g.holder == nil {
		g.holder = c
		c.holds = append(c.holds, g)
		return true
	}
	reason := fmt.Sprintf("Canceling since a higher priority waiting request for '%s' exists", want.Name)
	if want.Queue && len(g.pending) >= maxQueue {
		c.why = fmt.Sprintf("%d jobs wait for the concurrency group '%s' already", maxQueue, want.Name)
		p.end(c, Cancelled)
		return false
	}
	// It waits before it drives others out: what ends with them may end it too, or leave
	// the group to it.
	others := slices.Clone(g.pending)
	c.state, c.waitsIn = Pending, g
	g.pending = append(g.pending, c)
	if !want.Queue {
		for _, other := range others {
			p.cancelCell(other, reason)
		}
	}
	if want.Cancel && c.state == Pending && g.holder != nil {
		p.cancelCell(g.holder, reason)
	}
	return false
}

// heldAbove names what holds the group and waits for the cell: a caller, or the run.
func (p *Plan) heldAbove(c *cell, key string) string {
	if p.Group.Name != "" && expr.Fold(p.Group.Name) == key {
		return "top level workflow"
	}
	for s := c.node.scope; s.caller != nil; s = s.caller.node.scope {
		for _, g := range s.caller.holds {
			if expr.Fold(g.name) == key {
				return s.caller.name
			}
		}
	}
	return ""
}

// release gives up the groups of a cell, and its place in one.
func (p *Plan) release(c *cell) {
	if g := c.waitsIn; g != nil {
		g.pending = slices.DeleteFunc(g.pending, func(other *cell) bool { return other == c })
		c.waitsIn = nil
	}
	for _, g := range c.holds {
		g.holder = nil
		if len(g.pending) == 0 {
			delete(p.groups, expr.Fold(g.name))
			continue
		}
		next := g.pending[0]
		g.pending = slices.Delete(g.pending, 0, 1)
		g.holder, next.waitsIn, next.state = next, nil, Waiting
		next.holds = append(next.holds, g)
		p.enters = append(p.enters, next)
	}
	c.holds = nil
}

// breakDeadlock cancels a job that waits for a group when nothing runs that could give
// it up: two called workflows may each hold what a job of the other wants.
func (p *Plan) breakDeadlock() {
	var first *cell
	for _, g := range p.groups {
		for _, c := range g.pending {
			if first == nil || slices.Compare(c.order, first.order) < 0 {
				first = c
			}
		}
	}
	if first == nil {
		panic("bug: a run is not done, and nothing is left to do")
	}
	first.why = fmt.Sprintf("Canceling since a deadlock for concurrency group '%s' was detected", first.waitsIn.name)
	p.end(first, Cancelled)
}
