// SPDX-License-Identifier: Apache-2.0

package workflows

import (
	"strings"

	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// ifKind is where an if stands.
type ifKind string

const (
	ifJob      ifKind = "Job"
	ifStep     ifKind = "Step"
	ifSnapshot ifKind = "Snapshot"
)

// options are what an if may name.
func (k ifKind) options() expr.Options {
	const many = 1<<31 - 1
	status := func(most int) []expr.Signature {
		return []expr.Signature{{Name: "always"}, {Name: "failure", Max: most}, {Name: "cancelled"}, {Name: "success", Max: most}}
	}
	if k == ifJob {
		return expr.Options{Contexts: []string{"github", "vars", "inputs", "needs"}, Functions: status(many)}
	}
	return expr.Options{
		Contexts:  []string{"github", "vars", "inputs", "needs", "strategy", "matrix", "steps", "job", "runner", "env"},
		Functions: append(status(0), expr.Signature{Name: "hashFiles", Min: 1, Max: 255}),
	}
}

// condition is an if in its full form: success() if it is empty, and success() && (…)
// if it asks for no status itself.
func (c *converter) condition(t *syntax.Token, kind ifKind) *syntax.Token {
	result := &syntax.Token{Kind: syntax.Expression, Text: "success()"}
	if t == nil {
		return result
	}
	result.Pos = t.Pos
	if t.Kind != syntax.Expression && !c.want(t, syntax.String, string(kind)+" if") {
		return result
	}
	if strings.TrimSpace(t.Text) == "" {
		return result
	}
	e, err := expr.Parse(t.Text, kind.options())
	if err != nil {
		c.wrong(t, err)
		return result
	}
	if result.Text = t.Text; !e.Calls("always", "cancelled", "failure", "success") {
		result.Text = "success() && (" + t.Text + ")"
	}
	if t.Around {
		c.warn(t, "this condition is always true: it is a text around an expression; put all of it into ${{ }}")
	}
	return result
}
