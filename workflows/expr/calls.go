// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"slices"
	"strings"
)

// Calls says whether one of the functions is called anywhere in the expression. Names
// ignore case.
func (e *Expr) Calls(names ...string) bool {
	return e.root != nil && e.root.calls(names)
}

func (n *node) calls(names []string) bool {
	if n.kind == nodeCall && slices.ContainsFunc(names, func(f string) bool { return strings.EqualFold(f, n.text) }) {
		return true
	}
	return slices.ContainsFunc(n.args, func(a *node) bool { return a.calls(names) })
}

// Empty says whether there is nothing to evaluate: only white space.
func (e *Expr) Empty() bool { return e.root == nil }
