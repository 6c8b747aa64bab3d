// SPDX-License-Identifier: Apache-2.0

package expr_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/expr/jsonl"
)

// seeds are texts of all kinds.
func seeds(f *testing.F) []string {
	f.Helper()
	list := []string{"", "1", "x", "!x.*[0] == 'it''s' && format('{0}', x)", "case(true, 1, 2)", "'open", "((((", "x[*].a['b'][1]", "-0xFF || .5e3", "'\xf8\xf8'0", "\u00a0"}
	if !testing.Short() {
		g := generator{rand.New(rand.NewPCG(1, 1))}
		for range 100 {
			list = append(list, g.expression())
		}
	}
	return list
}

// FuzzParse holds, for any text: it is an expression that prints as one with the
// same parts and the same value, or an error whose place is in the text.
func FuzzParse(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	contexts, err := jsonl.ParseContexts(fuzzContexts)
	if err != nil {
		f.Fatal(err)
	}
	o := expr.Options{Contexts: append(contexts.Names(), "x")}
	env := expr.Env{Contexts: contexts.Values(), MaxMemory: 1 << 20}
	f.Fuzz(func(t *testing.T, src string) {
		x, err := expr.Parse(src, o)
		if err != nil {
			e, ok := errors.AsType[*expr.Error](err)
			if !ok || e.Offset > len(src) || !strings.HasPrefix(src[e.Offset:], e.Token) || e.Position() < 1 || e.Position() > len(src)+1 {
				t.Fatalf("%#v is not in %q", err, src)
			}
			return
		}
		if len(utf16.Encode([]rune(src))) > 21000 {
			t.Fatal("longer than may be")
		}
		printed := x.String()
		again, err := expr.Parse(printed, o)
		if err != nil {
			if e, ok := errors.AsType[*expr.Error](err); ok && e.Problem == expr.TooLong {
				return // brackets make it longer
			}
			t.Fatalf("%q prints as %q: %v", src, printed, err)
		}
		if got := again.String(); got != printed {
			t.Fatalf("%q prints as %q, and that as %q", src, printed, got)
		}
		v, err := x.Eval(env)
		w, err2 := again.Eval(env)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("%q: %v; printed %q: %v", src, err, printed, err2)
		}
		if err == nil && !bytes.Equal(jsonl.AppendValue(nil, v), jsonl.AppendValue(nil, w)) {
			t.Fatalf("%q is not %q", src, printed)
		}
	})
}

// FuzzJSON holds that ParseJSON takes what encoding/json takes, but for depth, and
// that toJSON of it is JSON with the same value.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{"", "1", `{"a":[1,2.5e-3,null,true,"x\u00e9\ud83d\ude00\n"],"b":{}}`, "[1,]", `{"a":1,}`, "01", "-", `"\ud800"`, "nul", "[[[", "1 2", "\ufeff1", `"` + "\xff" + `"`} {
		f.Add(s)
	}
	x := parse(f, "toJSON(x)", "x")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := expr.ParseJSON(text)
		if err != nil {
			if json.Valid([]byte(text)) && !strings.Contains(err.Error(), "nested deeper") {
				t.Fatalf("%q is JSON: %v", text, err)
			}
			return
		}
		var want any
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			// Only numbers out of range are fine here and an error there.
			if json.Valid([]byte(text)) {
				return
			}
			t.Fatalf("%q is no JSON: %v", text, err)
		}
		out, err := x.Eval(expr.Env{Contexts: expr.Values{"x": v}})
		if err != nil {
			return // too big
		}
		again, err := expr.ParseJSON(expr.ToString(out))
		if err != nil {
			t.Fatalf("toJSON of %q is %q: %v", text, out, err)
		}
		// Numbers lose digits once.
		out2, err := x.Eval(expr.Env{Contexts: expr.Values{"x": again}})
		if err != nil || out != out2 {
			t.Fatalf("toJSON of %q is %q, and of that %q, %v", text, out, out2, err)
		}
	})
}
