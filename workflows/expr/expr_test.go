// SPDX-License-Identifier: Apache-2.0

package expr_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/workflows/expr"
)

// TestAnswers has what GitHub's data leaves out: the runner's ways.
func TestAnswers(t *testing.T) {
	const contexts = `{"x": {"a": [1, {"b": 2}, [3, {"b": 4}]], "o": {"B": 1, "2": "two", "1": "one", "": "empty", "true": "yes"},
		"bad": "{", "key": "a"}, "y": [[1, 2], [3]], "env": {"Path": "p"}}`
	for _, tt := range []struct{ src, want string }{
		// Words.
		{"\u00a0true\u2003&&\u2028'x'", `"x"`},
		{"x.true", "null"},
		{"x.null.NaN", "null"},
		{"'a''''b'", `"a''b"`},
		{"'two\nlines'", `"two\nlines"`},
		{"''", `""`},
		{"True", "parsing: Unrecognized named-value: 'True'. Located at position 1"},
		{"a*b", "lexing: Unexpected symbol: 'a*b'. Located at position 1"},
		{`x == "a"`, `lexing: Unexpected symbol: '"a"'. Located at position 6`},
		{"'open", "lexing: Unexpected symbol: ''open'. Located at position 1"},
		{"'ä𝒳' = 1", "lexing: Unexpected symbol: '='. Located at position 7"},
		{"x & x", "lexing: Unexpected symbol: '&'. Located at position 3"},
		{"x =x", "lexing: Unexpected symbol: '=x'. Located at position 3"},
		{"1.5.2", "lexing: Unexpected symbol: '1.5.2'"},
		{"-NaN", "lexing: Unexpected symbol: '-NaN'"},
		{"+Infinity", `{"$num":"Infinity"}`},
		{"0xFFFFFFFF", "-1"},
		// Grammar.
		{"", "null"},
		{" \n", "null"},
		{"1 < 2 < 3", "true"},
		{"3 > 2 > 1", "false"},
		{"!1 == 2", "false"},
		{"!(1 == 2)", "true"},
		{"!!'a'", "true"},
		{"1 || 2 && 0", "1"},
		{"0 && 1 || 2", "2"},
		{"1 == 2 || 3 == 3 && 4", "4"},
		{"'a' == 'a' == true", "true"},
		{"1 < 2 == true", "true"},
		{"(x).key", `"a"`},
		{"fromJSON ( '[1]' ) [0]", "1"},
		{"x . key", `"a"`},
		{"x\n[ 'key' ]", `"a"`},
		{"'abc'[0]", "parsing: Unexpected symbol: '['. Located at position 6"},
		{"1.x", "lexing: Unexpected symbol: '1.x'"},
		{"x.a.1", "parsing: Unexpected symbol: '1'"},
		{"*", "parsing: Unexpected symbol: '*'"},
		{"x*", "lexing: Unexpected symbol: 'x*'"},
		{"x *", "parsing: Unexpected symbol: '*'. Located at position 3"},
		{"x.a[*, 1]", "parsing: Unexpected symbol: ','"},
		{"contains('a','b',)", "parsing: Unexpected symbol: ')'. Located at position 18"},
		{"(1, 2)", "parsing: Unexpected symbol: ','"},
		{"(1]", "parsing: Unexpected symbol: ']'"},
		{"join(x.a", "parsing: Unexpected end of expression: 'a'. Located at position 8"},
		{"x.", "parsing: Unexpected end of expression: '.'. Located at position 2"},
		{"!", "parsing: Unexpected end of expression: '!'"},
		{"((x)", "parsing: Unexpected end of expression: ')'"},
		{"x y", "parsing: Unexpected symbol: 'y'"}, // its place is wrong, whatever it names
		{"x.f(1)", "parsing: Unexpected symbol: '('"},
		{"nope(", "parsing: Unrecognized function: 'nope'. Located at position 1"},
		{"false && nope()", "parsing: Unrecognized function: 'nope'"},
		{"case(1)", "parsing: Too few parameters supplied: 'case'. Located at position 1"},
		{"toJSON()", "parsing: Too few parameters supplied: 'toJSON'"},
		// Index.
		{"y[1.9][0]", "3"},
		{"y['1'][' 0x0 ']", "3"},
		{"y[true][null]", "3"},
		{"y[-0.5]", "null"},
		{"y[2147483648]", "null"},
		{"y[y]", "null"},
		{"x.o[1]", `"one"`},
		{"x.o[true]", `"yes"`},
		{"x.o[null]", `"empty"`},
		{"x.o[x.o]", "null"},
		{"x[x.key][0]", "1"},
		{"x.o.*", `[1,"two","one","empty","yes"]`},
		{"y.*", "[[1,2],[3]]"},
		{"y.*.*", "[1,2,3]"},
		{"y.*[0]", "[1,3]"},
		{"y.*[1]", "[2]"},
		{"x.a.*.b", "[2]"},
		{"x.a.*[1].b", "[4]"},
		{"x.a[*].*.b", "[4]"},
		{"(x.a.*)[0]", "[3]"},
		{"x.a.b", "null"},
		{"'s' && (1).*", "[]"},
		{"(null).*.x", "[]"},
		{"(null)[fromJSON('{')]", "null"}, // not evaluated
		{"x.a[fromJSON('{')]", "evaluation: Error parsing JSON when evaluating fromJson"},
		{"env.Path", `"p"`},
		{"env.PATH", "null"},
		// Comparison.
		{"x == x", "true"},
		{"x <= x", "true"},
		{"x < x", "false"},
		{"x.a.* == x.a.*", "false"},
		{"fromJSON('[]') == fromJSON('[]')", "false"},
		{"fromJSON('[]') == ''", "false"},
		{"fromJSON('[]') == null", "false"},
		{"NaN <= NaN", "false"},
		{"NaN != NaN", "true"},
		{"NaN || 'x'", `"x"`},
		{"-0 && 'x'", `{"$num":"-0"}`},
		{"null <= null", "true"},
		{"null < null", "false"},
		{"null == ''", "true"},
		{"true == 'true'", "false"},
		{"true == '1'", "true"},
		{"false < true", "true"},
		{"'b' > 'A'", "true"},
		{"'_' > 'a'", "true"}, // a compares as A
		{"'ß' == 'SS'", "false"},
		{"'ſ' == 's'", "false"},
		{"'\u212a' == 'k'", "false"},
		{"'ς' == 'Σ'", "true"},
		{"'µ' == 'Μ'", "true"},
		{"'ÿ' == 'Ÿ'", "true"},
		{"'𐐨' == '𐐀'", "true"},
		{"'😀' < '\uff5e'", "true"}, // by UTF-16 units
		{"'a' < 'ab'", "true"},
		// Functions.
		{"contains(null, '')", "true"},
		{"contains('aBc', 'bC')", "true"},
		{"contains(12, 2)", "true"},
		{"contains(fromJSON('[1]'), '1')", "true"},
		{"contains(fromJSON('[null]'), 0)", "true"},
		{"contains(fromJSON('[]'), fromJSON('{'))", "false"}, // not evaluated
		{"contains(x.o, 'B')", "false"},
		{"contains(x.a.*, 1)", "true"},
		{"contains('x', x)", "false"},
		{"startsWith(x, fromJSON('{'))", "false"}, // not evaluated
		{"endsWith('x', x)", "false"},
		{"join(x.a.*.b, x)", `"2"`},
		{"join(y, '-')", `"Array-Array"`},
		{"join(x.o)", `""`},
		{"join(1, fromJSON('{'))", `"1"`},
		{"join(fromJSON('[1,null,true,\"a\"]'), '')", `"1truea"`},
		{"join(fromJSON('[1,2]'), x)", `"1,2"`},
		{"format('{0}{{{1}}}', 1, null)", `"1{}"`},
		{"format('{0:x}', 1)", "evaluation: The format specifiers 'x' are not valid for objects of type 'Number'"},
		{"format('{0:}', 1)", `"1"`},
		{"format('{0:a}}b}', 1)", "evaluation: The format specifiers 'a}b' are not valid"},
		{"format('{256}', 1)", "evaluation: The following format string is invalid: {256}"},
		{"format('{ 0}', 1)", "evaluation: The following format string is invalid: { 0}"},
		{"format('{}', 1)", "evaluation: The following format string is invalid: {}"},
		{"format('x', fromJSON('{'))", `"x"`}, // not evaluated
		{"format('{0}{', fromJSON('{'))", "evaluation: The following format string is invalid: {0}{"},
		{"format('{00}', 1)", `"1"`},
		{"case(true, 1, fromJSON('{'))", "1"},
		{"case(false, fromJSON('{'), false, 1, 2)", "2"},
		{"CASE(true, 1, 2)", "1"},
		{"toJSON(NaN)", `"NaN"`},
		{"toJSON(1e15)", `"1E+15"`},
		{`toJSON('/<>&é''"\')`, `"\"/<>&é'\\\"\\\\\""`},
		{"toJSON('\x01\b\t\n\f\r\x1f\x7f\u0085\u2028\u2029')", `"\"\\u0001\\b\\t\\n\\f\\r\\u001f` + "\x7f" + `\\u0085\\u2028\\u2029\""`},
		{"toJSON(fromJSON('{\"b\":[],\"a\":{\"c\":[{}]}}'))", `"{\n  \"b\": [],\n  \"a\": {\n    \"c\": [\n      {}\n    ]\n  }\n}"`},
		{"fromJSON('{\"b\":1,\"2\":2,\"1\":3}')", `{"b":1,"2":2,"1":3}`},
		{"fromJSON('{\"a\":1,\"A\":2,\"a\":3}')", `{"a":3}`},
		{"fromJSON(' [1.50, -0, 1E2, 1e999] ')", `[1.5,{"$num":"-0"},100,{"$num":"Infinity"}]`},
		{`fromJSON('"\ud83d\ude00\ud83d\u0041\/"')`, `"😀` + "\ufffd" + `A/"`},
		{"fromJSON(true)", "true"},
		{"fromJSON(null)", "evaluation: Error parsing JSON when evaluating fromJson: empty input"},
		{"fromJSON('  ')", "evaluation: Error parsing JSON when evaluating fromJson: empty input"},
		{"fromJSON('1 2')", "evaluation: Error parsing JSON when evaluating fromJson: unexpected character '2' at offset 2"},
		{"fromJSON('{a:1}')", "evaluation: Error parsing JSON when evaluating fromJson: unexpected character 'a' at offset 1"},
		{"fromJSON('[1,]')", "evaluation: Error parsing JSON when evaluating fromJson: unexpected character ']' at offset 3"},
		{"fromJSON('{\"a\":1,}')", "evaluation: Error parsing JSON"},
		{"fromJSON('01')", "evaluation: Error parsing JSON"},
		{"fromJSON('1.')", "evaluation: Error parsing JSON"},
		{"fromJSON('+1')", "evaluation: Error parsing JSON"},
		{"fromJSON('\"\n\"')", "evaluation: Error parsing JSON"},
		{`fromJSON('"\x"')`, "evaluation: Error parsing JSON"},
		{`fromJSON('"\u12g4"')`, "evaluation: Error parsing JSON"},
		{"fromJSON('nul')", "evaluation: Error parsing JSON"},
		{"fromJSON('\ufeff1')", "evaluation: Error parsing JSON"},
		{"fromJSON('[')", "evaluation: Error parsing JSON when evaluating fromJson: unexpected end of input"},
	} {
		got, err := ask(tt.src, json.RawMessage(contexts))
		if err != nil {
			t.Errorf("%s: %v", tt.src, err)
			continue
		}
		if got.OK {
			var want any
			if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Errorf("%s: got %v, want %s", tt.src, got.Value, tt.want)
			} else if diff := cmp.Diff(want, got.Value); diff != "" {
				t.Errorf("%s: -want +got\n%s", tt.src, diff)
			}
		} else if text := got.Stage + ": " + got.Error; !strings.HasPrefix(text, tt.want) {
			t.Errorf("%s: got %s, want %s", tt.src, text, tt.want)
		}
	}
}

// TestOrder wants the members of objects in the order of their text.
func TestOrder(t *testing.T) {
	const text = `{"b":1,"2":2,"A":{"z":1,"y":2},"1":3}`
	v, err := expr.ParseJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	o, ok := v.(*expr.Object)
	if !ok {
		t.Fatalf("got %v, want an object", v.Kind())
	}
	var names []string
	for name := range o.All() {
		names = append(names, name)
	}
	if diff := cmp.Diff([]string{"b", "2", "A", "1"}, names); diff != "" {
		t.Error(diff)
	}
}

func parse(tb testing.TB, src string, contexts ...string) *expr.Expr {
	tb.Helper()
	x, err := expr.Parse(src, expr.Options{Contexts: contexts})
	if err != nil {
		tb.Fatalf("%.100s: %v", src, err)
	}
	return x
}

func TestLimits(t *testing.T) {
	deepArray := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	for _, tt := range []struct{ name, src, want string }{
		{"length", "'" + strings.Repeat("a", 20998) + "'", ""},
		{"too long", "'" + strings.Repeat("a", 20999) + "'", "Exceeded max expression length 21000"},
		{"length in units", "'" + strings.Repeat("😀", 10499) + "'", ""},
		{"too long in units", "'" + strings.Repeat("😀", 10500) + "'", "Exceeded max expression length 21000"},
		{"depth", strings.Repeat("!", 49) + "1", ""},
		{"too deep", strings.Repeat("!", 50) + "1", "Exceeded max expression depth 50"},
		{"groups have no depth", strings.Repeat("(", 10000) + "1" + strings.Repeat(")", 10000), ""},
		{"a chain has no depth", strings.Repeat("1 && ", 4000) + "1", ""},
		{"nor has one of groups", strings.Repeat("1 || (", 2000) + "1" + strings.Repeat(")", 2000), ""},
		{"but == has", strings.Repeat("1 == ", 50) + "1", "Exceeded max expression depth 50"},
		{"and an index", "x" + strings.Repeat(".a", 50), "Exceeded max expression depth 50"},
		{"not one less", "x" + strings.Repeat(".a", 49), ""},
		{"many brackets", strings.Repeat("(", 21000), "Unexpected end of expression: '('"},
		{"many arguments", "format('x'" + strings.Repeat(", 1", 255) + ")", "Too many parameters supplied: 'format'"},
		{"as many as may be", "format('x'" + strings.Repeat(", 1", 254) + ")", ""},
		{"JSON of depth 100", "fromJSON('" + deepArray + "')", ""},
		{"JSON of depth 101", "fromJSON('[" + deepArray + "]')", "Error parsing JSON when evaluating fromJson: nested deeper than 100 at offset 100"},
		{"memory of format", "format(format('{0}{0}{0}{0}{0}{0}{0}{0}', format('{0}{0}{0}{0}{0}{0}{0}{0}', x)), 1)", "The maximum allowed memory size was exceeded while evaluating the following expression: format("},
		{"memory of join", "join(y, x)", "The maximum allowed memory size was exceeded while evaluating the following expression: join(y, x)"},
		{"memory of toJSON", "toJSON(y)", "The maximum allowed memory size was exceeded while evaluating the following expression: toJSON(y)"},
		{"memory of *", "y.*.*.*", "The maximum allowed memory size was exceeded while evaluating the following expression: y.*.*"},
		{"memory of many values", "format('{0}', x) == format('{0}', x) && toJSON(1)", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x, err := expr.Parse(tt.src, expr.Options{Contexts: []string{"x", "y"}})
			if err == nil {
				part := make([]expr.Value, 100)
				for i := range part {
					part[i] = expr.Null{}
				}
				rows := make([]expr.Value, 200)
				for i := range rows {
					rows[i] = expr.NewArray(part...)
				}
				_, err = x.Eval(expr.Env{
					Contexts:  expr.Values{"x": expr.String(strings.Repeat("a", 10000)), "y": expr.NewArray(rows...)},
					MaxMemory: 100_000,
				})
			}
			if tt.want == "" {
				if err != nil {
					t.Errorf("got %.200v, want no error", err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %.200v, want %s", err, tt.want)
			}
		})
	}
}

func TestHint(t *testing.T) {
	o := expr.Options{Contexts: []string{"github", "matrix"}, Functions: []expr.Signature{{Name: "hashFiles", Min: 1, Max: 255}}}
	for src, want := range map[string]string{
		"githb.ref":     `did you mean "github"?`,
		"hashfile('x')": `did you mean "hashFiles"?`,
		"tojsn(1)":      `did you mean "toJSON"?`,
		"Secrets.x":     "secrets cannot be used in this place, only github, matrix",
		"Success()":     "success() cannot be used in this place",
		"nothing.x":     "",
		"1 +":           "",
	} {
		_, err := expr.Parse(src, o)
		e, ok := errors.AsType[*expr.Error](err)
		if !ok || e.Hint() != want {
			t.Errorf("%s: got %v, want the hint %q", src, err, want)
		}
	}
}

func TestFunctions(t *testing.T) {
	o := expr.Options{Functions: []expr.Signature{{Name: "hashFiles", Min: 1, Max: 255}, {Name: "gone"}}}
	broken := errors.New("disk on fire")
	env := expr.Env{Functions: map[string]expr.Func{"hashfiles": func(args []expr.Value) (expr.Value, error) {
		if expr.ToString(args[0]) == "bad" {
			return nil, broken
		}
		return expr.NewArray(args...), nil
	}}}
	x, err := expr.Parse("toJSON(HASHFILES('a', null))", o)
	if err != nil {
		t.Fatal(err)
	}
	v, err := x.Eval(env)
	if want := "[\n  \"a\",\n  null\n]"; err != nil || expr.ToString(v) != want {
		t.Errorf("got %v, %v, want %s", v, err, want)
	}
	for src, want := range map[string]string{
		"1 == hashFiles('bad')": "disk on fire",
		"gone()":                "the function gone is not available here",
	} {
		x, err := expr.Parse(src, o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = x.Eval(env)
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", src, err, want)
		}
		if src != "gone()" && !errors.Is(err, broken) {
			t.Errorf("%s: the error does not wrap that of the function", src)
		}
	}
}

// onDemand counts how often a context is asked for.
type onDemand map[string]int

func (o onDemand) Context(name string) (expr.Value, error) {
	o[name]++
	if name == "bad" {
		return nil, errors.New("not loaded")
	}
	return expr.LazyObject(func() []expr.Member {
		o[name+" members"]++
		return []expr.Member{{Name: "a", Value: expr.Number(1)}}
	}), nil
}

func TestLazyContexts(t *testing.T) {
	asked := onDemand{}
	env := expr.Env{Contexts: asked}
	for src, want := range map[string]bool{
		"GitHub == github && github":                  true, // one value, not read
		"matrix.a == 1 && matrix.A == 1 && !matrix.b": true,
		"false && secrets.x":                          false,
	} {
		v, err := parse(t, src, "github", "matrix", "secrets").Eval(env)
		if err != nil || expr.Truthy(v) != want {
			t.Errorf("%s: got %v, %v, want %v", src, v, err, want)
		}
	}
	if diff := cmp.Diff(onDemand{"github": 1, "matrix": 1, "matrix members": 1}, asked); diff != "" {
		t.Error(diff)
	}
	if _, err := parse(t, "bad.x", "bad").Eval(env); err == nil || err.Error() != "bad: not loaded" {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestReferences(t *testing.T) {
	contexts := []string{"github", "secrets", "env"}
	x := parse(t, "Secrets.B == secrets['a'] && (secrets)[1] || toJSON(github) && contains(env.x, secrets.B)", contexts...)
	if diff := cmp.Diff([]string{"env", "github", "secrets"}, x.Contexts()); diff != "" {
		t.Error(diff)
	}
	names, all := x.Members("secrets")
	if diff := cmp.Diff([]string{"1", "B", "a"}, names); diff != "" || all {
		t.Errorf("all %v, %s", all, diff)
	}
	for src, want := range map[string]bool{
		"secrets":                true,
		"toJSON(secrets)":        true,
		"secrets.*":              true,
		"secrets[env.x]":         true,
		"secrets[secrets.a]":     true,
		"env[secrets.a]":         false,
		"github.secrets":         false,
		"'secrets.a'":            false,
		"secrets.a.b || env.x.y": false,
	} {
		if _, all := parse(t, src, contexts...).Members("secrets"); all != want {
			t.Errorf("%s: all is %v, want %v", src, all, want)
		}
	}
	if !parse(t, "!contains('a', TOJSON(1))").Calls("toJson") || parse(t, "'toJSON()'").Calls("toJSON") {
		t.Error("Calls: a call in an argument counts, one in a text does not")
	}
}
