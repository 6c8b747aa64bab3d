// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// Evaluate replaces the expressions in a token by their values. Where a token may stand,
// and which contexts it may name there, was checked when the file was read: contexts that
// env does not have are null. The error is an *EvalError.
func Evaluate(t *syntax.Token, env expr.Env) (*syntax.Token, error) {
	return (&evaluator{}).evaluate(t, env)
}

// EvalError is an expression that has no value, or one that cannot stand where it does.
type EvalError struct {
	Pos  syntax.Pos
	Text string // GitHub's, without the place
	err  error
}

func (e *EvalError) Error() string { return e.Text }

// Unwrap returns the error of the expression.
func (e *EvalError) Unwrap() error { return e.err }

func wrong(t *syntax.Token, text string) *EvalError { return &EvalError{Pos: t.Pos, Text: text} }

// unexpected is a value of the wrong kind.
func unexpected(t *syntax.Token) *EvalError {
	switch t.Kind {
	case syntax.Mapping:
		return wrong(t, "A mapping was not expected")
	case syntax.Sequence:
		return wrong(t, "A sequence was not expected")
	default:
		return wrong(t, "Unexpected value '"+t.String()+"'")
	}
}

// evaluator keeps the expressions that it has parsed: a cell of a matrix has those of the
// other cells.
type evaluator struct {
	options expr.Options
	parsed  map[*syntax.Token]*expr.Expr
}

// anyContext are the names that were checked when the file was read.
func anyContext() expr.Options {
	const many = 1<<31 - 1
	return expr.Options{
		Contexts: []string{"github", "env", "vars", "inputs", "needs", "strategy", "matrix", "job", "jobs", "runner", "secrets", "steps"},
		Functions: []expr.Signature{
			{Name: expr.Always, Max: many},
			{Name: expr.Success, Max: many},
			{Name: expr.Failure, Max: many},
			{Name: expr.Cancelled, Max: many},
			{Name: "hashFiles", Max: many},
		},
	}
}

func (e *evaluator) parse(t *syntax.Token) (*expr.Expr, error) {
	if x := e.parsed[t]; x != nil {
		return x, nil
	}
	if e.parsed == nil {
		e.options, e.parsed = anyContext(), map[*syntax.Token]*expr.Expr{}
	}
	x, err := expr.Parse(t.Text, e.options)
	if err != nil {
		return nil, &EvalError{t.Pos, err.Error(), err}
	}
	e.parsed[t] = x
	return x, nil
}

// value evaluates an expression.
func (e *evaluator) value(t *syntax.Token, env expr.Env) (expr.Value, error) {
	x, err := e.parse(t)
	if err != nil {
		return nil, err
	}
	v, err := x.Eval(env)
	if err != nil {
		return nil, &EvalError{t.Pos, err.Error(), err}
	}
	return v, nil
}

func (e *evaluator) evaluate(t *syntax.Token, env expr.Env) (*syntax.Token, error) {
	switch {
	case t == nil || !t.HasExpression():
		return t, nil
	case t.Kind == syntax.Expression:
		v, err := e.value(t, env)
		if err != nil {
			return nil, err
		}
		return tokenOf(v, t.Pos, 0)
	case t.Kind == syntax.Sequence:
		out := &syntax.Token{Kind: syntax.Sequence, Pos: t.Pos}
		for _, i := range t.Items {
			v, err := e.evaluate(i, env)
			if err != nil {
				return nil, err
			}
			out.Items = append(out.Items, v)
		}
		return out, nil
	case t.Kind == syntax.Mapping:
		return e.mapping(t, env)
	default:
		return nil, unexpected(t)
	}
}

func (e *evaluator) mapping(t *syntax.Token, env expr.Env) (*syntax.Token, error) {
	out := &syntax.Token{Kind: syntax.Mapping, Pos: t.Pos}
	seen := map[string]bool{}
	add := func(k, v *syntax.Token) error {
		if seen[expr.Fold(k.Text)] {
			return wrong(k, "'"+k.Text+"' is already defined")
		}
		seen[expr.Fold(k.Text)] = true
		out.Pairs = append(out.Pairs, syntax.Pair{Key: k, Value: v})
		return nil
	}
	for _, p := range t.Pairs {
		v, err := e.evaluate(p.Value, env)
		if err != nil {
			return nil, err
		}
		if p.Key.Kind == syntax.Insert { // its members take its place
			if v.Kind != syntax.Mapping {
				return nil, unexpected(v)
			}
			for _, q := range v.Pairs {
				if err := add(q.Key, q.Value); err != nil {
					return nil, err
				}
			}
			continue
		}
		k, err := e.text(p.Key, env)
		if err == nil {
			err = add(&syntax.Token{Kind: syntax.String, Pos: p.Key.Pos, Text: k}, v)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// text evaluates what must be a text; null is the empty one.
func (e *evaluator) text(t *syntax.Token, env expr.Env) (string, error) {
	v, err := e.evaluate(t, env)
	if err != nil || v == nil {
		return "", err
	}
	if !v.Scalar() {
		return "", unexpected(v)
	}
	return v.String(), nil
}

// later says whether a token names what is not known before the job runs.
func (e *evaluator) later(t *syntax.Token) (bool, error) {
	for x := range t.All() {
		if x.Kind != syntax.Expression {
			continue
		}
		parsed, err := e.parse(x)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(parsed.Contexts(), func(name string) bool {
			return slices.Contains([]string{"secrets", "env", "steps", "job", "runner"}, name)
		}) || parsed.Calls("hashFiles") {
			return true, nil
		}
	}
	return false, nil
}

// maxDepth is GitHub's for what is read and what is evaluated (ParseOptions.cs).
const maxDepth = 50

// tokenOf makes a token of a value, so that it can stand where a written one can.
func tokenOf(v expr.Value, pos syntax.Pos, depth int) (*syntax.Token, error) {
	t := &syntax.Token{Pos: pos}
	if depth > maxDepth {
		return nil, wrong(t, "Maximum object depth exceeded")
	}
	switch v := v.(type) {
	case expr.Bool:
		t.Kind, t.Bool = syntax.Bool, bool(v)
	case expr.Number:
		t.Kind, t.Num = syntax.Number, float64(v)
	case expr.String:
		t.Kind, t.Text = syntax.String, string(v)
	case *expr.Array:
		t.Kind = syntax.Sequence
		for _, i := range v.All() {
			item, err := tokenOf(i, pos, depth+1)
			if err != nil {
				return nil, err
			}
			t.Items = append(t.Items, item)
		}
	case *expr.Object:
		t.Kind = syntax.Mapping
		for name, m := range v.All() {
			value, err := tokenOf(m, pos, depth+1)
			if err != nil {
				return nil, err
			}
			t.Pairs = append(t.Pairs, syntax.Pair{Key: &syntax.Token{Kind: syntax.String, Pos: pos, Text: name}, Value: value})
		}
	}
	return t, nil
}
