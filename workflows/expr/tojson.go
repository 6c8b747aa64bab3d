// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"strings"
)

func (x *evaluator) toJSON(n *node) (Value, error) {
	v, err := x.eval(n.args[0])
	if err != nil {
		return nil, err
	}
	w := jsonWriter{used: x.counter()}
	w.value(v, "", 0)
	if w.used.full() {
		return nil, x.tooBig(n)
	}
	return String(w.String()), nil
}

// jsonWriter writes values as the runner's toJSON does: two spaces for each level,
// and numbers as expressions see them, NaN too.
type jsonWriter struct {
	strings.Builder
	used *counter
}

// put writes one piece. The runner counts each.
func (w *jsonWriter) put(s string) {
	if w.used.str(s) {
		w.WriteString(s) //nolint:gosec // a strings.Builder returns no error
	}
}

// value writes a value behind what belongs to it: a comma and an indent.
func (w *jsonWriter) value(v Value, before string, level int) {
	if w.used.full() {
		return
	}
	switch v := v.(type) {
	case *Array:
		if v.Len() == 0 {
			w.put(before + "[]")
			return
		}
		w.put(before + "[")
		for i, item := range v.items {
			w.value(item, indent(i, level+1), level+1)
		}
		w.put("\n" + strings.Repeat("  ", level) + "]")
	case *Object:
		if v.Len() == 0 {
			w.put(before + "{}")
			return
		}
		w.put(before + "{")
		i := 0
		for name, item := range v.All() {
			w.put(indent(i, level+1) + quoteJSON(name))
			w.value(item, ": ", level+1)
			i++
		}
		w.put("\n" + strings.Repeat("  ", level) + "}")
	case String:
		w.put(before + quoteJSON(string(v)))
	case Null:
		w.put(before + "null")
	default:
		w.put(before + ToString(v))
	}
}

// indent begins item i of a level.
func indent(i, level int) string {
	s := "\n" + strings.Repeat("  ", level)
	if i > 0 {
		return "," + s
	}
	return s
}

// quoteJSON writes a string as Newtonsoft.Json does by default: what is no ASCII
// stays, but for the line breaks of Unicode.
func quoteJSON(s string) string {
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte('"')
	for _, c := range s {
		switch c {
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case '\b':
			b.WriteString(`\b`)
		case '\f':
			b.WriteString(`\f`)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		case 0x85, 0x2028, 0x2029:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			if c < ' ' {
				fmt.Fprintf(&b, `\u%04x`, c)
			} else {
				b.WriteRune(c)
			}
		}
	}
	b.WriteByte('"')
	return b.String()
}
