// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"strings"
)

// function is one of the language's own. It evaluates its arguments itself: some
// are not always needed.
type function struct {
	Signature
	call func(x *evaluator, n *node) (Value, error)
}

// The status functions, which a place with an if has. One of them anywhere in a condition
// makes success() the caller's own business.
const (
	Success   = "success"
	Failure   = "failure"
	Cancelled = "cancelled"
	Always    = "always"
)

// manyArguments is the most that case and format take.
const manyArguments = 255

func builtins() []function {
	return []function{
		{Signature{"case", 3, manyArguments}, (*evaluator).caseOf},
		{Signature{"contains", 2, 2}, (*evaluator).contains},
		{Signature{"endsWith", 2, 2}, (*evaluator).endsWith},
		{Signature{"format", 1, manyArguments}, (*evaluator).format},
		{Signature{"fromJSON", 1, 1}, (*evaluator).fromJSON},
		{Signature{"join", 1, 2}, (*evaluator).join},
		{Signature{"startsWith", 2, 2}, (*evaluator).startsWith},
		{Signature{"toJSON", 1, 1}, (*evaluator).toJSON},
	}
}

// builtin finds a function of the language.
func builtin(name string) (function, bool) {
	for _, f := range builtins() {
		if strings.EqualFold(f.Name, name) {
			return f, true
		}
	}
	return function{}, false
}

// caseOf is the value after the first predicate that is true, or the last one.
func (x *evaluator) caseOf(n *node) (Value, error) {
	last := len(n.args) - 1
	for i := 0; i < last; i += 2 {
		v, err := x.eval(n.args[i])
		if err != nil {
			return nil, err
		}
		yes, ok := v.(Bool)
		if !ok {
			return nil, x.fail(n, "case predicate must evaluate to a boolean value")
		}
		if yes {
			return x.eval(n.args[i+1])
		}
	}
	return x.eval(n.args[last])
}

func (x *evaluator) contains(n *node) (Value, error) {
	left, err := x.eval(n.args[0])
	if err != nil {
		return nil, err
	}
	array, ok := left.(*Array)
	if !ok {
		return x.inText(n, left, strings.Contains)
	}
	if array.Len() == 0 {
		return Bool(false), nil
	}
	right, err := x.eval(n.args[1])
	if err != nil {
		return nil, err
	}
	for _, item := range array.items {
		if Equal(right, item) {
			return Bool(true), nil
		}
	}
	return Bool(false), nil
}

func (x *evaluator) startsWith(n *node) (Value, error) {
	left, err := x.eval(n.args[0])
	if err != nil {
		return nil, err
	}
	return x.inText(n, left, strings.HasPrefix)
}

func (x *evaluator) endsWith(n *node) (Value, error) {
	left, err := x.eval(n.args[0])
	if err != nil {
		return nil, err
	}
	return x.inText(n, left, strings.HasSuffix)
}

// inText looks for the second argument in the first one, without regard to case.
// The text that looked for is in holds it only whole: characters fold one to one.
func (x *evaluator) inText(n *node, left Value, has func(s, part string) bool) (Value, error) {
	if !isPrimitive(left) {
		return Bool(false), nil
	}
	right, err := x.eval(n.args[1])
	if err != nil {
		return nil, err
	}
	return Bool(isPrimitive(right) && has(Fold(ToString(left)), Fold(ToString(right)))), nil
}

func (x *evaluator) join(n *node) (Value, error) {
	v, err := x.eval(n.args[0])
	if err != nil {
		return nil, err
	}
	array, ok := v.(*Array)
	switch {
	case isPrimitive(v):
		return String(ToString(v)), nil
	case !ok || array.Len() == 0:
		return String(""), nil
	}
	separator := ","
	if array.Len() > 1 && len(n.args) > 1 {
		s, err := x.eval(n.args[1])
		if err != nil {
			return nil, err
		}
		if isPrimitive(s) {
			separator = ToString(s)
		}
	}
	var b strings.Builder
	used := x.counter()
	for i, item := range array.items {
		if i > 0 {
			if !used.str(separator) {
				return nil, x.tooBig(n)
			}
			b.WriteString(separator)
		}
		s := ToString(item)
		if !used.str(s) {
			return nil, x.tooBig(n)
		}
		b.WriteString(s)
	}
	return String(b.String()), nil
}
