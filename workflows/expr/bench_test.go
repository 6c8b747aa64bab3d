// SPDX-License-Identifier: Apache-2.0

package expr_test

import (
	"strings"
	"testing"

	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/expr/jsonl"
)

const typical = "github.event_name == 'push' && startsWith(github.ref, 'refs/tags/') && !contains(github.event.list.*.name, 'skip')"

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(typical)))
	for b.Loop() {
		parse(b, typical, "github")
	}
}

func BenchmarkEval(b *testing.B) {
	contexts, err := jsonl.ParseContexts(`{"github":{"event_name":"push","ref":"refs/tags/v1","event":{"list":[{"name":"a"},{"name":"b"}]}}}`)
	if err != nil {
		b.Fatal(err)
	}
	x, env := parse(b, typical, "github"), expr.Env{Contexts: contexts.Values()}
	b.ReportAllocs()
	for b.Loop() {
		if v, err := x.Eval(env); err != nil || !expr.Truthy(v) {
			b.Fatal(v, err)
		}
	}
}

// BenchmarkScript is a script of 20 KB with expressions in it.
func BenchmarkScript(b *testing.B) {
	text := "format('" + strings.Repeat("echo ''{0}'' | grep {{x}}\n", 800) + "'" + strings.Repeat(", github.ref", 250) + ")"
	o := expr.Options{Contexts: []string{"github"}}
	env := expr.Env{Contexts: expr.Values{"github": expr.NewObject(expr.Member{Name: "ref", Value: expr.String("refs/heads/main")})}}
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		x, err := expr.Parse(text, o)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := x.Eval(env); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkJSON reads an event of 1 MB, and writes it again.
func BenchmarkJSON(b *testing.B) {
	text := "[" + strings.Repeat(`{"id":12345,"name":"a name","url":"https://example.com/a/b","ok":true,"none":null,"list":["a","b"]},`, 10000) + "1]"
	b.Run("from", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			if _, err := expr.ParseJSON(text); err != nil {
				b.Fatal(err)
			}
		}
	})
	v, err := expr.ParseJSON(text)
	if err != nil {
		b.Fatal(err)
	}
	x, env := parse(b, "toJSON(x)", "x"), expr.Env{Contexts: expr.Values{"x": v}, MaxMemory: 1 << 30}
	b.Run("to", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			if _, err := x.Eval(env); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkHostile is text made to take long.
func BenchmarkHostile(b *testing.B) {
	for name, src := range map[string]string{
		"chain":    strings.Repeat("1&&", 6999) + "1",
		"brackets": strings.Repeat("(", 10499) + "1" + strings.Repeat(")", 10499),
		"nots":     strings.Repeat("!", 20999) + "1",
		"equals":   strings.Repeat("1==", 6999) + "1",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				x, err := expr.Parse(src, expr.Options{})
				if err == nil {
					_, err = x.Eval(expr.Env{})
				}
				_ = err // some are too deep
			}
		})
	}
}
