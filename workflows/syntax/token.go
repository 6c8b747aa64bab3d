// SPDX-License-Identifier: Apache-2.0

package syntax

import (
	"iter"

	"github.com/zviz/run/workflows/expr"
)

// Kind is what a token is.
type Kind int

// The kinds.
const (
	Null Kind = iota
	Bool
	Number
	String
	Sequence
	Mapping
	Expression // ${{ … }}, to be evaluated later
	Insert     // ${{ insert }}, as a key
)

// Pos is a place in a file. The zero value is no place: a token that we made.
type Pos struct {
	File      int // 1 for the first of the reader's files
	Line, Col int // from 1
}

// Token is a node of a file that was read: checked, not yet evaluated. It does not
// change once it is handed out.
type Token struct {
	Kind Kind
	Pos  Pos
	Bool bool
	Num  float64
	Text string // of a String; the source of an Expression, without ${{ }}
	// Source is the text that an Expression was made of, if that is more than one ${{ }}.
	Source string
	Items  []*Token
	Pairs  []Pair
}

// Pair is an entry of a mapping. The key is a String, an Expression or an Insert.
type Pair struct{ Key, Value *Token }

// Scalar says whether t is neither sequence nor mapping.
func (t *Token) Scalar() bool { return t != nil && t.Kind != Sequence && t.Kind != Mapping }

// IsExpression says whether t is known only when it is evaluated.
func (t *Token) IsExpression() bool { return t != nil && (t.Kind == Expression || t.Kind == Insert) }

// Get returns the value of a key of a mapping, nil if there is none.
func (t *Token) Get(key string) *Token {
	if t != nil {
		for _, p := range t.Pairs {
			if p.Key.Kind == String && p.Key.Text == key {
				return p.Value
			}
		}
	}
	return nil
}

// String is a scalar as text, in GitHub's form.
func (t *Token) String() string {
	switch {
	case t == nil || t.Kind == Null:
		return ""
	case t.Kind == Bool && t.Bool:
		return "true"
	case t.Kind == Bool:
		return "false"
	case t.Kind == Number:
		return expr.FormatNumber(t.Num)
	case t.Kind == Expression:
		return "${{ " + t.Text + " }}"
	case t.Kind == Insert:
		return "${{ insert }}"
	default:
		return t.Text
	}
}

// Written is a scalar as it is in the file, which String is not for an expression with text
// around it.
func (t *Token) Written() string {
	if t != nil && t.Source != "" {
		return t.Source
	}
	return t.String()
}

// All are t and all tokens below it, keys too, in the order of the file.
func (t *Token) All() iter.Seq[*Token] {
	return func(yield func(*Token) bool) { t.walk(yield) }
}

func (t *Token) walk(yield func(*Token) bool) bool {
	if t == nil {
		return true
	}
	if !yield(t) {
		return false
	}
	for _, i := range t.Items {
		if !i.walk(yield) {
			return false
		}
	}
	for _, p := range t.Pairs {
		if !p.Key.walk(yield) || !p.Value.walk(yield) {
			return false
		}
	}
	return true
}

// HasExpression says whether t or anything below it is an expression.
func (t *Token) HasExpression() bool {
	for x := range t.All() {
		if x.IsExpression() {
			return true
		}
	}
	return false
}

// Value is a token without expressions as a value of the language; an expression in
// it becomes null.
func (t *Token) Value() expr.Value {
	switch {
	case t == nil:
		return expr.Null{}
	case t.Kind == Bool:
		return expr.Bool(t.Bool)
	case t.Kind == Number:
		return expr.Number(t.Num)
	case t.Kind == String:
		return expr.String(t.Text)
	case t.Kind == Sequence:
		items := make([]expr.Value, len(t.Items))
		for i, x := range t.Items {
			items[i] = x.Value()
		}
		return expr.NewArray(items...)
	case t.Kind == Mapping:
		members := make([]expr.Member, len(t.Pairs))
		for i, p := range t.Pairs {
			members[i] = expr.Member{Name: p.Key.Text, Value: p.Value.Value()}
		}
		return expr.NewObject(members...)
	default:
		return expr.Null{}
	}
}
