// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"slices"
	"strings"
	"unicode"
)

// The functions that make success() the caller's own business.
const (
	Success   = "success"
	Failure   = "failure"
	Cancelled = "cancelled"
	Always    = "always"
)

// Condition is an if.
type Condition struct {
	expr *Expr
	// AlwaysTrue is set if there is text around the expression: then the value is
	// a text that is not empty, hence true whatever the expression says. GitHub
	// behaves so; nobody means it.
	AlwaysTrue bool
}

// ParseCondition reads the text of an if, with or without ${{ }}. Without a status
// function anywhere in it, it is success() && (TEXT); without a text, success().
// success must be among the functions of o, as it is wherever there is an if. The
// error is as that of ParseTemplate.
func ParseCondition(text string, o Options) (*Condition, error) {
	around := false
	if strings.Contains(text, openMark) {
		t, err := ParseTemplate(text, o)
		if err != nil {
			return nil, err
		}
		parts, _ := splitTemplate(text)
		around = slices.ContainsFunc(parts, func(p templatePart) bool { return !p.marked })
		text = t.text // a literal is an expression in its turn
		if t.expr != nil {
			text = t.expr.src
		}
	}
	if strings.TrimFunc(text, unicode.IsSpace) == "" {
		text = Success + "()"
	}
	x, err := Parse(text, o)
	if err != nil {
		return nil, err
	}
	if !x.Calls(Success, Failure, Cancelled, Always) {
		x, err = Parse(Success+"() && ("+text+")", o)
		if err != nil {
			return nil, err
		}
	}
	return &Condition{expr: x, AlwaysTrue: around}, nil
}

// Expr is the whole condition.
func (c *Condition) Expr() *Expr { return c.expr }

// Eval says whether what the condition belongs to is to run.
func (c *Condition) Eval(env Env) (bool, error) {
	v, err := c.expr.Eval(env)
	if err != nil {
		return false, err
	}
	return Truthy(v), nil
}
