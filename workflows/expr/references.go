// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"slices"
	"strings"
)

// Contexts are the names of the contexts that the expression names, in lower case
// and sorted.
func (e *Expr) Contexts() []string {
	var names []string
	e.walk(func(n *node) {
		if n.kind == nodeName {
			names = append(names, strings.ToLower(n.text))
		}
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// Calls reports whether the expression calls one of the functions anywhere, in an
// argument too.
func (e *Expr) Calls(names ...string) bool {
	found := false
	e.walk(func(n *node) {
		found = found || n.kind == nodeCall && slices.ContainsFunc(names, func(s string) bool { return strings.EqualFold(s, n.text) })
	})
	return found
}

// Members are the members of a context that the expression can reach, as written:
// TOKEN of secrets.TOKEN and secrets['TOKEN']. all is set if it can reach any: by
// secrets[x], secrets.*, toJSON(secrets). What it cannot reach it need not be given.
func (e *Expr) Members(context string) (names []string, all bool) {
	var visit func(n *node)
	visit = func(n *node) {
		if n.kind == nodeIndex && n.args[0].is(context) {
			key := n.args[1]
			if key.kind == nodeLiteral && isPrimitive(key.value) {
				names = append(names, ToString(key.value))
				return
			}
		}
		all = all || n.is(context)
		for _, a := range n.args {
			visit(a)
		}
	}
	if e.root != nil {
		visit(e.root)
	}
	slices.Sort(names)
	return slices.Compact(names), all
}

// is reports whether the node is the context itself.
func (n *node) is(context string) bool {
	return n.kind == nodeName && strings.EqualFold(n.text, context)
}

func (e *Expr) walk(f func(*node)) {
	var visit func(n *node)
	visit = func(n *node) {
		f(n)
		for _, a := range n.args {
			visit(a)
		}
	}
	if e.root != nil {
		visit(e.root)
	}
}
