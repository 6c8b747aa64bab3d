// SPDX-License-Identifier: Apache-2.0

package plan

import (
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
