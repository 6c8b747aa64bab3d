// SPDX-License-Identifier: Apache-2.0

package workflows

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// Template is the workflow as JSON in the form of GitHub's own test data: what the
// server makes of a file. With source every value has its place.
func (w *Workflow) Template(source bool) []byte {
	p := &printer{source: source}
	p.object(func(o *object) {
		if len(w.On) > 0 {
			o.put("events", func() { p.events(w.On) })
		}
		o.token("env", w.Env)
		o.permissions(w.Permissions)
		o.token("defaults", w.Defaults)
		o.token("concurrency", w.Concurrency)
		o.put("jobs", func() { p.jobs(w.Jobs) })
		if source {
			o.put("file-table", func() { p.texts(w.Files) })
		}
	})
	return []byte(p.b.String())
}

// ErrorTemplate is the same for a workflow that is refused.
func ErrorTemplate(errs []*syntax.Error) []byte {
	p := &printer{}
	p.object(func(o *object) {
		o.put("errors", func() {
			list(p, errs, func(e *syntax.Error) {
				p.object(func(o *object) { o.text("Message", e.Error()) })
			})
		})
	})
	return []byte(p.b.String())
}

// printer writes JSON as JSON.stringify with two spaces does.
type printer struct {
	b      strings.Builder
	indent int
	source bool
}

func (p *printer) line() {
	p.b.WriteByte('\n')
	for range p.indent {
		p.b.WriteString("  ")
	}
}

// block writes what stands between two brackets; items calls next before each item.
func (p *printer) block(open, closing string, items func(next func())) {
	p.b.WriteString(open)
	p.indent++
	n := 0
	items(func() {
		if n++; n > 1 {
			p.b.WriteByte(',')
		}
		p.line()
	})
	p.indent--
	if n > 0 {
		p.line()
	}
	p.b.WriteString(closing)
}

func list[T any](p *printer, items []T, each func(T)) {
	p.block("[", "]", func(next func()) {
		for _, i := range items {
			next()
			each(i)
		}
	})
}

// object is a JSON object that is being written.
type object struct {
	p    *printer
	next func()
}

func (p *printer) object(fill func(o *object)) {
	p.block("{", "}", func(next func()) { fill(&object{p, next}) })
}

func (o *object) put(key string, value func()) {
	o.next()
	o.p.text(key)
	o.p.b.WriteString(": ")
	value()
}

func (o *object) text(key, s string) { o.put(key, func() { o.p.text(s) }) }

func (o *object) number(key string, n int) {
	o.put(key, func() { o.p.b.WriteString(strconv.Itoa(n)) })
}

func (o *object) token(key string, t *syntax.Token) {
	if t != nil {
		o.put(key, func() { o.p.token(t) })
	}
}

func (o *object) permissions(perms *Permissions) {
	if perms == nil {
		return
	}
	o.put("permissions", func() {
		o.p.object(func(o *object) {
			for _, s := range sorted(perms.listed()) {
				if l := perms.Level(s); l != LevelNone {
					o.text(s, string(l))
				}
			}
		})
	})
}

func (p *printer) token(t *syntax.Token) {
	if t.Scalar() && !t.IsExpression() && (!p.source || t.Pos == (syntax.Pos{})) {
		p.literal(t)
		return
	}
	p.object(func(o *object) {
		o.number("type", typeNumber(t.Kind))
		if p.source && t.Pos != (syntax.Pos{}) {
			o.number("file", t.Pos.File)
			o.number("line", t.Pos.Line)
			o.number("col", t.Pos.Col)
		}
		p.rest(o, t)
	})
}

// typeNumber is GitHub's number of a kind.
func typeNumber(k syntax.Kind) int {
	return map[syntax.Kind]int{
		syntax.String: 0, syntax.Sequence: 1, syntax.Mapping: 2, syntax.Expression: 3, syntax.Insert: 4,
		syntax.Bool: 5, syntax.Number: 6, syntax.Null: 7,
	}[k]
}

func (p *printer) rest(o *object, t *syntax.Token) {
	switch {
	case t.Kind == syntax.String:
		o.text("lit", t.Text)
	case t.Kind == syntax.Expression && t.Text != "":
		o.text("expr", t.Text)
	case t.Kind == syntax.Insert:
		o.text("directive", "insert")
	case t.Kind == syntax.Bool:
		o.put("bool", func() { p.literal(t) })
	case t.Kind == syntax.Number:
		o.put("num", func() { p.literal(t) })
	case len(t.Items) > 0:
		o.put("seq", func() { list(p, t.Items, p.token) })
	case len(t.Pairs) > 0:
		o.put("map", func() {
			list(p, t.Pairs, func(pair syntax.Pair) {
				p.object(func(o *object) {
					o.token("Key", pair.Key)
					o.token("Value", pair.Value)
				})
			})
		})
	}
}

func (p *printer) literal(t *syntax.Token) {
	switch t.Kind {
	case syntax.Null:
		p.b.WriteString("null")
	case syntax.Bool:
		p.b.WriteString(strconv.FormatBool(t.Bool))
	case syntax.Number:
		p.number(t.Num)
	default:
		p.text(t.Text)
	}
}

// number writes a number as JavaScript does; one that JSON cannot hold is text.
func (p *printer) number(f float64) {
	switch abs := math.Abs(f); {
	case math.IsNaN(f) || math.IsInf(f, 0):
		p.text(expr.FormatNumber(f))
	case f == 0:
		p.b.WriteByte('0') // -0 too
	case abs >= 1e21 || abs < 1e-6:
		s := strconv.FormatFloat(f, 'e', -1, 64)
		mantissa, exponent, _ := strings.Cut(s, "e")
		p.b.WriteString(mantissa + "e" + exponent[:1] + strings.TrimLeft(exponent[1:], "0"))
	default:
		p.b.WriteString(strconv.FormatFloat(f, 'f', -1, 64))
	}
}

// text writes a string; only what JSON cannot hold is escaped.
func (p *printer) text(s string) {
	p.b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			p.b.WriteByte('\\')
			p.b.WriteRune(r)
		case r >= ' ' || r == utf8.RuneError:
			p.b.WriteRune(r)
		case strings.ContainsRune("\b\f\n\r\t", r):
			p.b.WriteString(map[rune]string{'\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`}[r])
		default:
			fmt.Fprintf(&p.b, `\u%04x`, r)
		}
	}
	p.b.WriteByte('"')
}

func (p *printer) texts(s []string) { list(p, s, p.text) }
