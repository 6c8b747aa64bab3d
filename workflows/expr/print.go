// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"math"
	"strconv"
	"strings"
)

// String writes the expression in one form, with brackets around each operator
// with two sides. Parsed again it is the same expression.
func (e *Expr) String() string {
	if e.root == nil {
		return ""
	}
	var b strings.Builder
	e.root.print(&b)
	return b.String()
}

func (n *node) String() string {
	var b strings.Builder
	n.print(&b)
	return b.String()
}

func (n *node) print(b *strings.Builder) {
	switch n.kind {
	case nodeLiteral:
		b.WriteString(literal(n.value))
	case nodeName:
		b.WriteString(n.text)
	case nodeStar:
		b.WriteByte('*')
	case nodeIndex:
		n.printIndex(b)
	case nodeNot:
		b.WriteByte('!')
		n.args[0].print(b)
	case nodeBinary:
		b.WriteByte('(')
		printList(b, n.args, " "+n.text+" ")
		b.WriteByte(')')
	case nodeCall:
		b.WriteString(n.text)
		b.WriteByte('(')
		printList(b, n.args, ", ")
		b.WriteByte(')')
	}
}

func (n *node) printIndex(b *strings.Builder) {
	// A literal or a ! cannot be indexed without brackets.
	bare := n.args[0].kind != nodeLiteral && n.args[0].kind != nodeNot
	if !bare {
		b.WriteByte('(')
	}
	n.args[0].print(b)
	if !bare {
		b.WriteByte(')')
	}
	if name, ok := n.args[1].property(); ok {
		b.WriteByte('.')
		b.WriteString(name)
		return
	}
	b.WriteByte('[')
	n.args[1].print(b)
	b.WriteByte(']')
}

// property is what may stand after a dot: * or a name.
func (n *node) property() (string, bool) {
	if n.kind == nodeStar {
		return "*", true
	}
	s, ok := n.value.(String)
	return string(s), ok && n.kind == nodeLiteral && isName(string(s))
}

func printList(b *strings.Builder, list []*node, separator string) {
	for i, a := range list {
		if i > 0 {
			b.WriteString(separator)
		}
		a.print(b)
	}
}

// literal writes a value such that the parser reads the same one.
func literal(v Value) string {
	switch v := v.(type) {
	case String:
		return Quote(string(v))
	case Number:
		if f := float64(v); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return strconv.FormatFloat(f, 'g', -1, 64)
		}
		return ToString(v)
	case Null:
		return "null"
	default:
		return ToString(v)
	}
}

// Quote writes text as a literal of the language.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
