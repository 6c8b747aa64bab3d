// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"strings"
)

// Env is what an expression is evaluated in.
type Env struct {
	Contexts  Contexts        // nil: each context is null
	Functions map[string]Func // by name in lower case
	MaxMemory int             // bytes that the values may take; 0: 10 MiB
}

// Contexts gives the named values. It is asked once for each name in an
// evaluation, and for those only that are needed. The name is in lower case. What
// is not there is null.
type Contexts interface {
	Context(name string) (Value, error)
}

// Values are contexts that are all there. Names are in lower case.
type Values map[string]Value

// Context returns the value of that name.
func (v Values) Context(name string) (Value, error) { return orNull(v[name]), nil }

// Func is a function beside those of the language. All arguments are evaluated.
type Func func(args []Value) (Value, error)

// Eval evaluates the expression. The error is an *Error.
func (e *Expr) Eval(env Env) (Value, error) {
	if e.root == nil {
		return Null{}, nil
	}
	limit := env.MaxMemory
	if limit <= 0 {
		limit = defaultMemory
	}
	x := evaluator{env: env, expr: e, memory: memory{limit: limit}}
	return x.eval(e.root)
}

// evaluator is one evaluation.
type evaluator struct {
	env      Env
	expr     *Expr
	memory   memory
	depth    int
	contexts map[string]Value // asked for so far
}

// fail makes an error of the node.
func (x *evaluator) fail(n *node, format string, args ...any) *Error {
	return &Error{
		Stage: Evaluation, Problem: Problem(fmt.Sprintf(format, args...)),
		Offset: n.offset, Source: x.expr.src,
	}
}

// tooBig is the error for a node that would take too much.
func (x *evaluator) tooBig(n *node) *Error {
	return x.fail(n, "The maximum allowed memory size was exceeded while evaluating the following expression: %s", n)
}

func (x *evaluator) counter() *counter { return &counter{left: x.memory.limit} }

// eval evaluates a node and counts what its value takes.
func (x *evaluator) eval(n *node) (Value, error) {
	x.depth++
	v, bytes, err := x.value(n)
	x.depth--
	if err != nil {
		return nil, err
	}
	if bytes == 0 {
		bytes = objectBytes
		if s, ok := v.(String); ok {
			bytes = sizeOf(string(s))
		}
	}
	if !x.memory.add(x.depth, bytes, isPrimitive(v)) {
		return nil, x.tooBig(x.expr.root)
	}
	return v, nil
}

// value evaluates a node. It says how many bytes are new if it knows.
func (x *evaluator) value(n *node) (v Value, bytes int, err error) {
	switch n.kind {
	case nodeLiteral:
		return n.value, 0, nil
	case nodeName:
		v, err = x.context(n)
	case nodeIndex:
		return x.index(n)
	case nodeNot:
		v, err = x.eval(n.args[0])
		if err == nil {
			v = Bool(!Truthy(v))
		}
	case nodeBinary:
		v, err = x.binary(n)
	case nodeCall:
		v, err = x.call(n)
	default: // * is only within an index
		return nil, 0, x.fail(n, "bug: cannot evaluate %s", n)
	}
	return v, 0, err
}

func (x *evaluator) context(n *node) (Value, error) {
	name := strings.ToLower(n.text)
	if v, ok := x.contexts[name]; ok {
		return v, nil
	}
	if x.env.Contexts == nil {
		return Null{}, nil
	}
	v, err := x.env.Contexts.Context(name)
	if err != nil {
		e := x.fail(n, "%s: %v", n.text, err)
		e.err = err
		return nil, e
	}
	if x.contexts == nil {
		x.contexts = map[string]Value{}
	}
	x.contexts[name] = orNull(v)
	return x.contexts[name], nil
}

func (x *evaluator) binary(n *node) (Value, error) {
	if n.text == "&&" || n.text == "||" {
		return x.chain(n)
	}
	a, err := x.eval(n.args[0])
	if err != nil {
		return nil, err
	}
	b, err := x.eval(n.args[1])
	if err != nil {
		return nil, err
	}
	switch n.text {
	case "==":
		return Bool(Equal(a, b)), nil
	case "!=":
		return Bool(!Equal(a, b)), nil
	}
	order, ok := Compare(a, b)
	switch n.text {
	case "<":
		return Bool(ok && order < 0), nil
	case ">":
		return Bool(ok && order > 0), nil
	case "<=":
		return Bool(ok && order < 0 || Equal(a, b)), nil
	default:
		return Bool(ok && order > 0 || Equal(a, b)), nil
	}
}

// chain evaluates && and ||: the value is that of the operand that decides.
func (x *evaluator) chain(n *node) (v Value, err error) {
	for _, a := range n.args {
		v, err = x.eval(a)
		if err != nil || Truthy(v) == (n.text == "||") {
			break
		}
	}
	return v, err
}

func (x *evaluator) call(n *node) (Value, error) {
	if f, ok := builtin(n.text); ok {
		return f.call(x, n)
	}
	f := x.env.Functions[strings.ToLower(n.text)]
	if f == nil {
		return nil, x.fail(n, "the function %s is not available here", n.text)
	}
	args := make([]Value, len(n.args))
	for i, a := range n.args {
		v, err := x.eval(a)
		if err != nil {
			return nil, err
		}
		args[i] = v
	}
	v, err := f(args)
	if err != nil {
		e := x.fail(n, "%v", err)
		e.err = err
		return nil, e
	}
	return orNull(v), nil
}
