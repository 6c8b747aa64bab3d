// SPDX-License-Identifier: Apache-2.0

package run

import (
	"slices"
	"strconv"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// chosen are the steps that the request names, and checkouts: without files there is
// nothing to do.
func (r *runner) chosen(steps []*workflows.Step) []*workflows.Step {
	if len(r.q.Steps) == 0 {
		return steps
	}
	var out []*workflows.Step
	for i, s := range steps {
		named := slices.ContainsFunc(r.q.Steps, func(want string) bool { return isStep(s, i, want) })
		if named || usesCheckout(s) {
			out = append(out, s)
		}
	}
	return out
}

// isStep reports whether a name of Request.Steps is that of a step: its id, its name, or
// its number, which is i from 1.
func isStep(s *workflows.Step, i int, want string) bool {
	return want == s.ID || s.Name != nil && want == s.Name.AsWritten() || want == strconv.Itoa(i+1)
}

// HasStep reports whether any of the jobs, or of those that they call, has a step of that
// name, as Request.Steps has it.
func HasStep(jobs []*workflows.Job, want string) bool {
	return slices.ContainsFunc(jobs, func(j *workflows.Job) bool {
		for i, s := range j.Steps {
			if isStep(s, i, want) {
				return true
			}
		}
		return HasStep(j.Call.Jobs, want)
	})
}

// HasMatrixKey reports whether the matrix of any of the jobs, or of those that they call,
// has a key of that name, or may have one: what an expression gives is not known.
func HasMatrixKey(jobs []*workflows.Job, name string) bool {
	return slices.ContainsFunc(jobs, func(j *workflows.Job) bool {
		if j.Strategy.IsExpression() || mayHaveKey(j.Strategy.Get("matrix"), name) {
			return true
		}
		return HasMatrixKey(j.Call.Jobs, name)
	})
}

// mayHaveKey looks at a matrix, whose include may add keys.
func mayHaveKey(matrix *syntax.Token, name string) bool {
	if matrix == nil || matrix.IsExpression() {
		return matrix != nil
	}
	has := func(pairs []syntax.Pair) bool {
		return slices.ContainsFunc(pairs, func(p syntax.Pair) bool {
			return p.Key.IsExpression() || expr.Fold(p.Key.Text) == expr.Fold(name)
		})
	}
	include := matrix.Get("include")
	if include.IsExpression() || include != nil && slices.ContainsFunc(include.Items, func(t *syntax.Token) bool { return t.IsExpression() || has(t.Pairs) }) {
		return true
	}
	return has(slices.DeleteFunc(slices.Clone(matrix.Pairs), func(p syntax.Pair) bool {
		return p.Key.Text == "include" || p.Key.Text == "exclude"
	}))
}
