// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/zviz/run/workflows/expr"
)

// settle does all that needs no job to run.
func (p *Plan) settle() {
	for !p.done {
		switch {
		case len(p.starts) > 0:
			n := p.starts[0]
			p.starts = p.starts[1:]
			p.start(n)
		case len(p.enters) > 0:
			c := p.enters[0]
			p.enters = p.enters[1:]
			p.enter(c)
		case len(p.fills) > 0:
			n := p.fills[0]
			p.fills = p.fills[1:]
			p.fill(n)
		case len(p.ready) == 0 && p.running == 0:
			p.breakDeadlock()
		default:
			return
		}
	}
}

// start decides about a job all of whose needs are done.
func (p *Plan) start(n *node) {
	for _, need := range n.needs {
		n.above.add(need.result, need.above)
	}
	ok, err := p.condition(n)
	if err != nil {
		n.why = whyOf(p.explain("if", n.def.ID.Text, err))
		p.endNode(n, Failure)
		return
	}
	if !ok {
		n.why = p.whySkipped(n)
		p.endNode(n, Skipped)
		return
	}
	if err := p.expand(n); err != nil {
		n.cells, n.why = nil, whyOf(p.explain("strategy", n.def.ID.Text, err))
		p.endNode(n, Failure)
		return
	}
	if len(n.cells) == 0 {
		n.why = "none of its cells was asked for" // by Options.Matrix
		p.endNode(n, Skipped)
		return
	}
	n.left = len(n.cells)
	p.fills = append(p.fills, n)
}

// fill lets cells have their turn while there is room.
func (p *Plan) fill(n *node) {
	for n.active < n.maxParallel && n.next < len(n.cells) {
		c := n.cells[n.next]
		n.next++
		if c.state == Done {
			continue
		}
		c.entered = true
		n.active++
		if err := p.prepare(c); err != nil {
			p.fail(c, err)
			continue
		}
		p.enter(c)
	}
}

func (p *Plan) fail(c *cell, err error) {
	c.why = whyOf(err)
	p.end(c, Failure)
}

// enter makes a cell ready, or calls its workflow, once it has its concurrency groups.
func (p *Plan) enter(c *cell) {
	for c.state != Done && len(c.wants) > 0 {
		if !p.acquire(c, c.wants[0]) {
			return
		}
		c.wants = c.wants[1:]
	}
	switch {
	case c.state == Done:
	case c.node.def.Uses != nil:
		c.state = Running
		p.call(c)
	default:
		c.state = Ready
		at, _ := slices.BinarySearchFunc(p.ready, c, func(a, b *cell) int { return slices.Compare(a.order, b.order) })
		p.ready = slices.Insert(p.ready, at, c)
	}
}

func (p *Plan) unready(c *cell) {
	if i := slices.Index(p.ready, c); i >= 0 {
		p.ready = slices.Delete(p.ready, i, i+1)
	}
}

// end is the one place where a cell ends.
func (p *Plan) end(c *cell, outcome Conclusion) {
	if c.state == Done {
		return
	}
	n := c.node
	ran := c.state == Running
	c.state, c.outcome, c.result = Done, outcome, outcome
	if c.tolerated && (outcome == Failure || c.timedOut) {
		c.result = Success // actions/runner issue 1161
	}
	p.release(c)
	p.held -= c.size
	c.job, c.contexts, c.size = nil, nil, 0
	if c.entered {
		n.active--
	}
	n.left--
	n.timedOut = n.timedOut || c.timedOut && c.result != Success
	n.takeOutputs(c.outputs)
	if !ran {
		p.ended = append(p.ended, c.status())
	}
	if c.result == Failure && n.failFast && n.left > 0 {
		reason := fmt.Sprintf("the job %q of the same matrix failed", c.name)
		for _, other := range n.cells {
			p.cancelCell(other, reason)
		}
	}
	switch {
	case n.left > 0:
		p.fills = append(p.fills, n)
	case !n.done: // else the cancelled sibling that was the last has ended it
		n.outcome = aggregate(len(n.cells), func(i int) Conclusion { return n.cells[i].outcome })
		p.endNode(n, aggregate(len(n.cells), func(i int) Conclusion { return n.cells[i].result }))
	}
}

// takeOutputs: of the cells of a matrix the last that sets a value wins.
func (n *node) takeOutputs(outputs []Output) {
	for _, o := range outputs {
		if o.Value == "" {
			continue
		}
		key := expr.Fold(o.Name)
		if i, ok := n.slots[key]; ok {
			n.outputs[i].Value = o.Value
			continue
		}
		if n.slots == nil {
			n.slots = map[string]int{}
		}
		n.slots[key] = len(n.outputs)
		n.outputs = append(n.outputs, o)
	}
}

// endNode is the one place where a job as written ends.
func (p *Plan) endNode(n *node, result Conclusion) {
	n.done, n.result, n.outcome, n.contexts = true, result, cmp.Or(n.outcome, result), nil
	if len(n.cells) == 0 {
		p.ended = append(p.ended, n.status())
	}
	for _, d := range n.dependents {
		if d.unmet--; d.unmet == 0 {
			p.starts = append(p.starts, d)
		}
	}
	s := n.scope
	if s.left--; s.left > 0 {
		return
	}
	result = aggregate(len(s.nodes), func(i int) Conclusion { return s.nodes[i].result })
	timedOut := slices.ContainsFunc(s.nodes, func(n *node) bool { return n.timedOut })
	if s.caller != nil {
		s.caller.timedOut = timedOut
		p.endCall(s.caller, result)
		return
	}
	switch {
	case result == Cancelled && timedOut && !p.cancelled:
		result = Failure
	case p.cancelled && result != Failure:
		result = Cancelled
	}
	p.done, p.conclusion = true, result
}

// cancelCell ends a cell that waits, and asks for the end of one that runs.
func (p *Plan) cancelCell(c *cell, reason string) {
	switch {
	case c.state == Done:
	case c.sub != nil:
		p.cancelScope(c.sub, reason)
	case c.state == Running:
		if c.why == "" {
			c.why = reason
			p.stops = append(p.stops, Stop{c.id, reason})
		}
	default:
		if c.state == Ready {
			p.unready(c)
		}
		c.why = reason
		p.end(c, Cancelled)
	}
}

// cancelScope cancels the jobs of a workflow whose condition does not hold any more.
// Jobs that wait for others decide when these are done.
func (p *Plan) cancelScope(s *scope, reason string) {
	s.cancelled = true
	for _, n := range s.nodes {
		if n.done || len(n.cells) == 0 {
			continue
		}
		goesOn, err := p.condition(n)
		for _, c := range n.cells {
			if !goesOn || err != nil || c.sub != nil {
				p.cancelCell(c, reason)
			}
		}
	}
}
