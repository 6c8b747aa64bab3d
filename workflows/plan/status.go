// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"

	"github.com/zviz/run/workflows/expr"
)

// condition evaluates the if of a job. It is asked before there is a matrix, and again
// when the run is cancelled.
func (p *Plan) condition(n *node) (bool, error) {
	v, err := p.ev.value(n.def.If, expr.Env{Contexts: p.nodeContexts(n), Functions: n.statusFunctions()})
	if err != nil {
		return false, err
	}
	return expr.Truthy(v), nil
}

// whySkipped says why the condition of a job does not hold: it would if all that it needs
// had succeeded, or it does not hold at all.
func (p *Plan) whySkipped(n *node) string {
	functions := n.statusFunctions()
	functions[expr.Success] = func([]expr.Value) (expr.Value, error) { return expr.Bool(true), nil }
	v, err := p.ev.value(n.def.If, expr.Env{Contexts: p.nodeContexts(n), Functions: functions})
	switch {
	case err != nil || !expr.Truthy(v):
		return "its condition is false"
	case n.scope.stopped():
		return "its workflow was cancelled"
	}
	if need := n.unsuccessful(); need != nil {
		return fmt.Sprintf("it needs %s, which %s", need.scope.name+need.def.Name.Written(), map[Conclusion]string{
			Failure: "failed", Cancelled: "was cancelled", Skipped: "was skipped",
		}[need.result])
	}
	return "its condition is false"
}

// unsuccessful is a job that did not succeed of those that a job needs, the nearest on the
// way; nil if all did.
func (n *node) unsuccessful() *node {
	for at := n; at != nil; {
		var next *node
		for _, need := range at.needs {
			if need.result != Success {
				return need
			}
			if need.above.notAllSuccess && next == nil {
				next = need
			}
		}
		at = next
	}
	return nil
}

// statusFunctions look at all jobs that a job needs, to any depth: one that was skipped
// or failed far above still counts (actions/runner issues 491 and 2205). With names they
// look at those jobs only.
func (n *node) statusFunctions() map[string]expr.Func {
	named := func(want Conclusion, all bool, args []expr.Value) expr.Value {
		for _, a := range args {
			other := n.scope.byID[expr.Fold(expr.ToString(a))]
			if is := other != nil && other.result == want; is != all {
				return expr.Bool(is)
			}
		}
		return expr.Bool(all)
	}
	stopped := n.scope.stopped()
	return map[string]expr.Func{
		expr.Always:    func([]expr.Value) (expr.Value, error) { return expr.Bool(true), nil },
		expr.Cancelled: func([]expr.Value) (expr.Value, error) { return expr.Bool(stopped), nil },
		expr.Success: func(args []expr.Value) (expr.Value, error) {
			if len(args) > 0 && !stopped {
				return named(Success, true, args), nil
			}
			return expr.Bool(!stopped && !n.above.notAllSuccess), nil
		},
		expr.Failure: func(args []expr.Value) (expr.Value, error) {
			if len(args) > 0 {
				return named(Failure, false, args), nil
			}
			return expr.Bool(n.above.failed), nil
		},
	}
}

// nodeContexts are those of a job before there is a matrix, once all that it needs is
// done.
func (p *Plan) nodeContexts(n *node) expr.Values {
	if n.contexts == nil {
		n.contexts = p.contexts(n.scope, n.def.ID.Text)
		n.contexts["needs"] = expr.LazyObject(func() []expr.Member { return results(n.needs) })
	}
	return n.contexts
}

// results are the members of a context of jobs that are done: needs of a job, jobs of a
// called workflow.
func results(nodes []*node) []expr.Member {
	var list []expr.Member
	for _, n := range nodes {
		var outputs []expr.Member
		for _, o := range n.outputs {
			outputs = append(outputs, expr.Member{Name: o.Name, Value: expr.String(o.Value)})
		}
		list = append(list, expr.Member{Name: n.def.ID.Text, Value: expr.NewObject(
			expr.Member{Name: "result", Value: expr.String(n.result)},
			expr.Member{Name: "outputs", Value: expr.NewObject(outputs...)},
		)})
	}
	return list
}
