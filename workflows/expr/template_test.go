// SPDX-License-Identifier: Apache-2.0

package expr_test

import (
	"strings"
	"testing"

	"github.com/zviz/run/workflows/expr"
)

func TestTemplate(t *testing.T) {
	for _, tt := range []struct {
		text, want string
		kind       expr.Kind
		literal    bool
	}{
		{text: "", want: "", kind: expr.KindString, literal: true},
		{text: "plain } }} { {{ text", want: "plain } }} { {{ text", kind: expr.KindString, literal: true},
		{text: "${{ '${{ x }}' }}", want: "${{ x }}", kind: expr.KindString, literal: true},
		{text: "${{ 'it''s' }}", want: "it's", kind: expr.KindString, literal: true},
		{text: "${{ ('a') }}", want: "a", kind: expr.KindString},
		{text: "${{1}}", want: "1", kind: expr.KindNumber},
		{text: "${{ true }}", want: "true", kind: expr.KindBool},
		{text: "${{ x.none }}", want: "", kind: expr.KindNull},
		{text: "${{ x }}", want: "Object", kind: expr.KindObject},
		{text: " ${{ x.n }}", want: " 1", kind: expr.KindString},
		{text: "${{ x.n }}${{ x.s }}", want: "1it's {0}", kind: expr.KindString},
		{text: "it's {0} ${{ x.n }} }} '${{ x.s }}'", want: "it's {0} 1 }} 'it's {0}'", kind: expr.KindString},
		{text: "a ${{ '}}' }} b", want: "a }} b", kind: expr.KindString},
		{text: "a${{ x.none }}b${{ x }}c${{ true }}", want: "abObjectctrue", kind: expr.KindString},
		{text: "$ {{ x }} $${{ x.n }}", want: "$ {{ x }} $1", kind: expr.KindString},
	} {
		tpl, err := expr.ParseTemplate(tt.text, expr.Options{Contexts: []string{"x"}})
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		_, literal := tpl.Literal()
		v, err := tpl.Eval(expr.Env{Contexts: expr.Values{"x": expr.NewObject(
			expr.Member{Name: "n", Value: expr.Number(1)}, expr.Member{Name: "s", Value: expr.String("it's {0}")})}})
		if err != nil || v.Kind() != tt.kind || literal != tt.literal {
			t.Errorf("%s: got %v, %v, literal %v, want %v, literal %v", tt.text, v, err, literal, tt.kind, tt.literal)
			continue
		}
		if expr.ToString(v) != tt.want {
			t.Errorf("%s: got %q, want %q", tt.text, expr.ToString(v), tt.want)
		}
	}
}

func TestTemplateErrors(t *testing.T) {
	for text, want := range map[string]string{
		"a ${{ x":                 "The expression is not closed. An unescaped ${{ sequence was found, but the closing }} sequence was not found.",
		"${{ 'a }}":               "The expression is not closed.",
		"${{ }}":                  "An expression was expected",
		"a ${{\n}} b":             "An expression was expected",
		"${{ y }}":                "Unrecognized named-value: 'y'. Located at position 1 within expression: y",
		"a ${{ x }} ${{  x == }}": "Unexpected end of expression: '=='. Located at position 3 within expression: x ==",
		"a ${{ insert }}":         "The directive 'insert' is not allowed in this context. ",
		"a ${{ x }}" + strings.Repeat("{", 10500): "Exceeded max expression length 21000",
	} {
		if _, err := expr.ParseTemplate(text, expr.Options{Contexts: []string{"x"}}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.40s: got %v, want %s", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"${{ fromJSON('[]') }}": "A sequence was not expected",
		"${{ fromJSON('{}') }}": "A mapping was not expected",
	} {
		tpl, err := expr.ParseTemplate(text, expr.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if s, err := tpl.EvalString(expr.Env{}); err == nil || err.Error() != want {
			t.Errorf("%s: got %q, %v, want %s", text, s, err, want)
		}
	}
	tpl, err := expr.ParseTemplate("${{ insert }}", expr.Options{})
	if err != nil || !tpl.Insert() || tpl.Expr() != nil {
		t.Errorf("insert: got %+v, %v", tpl, err)
	}
	if _, literal := tpl.Literal(); literal {
		t.Error("insert is no literal")
	}
}

func TestCondition(t *testing.T) {
	signatures := []expr.Signature{{Name: "success", Max: 255}, {Name: "failure", Max: 255}, {Name: "always"}, {Name: "cancelled"}}
	status := func(ok bool) expr.Env {
		is := func(b bool) expr.Func {
			return func([]expr.Value) (expr.Value, error) { return expr.Bool(b), nil }
		}
		return expr.Env{
			Contexts:  expr.Values{"x": expr.String("yes")},
			Functions: map[string]expr.Func{"success": is(ok), "failure": is(!ok), "always": is(true), "cancelled": is(false)},
		}
	}
	for _, tt := range []struct {
		text         string
		good, failed bool // in a job that is successful so far, and in one that failed
		always       bool
	}{
		{"", true, false, false},
		{" \n", true, false, false},
		{"x == 'YES'", true, false, false},
		{"${{ x == 'YES' }}", true, false, false},
		{"false", false, false, false},
		{"x || false", true, false, false},
		{"always()", true, true, false},
		{"${{ ALWAYS() }}", true, true, false},
		{"failure()", false, true, false},
		{"!cancelled()", true, true, false},
		{"contains(toJSON(failure()), 'true')", false, true, false},
		{"'always()'", true, false, false},
		{"${{ 'always()' }}", true, true, false}, // a literal is taken for the text
		{"${{ false }} ", true, false, true},
		{"a ${{ false }}", true, false, true},
		{"${{ x.a }}${{ x.b }}", false, false, false},
		{"${{ always() }} && false", true, true, true},
	} {
		c, err := expr.ParseCondition(tt.text, expr.Options{Contexts: []string{"x"}, Functions: signatures})
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		good, err := c.Eval(status(true))
		failed, err2 := c.Eval(status(false))
		if err != nil || err2 != nil || good != tt.good || failed != tt.failed || c.AlwaysTrue != tt.always {
			t.Errorf("%s (%s): got %v, %v, always %v (%v, %v), want %v, %v, always %v",
				tt.text, c.Expr(), good, failed, c.AlwaysTrue, err, err2, tt.good, tt.failed, tt.always)
		}
	}
	for text, want := range map[string]string{
		"env.x":      "Unrecognized named-value: 'env'. Located at position 1 within expression: env.x",
		"${{ x":      "The expression is not closed.",
		"${{ nope }": "The expression is not closed.",
	} {
		if _, err := expr.ParseCondition(text, expr.Options{Contexts: []string{"x"}, Functions: signatures}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
