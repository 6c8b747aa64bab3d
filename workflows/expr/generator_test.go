// SPDX-License-Identifier: Apache-2.0

package expr_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// generator makes random expressions. Most are right and cannot fail, a few are
// wrong by a token, and a few hold what GitHub's library is known to read
// otherwise: rare enough that what it hides stays small.
type generator struct{ *rand.Rand }

// fuzzContexts are the contexts that the expressions may name.
const fuzzContexts = `{
  "github": {"ref": "refs/heads/Main", "sha": "abc123", "run_id": "42", "event": {
    "list": [1, "two", null, true, 2.5, ["n", [3]], {"name": "x"}],
    "objs": [{"name": "x", "tags": ["a", "B"]}, {"Name": "Y", "tags": []}, 7, [{"name": "z"}]],
    "map": {"one": {"id": 1, "name": "Ünï"}, "two": {"id": "2"}, "three": null},
    "text": "The quick\nbrown \"fox\" \\ /\t\u0001é", "empty": "", "zero": 0, "no": false}},
  "matrix": {"os": "ubuntu-latest", "n": 3, "f": 0.1, "big": 123456789012, "neg": -0.5, "nested": [[1, 2], [3]]},
  "vars": {"HOME": "/root", "ONE": "1"},
  "inputs": {"flag": true, "text": "ТЕКСТ", "num": 1e3}
}`

func (g generator) one(of ...string) string { return of[g.IntN(len(of))] }

func (g generator) chance(oneIn int) bool { return g.IntN(oneIn) == 0 }

// expression makes one.
func (g generator) expression() string {
	s := g.expr(1 + g.IntN(4))
	if g.chance(20) {
		s = g.broken(s)
	}
	return s
}

// broken changes a token.
func (g generator) broken(s string) string {
	i := g.IntN(len(s) + 1)
	switch g.IntN(3) {
	case 0:
		return s[:i]
	case 1:
		return s[:i] + g.one("(", ")", "[", "]", ",", ".", "!", " == ", "&&", "||", "*", "'", "&", "=", " x ", "\"", "#", "-", " 1 ", "nope(1)", "@") + s[i:]
	default:
		return s[:i] + s[min(len(s), i+1):]
	}
}

func (g generator) number() string {
	if g.chance(30000) {
		return g.one("1e21", "123456789012345678", "0.00001", "1e15", "0.1234567890123456789", "0xFFFFFFFF", "0x1FFFFFFFF", "0b11", "0X1F", "-infinity")
	}
	switch g.IntN(6) {
	case 0:
		return strconv.Itoa(g.IntN(2000) - 1000)
	case 1:
		return strconv.FormatFloat(float64(g.IntN(2_000_000)-1_000_000)/1000, 'f', -1, 64)
	case 2:
		return fmt.Sprintf("%s%d%s%s%d", g.one("", "-", "+"), g.IntN(100), g.one("e", "E"), g.one("", "+", "-"), g.IntN(3))
	case 3:
		return fmt.Sprintf("0x%X", g.IntN(1<<31-1))
	case 4:
		return fmt.Sprintf("0o%o", g.IntN(1<<20))
	default:
		return g.one("0", "1", "-1", "-0", "0.5", ".5", "-.5", "+.5", "1.", "15", "1E+1", "-Infinity", "+1", "0.0001", "100000000000000", "999999999999999", "1e14", "12345.678", "0.1", "0x0", "0o0")
	}
}

func (g generator) str() string {
	if g.chance(20000) {
		return g.one("'a''b''c'", "'ß'", "'SS'", "'ſ'", "'0b11'", "' 0X1F '", "'infinity'", "'+INFINITY'", "'0xFFFFFFFF'", "'{0:x}'", "'{1 }'", "'{256}'", "'\u2028\u0085'", "'İ'")
	}
	switch g.IntN(4) {
	case 0:
		return "'" + g.one("", " ", "\t", "\n") + g.number() + g.one("", " ", "\n") + "'"
	case 1:
		return g.one("'a'", "'A'", "'b'", "'it''s'", "''", "' '", "'true'", "'NaN'", "'Infinity'", "' -Infinity '", "'null'", "'1,2'", "'name'", "'refs/heads/'", "'MAIN'", "'main'", "'x'", "'id'", "'0'", "'1'", "','")
	case 2:
		return g.one("'Ünï'", "'ÜNÏ'", "'текст'", "'ΣΊΣΥΦΟΣ'", "'σίσυφος'", "'é'", "'É'", "'日本'", "'𝒳'", "'𐐨'", "'𐐀'", "'ı'", "'i'", "'I'", "'\u00a0'", "'￿'", "'{'", "'}'")
	default:
		var b strings.Builder
		for range g.IntN(6) {
			b.WriteString(g.one("a", "B", "c", "0", "1", " ", "-", "_", ".", "/", "ä", "Я", "\"", "\\", "\n", "\t", "{", "}", "[", ":", ","))
		}
		return "'" + b.String() + "'"
	}
}

func (g generator) json(depth int) string {
	if depth == 0 || g.chance(3) {
		return g.one("1", "-1.5", "0", "1e3", "2E-2", `"x"`, `"\u00e9\n"`, `"a\"b"`, `""`, "true", "false", "null", `"\ud835\udcb3"`, `"1"`)
	}
	var b strings.Builder
	if g.chance(2) {
		b.WriteString("[")
		for i := range g.IntN(4) {
			b.WriteString(strings.Repeat(",", min(i, 1)) + g.one("", " ", "\n") + g.json(depth-1))
		}
		return b.String() + "]"
	}
	b.WriteString("{")
	for i := range g.IntN(4) {
		name := g.one("a", "b", "A", "name", "ID", "id", "Ü", "ü", "x y", "", "1.5", "true")
		if g.chance(5000) {
			name = g.one("1", "10", "0", "constructor", "__proto__")
		}
		b.WriteString(strings.Repeat(",", min(i, 1)) + g.one("", " ") + `"` + name + `":` + g.json(depth-1))
	}
	return b.String() + "}"
}

func (g generator) context() string {
	s := g.one("github", "GitHub", "matrix", "inputs", "vars.HOME", "vars", "github.event", "github.event.list", "github.event.objs",
		"github.event.map", "github.event.text", "github.ref", "GITHUB.SHA", "github.event.no", "github.event.zero", "matrix.n", "matrix.F",
		"matrix.nested", "inputs.flag", "inputs.text", "inputs['num']", "github.missing", "matrix['os']", "github.event.objs[0]", "github.event.objs")
	var b strings.Builder
	b.WriteString(s)
	for g.chance(3) {
		b.WriteString(g.index(0))
	}
	return b.String()
}

// index makes an index that cannot fail.
func (g generator) index(depth int) string {
	switch g.IntN(6) {
	case 0:
		return ".*"
	case 1:
		return "[*]"
	case 2:
		return "." + g.one("name", "NAME", "tags", "id", "a", "true", "null", "x-y", "one", "_")
	case 3:
		return "[" + g.number() + "]"
	case 4:
		return "[" + g.str() + "]"
	default:
		if depth > 0 {
			return "[" + g.expr(depth-1) + "]"
		}
		return "[" + g.one("null", "true", "false", "0", "1", "1.9", "-1", "NaN", "Infinity", "' 1 '") + "]"
	}
}

// boolean makes what case wants before a value.
func (g generator) boolean(depth int) string {
	return g.one("true", "false", "!"+g.leaf(), g.leaf()+" == "+g.leaf(), "contains("+g.expr(depth)+", "+g.leaf()+")")
}

func (g generator) leaf() string {
	switch g.IntN(5) {
	case 0:
		return g.number()
	case 1:
		return g.str()
	case 2:
		return g.one("true", "false", "null", "NaN", "Infinity")
	default:
		return g.context()
	}
}

func (g generator) expr(depth int) string {
	if depth <= 0 {
		return g.leaf()
	}
	sub := func() string { return g.expr(depth - 1) }
	space := func() string { return g.one("", " ", " ", "\n", "\t") }
	switch g.IntN(16) {
	case 0:
		return "!" + space() + sub()
	case 1:
		return "(" + space() + sub() + space() + ")"
	case 2, 3, 4:
		return sub() + space() + g.one("==", "!=", "<", "<=", ">", ">=", "&&", "||") + space() + sub()
	case 5:
		return g.one("contains", "Contains", "startsWith", "endsWith", "STARTSWITH") + space() + "(" + sub() + "," + space() + sub() + ")"
	case 6:
		return "format(" + g.one("'{0}'", "'{1}-{0}'", "'{{{0}}}'", "'{0}{0}{1}'", "'x'") + ", " + sub() + "," + sub() + ")"
	case 7:
		return "join(" + sub() + g.one("", ", '-'", ", "+g.leaf()) + ")"
	case 8:
		return "toJSON(" + g.finite(depth-1) + ")"
	case 9, 10:
		return "fromJSON('" + strings.ReplaceAll(g.json(3), "'", "''") + "')" + g.one("", g.index(depth-1), g.index(0)+g.index(0))
	case 11:
		return "fromJson(toJson(" + g.finite(depth-1) + "))"
	case 12:
		return "case(" + g.boolean(depth-1) + ", " + sub() + ", " + sub() + ")"
	case 13:
		return "(" + sub() + ")" + g.index(depth-1)
	case 14:
		return g.rare(depth)
	default:
		return g.leaf()
	}
}

// finite makes what holds no NaN, mostly: toJSON writes that otherwise.
func (g generator) finite(depth int) string {
	if g.chance(2000) {
		return g.expr(depth)
	}
	return g.one(g.context(), g.str(), "true", "null", "fromJSON('"+g.json(3)+"')", strconv.Itoa(g.IntN(1000)), "format('{0}', "+g.expr(depth-1)+")", g.context()+".*")
}

// rare makes what may fail when it is evaluated, and what the two read otherwise.
func (g generator) rare(depth int) string {
	if g.chance(6000) {
		return g.one("contains('a','b',)", "true\u00a0&&\u2003true", "join(fromJSON('[1,2]'),)", "format('{0:x}', 1)", "("+strings.Repeat("!", 49)+"true)",
			strings.Repeat("(", 60)+"1"+strings.Repeat(")", 60), strings.Repeat("1==", 55)+"1")
	}
	if g.chance(30) {
		return g.one("fromJSON('{')", "fromJSON('')", "fromJSON('[1,]')", "fromJSON('01')", "fromJSON('\"\t\"')", "format('{0')", "format('{9}', 1)", "format('}')", "case(1, 2, 3)", "case('true', 2, 3)",
			"join()", "format()", "join(1,2,3)", "case(true, 1)", "nope", "nope(1)", "contains('a')", "toJSON(1, 2)")
	}
	return g.expr(depth - 1)
}
