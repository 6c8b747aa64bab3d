// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/plan"
	"github.com/zviz/run/workflows/syntax"
)

// withValue is a workflow with a text as the value of a variable, and as an if.
func withValue(t *testing.T, env, condition string) (*workflows.Step, []*syntax.Error) {
	t.Helper()
	quote := strconv.QuoteToASCII // Go's escapes are YAML's too
	wf, p := workflows.Parse("f.yml", "on: push\njobs:\n  j:\n    runs-on: x\n    steps:\n      - run: y\n        env: {A: "+quote(env)+"}\n        if: "+quote(condition)+"\n", workflows.Options{})
	if wf == nil {
		return nil, p.Errors
	}
	return wf.Jobs[0].Steps[0], nil
}

// TestTemplate: one expression that is the whole text keeps the type of its value; with
// text around it, or with others, the value is a text.
func TestTemplate(t *testing.T) {
	for _, tt := range []struct {
		text, want string
		kind       syntax.Kind
		literal    bool
	}{
		{text: "", want: "", kind: syntax.String, literal: true},
		{text: "plain } }} { {{ text", want: "plain } }} { {{ text", kind: syntax.String, literal: true},
		{text: "${{ '${{ x }}' }}", want: "${{ x }}", kind: syntax.String, literal: true},
		{text: "${{ 'it''s' }}", want: "it's", kind: syntax.String, literal: true},
		{text: "${{ ('a') }}", want: "a", kind: syntax.String},
		{text: "${{1}}", want: "1", kind: syntax.Number},
		{text: "${{ true }}", want: "true", kind: syntax.Bool},
		{text: "${{ github.none }}", want: "", kind: syntax.Null},
		{text: "${{ github }}", kind: syntax.Mapping},
		{text: " ${{ github.n }}", want: " 1", kind: syntax.String},
		{text: "${{ github.n }}${{ github.s }}", want: "1it's {0}", kind: syntax.String},
		{text: "it's {0} ${{ github.n }} }} '${{ github.s }}'", want: "it's {0} 1 }} 'it's {0}'", kind: syntax.String},
		{text: "a ${{ '}}' }} b", want: "a }} b", kind: syntax.String},
		{text: "a${{ github.none }}b${{ github }}c${{ true }}", want: "abObjectctrue", kind: syntax.String},
		{text: "$ {{ x }} $${{ github.n }}", want: "$ {{ x }} $1", kind: syntax.String},
	} {
		step, errs := withValue(t, tt.text, "")
		if errs != nil {
			t.Errorf("%s: %v", tt.text, errs)
			continue
		}
		token := step.Env.Get("A")
		v, err := plan.Evaluate(token, expr.Env{Contexts: expr.Values{"github": expr.NewObject(
			expr.Member{Name: "n", Value: expr.Number(1)}, expr.Member{Name: "s", Value: expr.String("it's {0}")})}})
		if err != nil || v.Kind != tt.kind || token.IsExpression() == tt.literal {
			t.Errorf("%s: got %+v, %v of %+v, want %v, literal %v", tt.text, v, err, token, tt.kind, tt.literal)
			continue
		}
		if v.String() != tt.want {
			t.Errorf("%s: got %q, want %q", tt.text, v, tt.want)
		}
	}
}

func TestTemplateErrors(t *testing.T) {
	for text, want := range map[string]string{
		"a ${{ x":                       "The expression is not closed. An unescaped ${{ sequence was found, but the closing }} sequence was not found.",
		"${{ 'a }}":                     "The expression is not closed.",
		"${{ }}":                        "An expression was expected",
		"a ${{\n}} b":                   "An expression was expected",
		"${{ y }}":                      "Unrecognized named-value: 'y'. Located at position 1 within expression: y",
		"a ${{ env.x }} ${{  env == }}": "Unexpected end of expression: '=='. Located at position 5 within expression: env ==",
		"a ${{ insert }}":               "The directive 'insert' is not allowed in this context. ",
		"a ${{ env.x }}" + strings.Repeat("{", 10500): "Exceeded max expression length 21000",
	} {
		if _, errs := withValue(t, text, ""); len(errs) == 0 || !strings.HasPrefix(errs[0].Message, want) {
			t.Errorf("%.40s: got %v, want %s", text, errs, want)
		}
	}
}

// TestCondition: in a job that is successful so far, and in one that failed.
func TestCondition(t *testing.T) {
	for _, tt := range []struct {
		text         string
		good, failed bool
	}{
		{"", true, false},
		{" \n", true, false},
		{"github.x == 'YES'", true, false},
		{"${{ github.x == 'YES' }}", true, false},
		{"false", false, false},
		{"github.x || false", true, false},
		{"always()", true, true},
		{"${{ ALWAYS() }}", true, true},
		{"failure()", false, true},
		{"!cancelled()", true, true},
		{"contains(toJSON(failure()), 'true')", false, true},
		{"'always()'", true, false},
		{"${{ 'always()' }}", true, true}, // a literal is taken for the text
		{"${{ false }} ", true, false},
		{"a ${{ false }}", true, false},
		{"${{ github.a }}${{ github.b }}", false, false},
		{"${{ always() }} && false", true, true},
		{"${{ always() && !contains(github.x, '${{') }}", true, true},
	} {
		step, errs := withValue(t, "", tt.text)
		if errs != nil {
			t.Errorf("%s: %v", tt.text, errs)
			continue
		}
		is := func(b bool) expr.Func {
			return func([]expr.Value) (expr.Value, error) { return expr.Bool(b), nil }
		}
		holds := func(status plan.Conclusion) bool {
			v, err := plan.Evaluate(step.If, expr.Env{
				Contexts: expr.Values{"github": expr.NewObject(expr.Member{Name: "x", Value: expr.String("yes")})},
				Functions: map[string]expr.Func{
					expr.Always: is(true), expr.Success: is(status == plan.Success),
					expr.Failure: is(status == plan.Failure), expr.Cancelled: is(status == plan.Cancelled),
				},
			})
			if err != nil {
				t.Errorf("%s: %v", tt.text, err)
			}
			return expr.Truthy(v.Value())
		}
		if good, failed := holds(plan.Success), holds(plan.Failure); good != tt.good || failed != tt.failed {
			t.Errorf("%s (%s): got %v, %v, want %v, %v", tt.text, step.If, good, failed, tt.good, tt.failed)
		}
	}
}

// FuzzTemplate holds that a text without a mark is its own value, and that text around an
// expression stays as it is.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"", "a", "${{ env.x }}", "a ${{ env.x }} b", "{0}'}}", "${{ '}}' }}", "${{", "}}", "${{ insert }}", "$${{env.x}}", "$", "${"} {
		f.Add(s)
	}
	env := expr.Env{Contexts: expr.Values{"env": expr.NewObject(expr.Member{Name: "x", Value: expr.String("<x>")})}}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		step, errs := withValue(t, text, "")
		if errs != nil || strings.Contains(text, "${{") {
			return
		}
		if got := step.Env.Get("A"); got.IsExpression() || got.Text != text {
			t.Fatalf("%q is %+v", text, got)
		}
		if strings.HasSuffix(text, "$") || strings.HasSuffix(text, "${") { // begins otherwise with what follows
			return
		}
		step, errs = withValue(t, text+"${{ env.x }}"+text, "")
		if errs != nil {
			if strings.HasPrefix(errs[0].Message, string(expr.TooLong)) {
				return
			}
			t.Fatalf("%q: %v", text, errs)
		}
		v, err := plan.Evaluate(step.Env.Get("A"), env)
		if err != nil || v.Text != text+"<x>"+text {
			t.Fatalf("%q: %+v, %v", text, v, err)
		}
	})
}
