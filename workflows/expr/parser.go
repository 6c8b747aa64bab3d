// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"slices"
	"strings"

	"github.com/zviz/run/internal/spell"
)

// The limits of an expression (ExpressionConstants.cs). The texts of TooLong and
// TooDeep say them too.
const (
	maxLength = 21000 // UTF-16 units
	maxDepth  = 50
)

// Options say what an expression may name.
type Options struct {
	Contexts  []string    // named values
	Functions []Signature // beside the eight of the language
}

// Signature is the name of a function and how many arguments it takes.
type Signature struct {
	Name     string
	Min, Max int
}

// Expr is an expression that can be evaluated.
type Expr struct {
	src  string
	root *node
}

// Source is the text that was parsed.
func (e *Expr) Source() string { return e.src }

type nodeKind int

const (
	nodeLiteral nodeKind = iota
	nodeName             // a context
	nodeStar
	nodeIndex // two arguments
	nodeNot
	nodeBinary // text is the operator; && and || have two or more arguments
	nodeCall
)

type node struct {
	kind   nodeKind
	text   string // name or operator
	value  Value  // of a literal
	args   []*node
	offset int
}

// Parse reads an expression. The error is an *Error. An empty one is null.
func Parse(src string, o Options) (*Expr, error) {
	if units(src) > maxLength {
		return nil, &Error{Stage: Lexing, Problem: TooLong, Source: src}
	}
	p := parser{lexer: lexer{src: src, last: tokStart}, options: o}
	root, err := p.parse()
	if err != nil {
		return nil, err
	}
	if root != nil && tooDeep(root, 1) {
		return nil, &Error{Stage: Parsing, Problem: TooDeep, Source: src}
	}
	return &Expr{src, root}, nil
}

func tooDeep(n *node, depth int) bool {
	return depth > maxDepth || slices.ContainsFunc(n.args, func(a *node) bool { return tooDeep(a, depth+1) })
}

// parser is the shunting-yard algorithm: no recursion, however deep the brackets
// of a hostile text are. The lexer lets nothing through that does not fit.
type parser struct {
	lexer    lexer
	options  Options
	operands []*node
	pending  []token // operators and open brackets
}

func (p *parser) parse() (*node, error) {
	var last token
	for {
		t, ok, err := p.lexer.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if err := p.push(t, last); err != nil {
			return nil, err
		}
		last = t
	}
	if last.kind == 0 {
		return nil, nil //nolint:nilnil // nothing there is null
	}
	if last.endsBad() || len(p.lexer.open) > 0 {
		return nil, p.lexer.fail(Parsing, UnexpectedEnd, last)
	}
	p.reduce(0)
	return p.operands[0], nil
}

func (p *parser) push(t, last token) error {
	switch t.kind {
	case tokLiteral:
		p.operand(&node{kind: nodeLiteral, value: t.value, offset: t.offset})
	case tokProperty:
		p.operand(&node{kind: nodeLiteral, value: String(t.text), offset: t.offset})
	case tokStar:
		p.operand(&node{kind: nodeStar, offset: t.offset})
	case tokName:
		if !slices.ContainsFunc(p.options.Contexts, func(c string) bool { return strings.EqualFold(c, t.text) }) {
			return p.unknown(UnknownName, t, p.options.Contexts)
		}
		p.operand(&node{kind: nodeName, text: t.text, offset: t.offset})
	case tokFunction:
		if _, ok := p.signature(t.text); !ok {
			return p.unknown(UnknownFunction, t, p.functions())
		}
		p.operand(&node{kind: nodeCall, text: t.text, offset: t.offset})
	case tokOpenGroup, tokOpenCall, tokNot:
		p.pending = append(p.pending, t)
	case tokOpenIndex, tokDot, tokOperator, tokComma:
		p.reduce(precedence(t))
		p.pending = append(p.pending, t)
	case tokCloseGroup:
		p.reduce(0)
		p.pop()
	case tokCloseIndex:
		p.reduce(0)
		p.build(p.pop())
	case tokCloseCall:
		p.reduce(0)
		return p.call(last)
	default: // the lexer makes no other
	}
	return nil
}

func (p *parser) operand(n *node) { p.operands = append(p.operands, n) }

func (p *parser) pop() token {
	t := p.pending[len(p.pending)-1]
	p.pending = p.pending[:len(p.pending)-1]
	return t
}

// reduce builds the nodes of the operators that bind at least as strongly as
// least, up to the last open bracket or comma.
func (p *parser) reduce(least int) {
	for len(p.pending) > 0 {
		top := p.pending[len(p.pending)-1]
		if top.kind&(tokOpenGroup|tokOpenCall|tokOpenIndex|tokComma) != 0 || precedence(top) < least {
			return
		}
		p.build(p.pop())
	}
}

// build makes the node of an operator out of the last operands.
func (p *parser) build(t token) {
	n := &node{kind: nodeBinary, text: t.text, offset: t.offset}
	count := 2
	switch t.kind {
	case tokDot, tokOpenIndex:
		n.kind = nodeIndex
	case tokNot:
		n.kind, count = nodeNot, 1
	default: // an operator
	}
	first := len(p.operands) - count
	for i, a := range p.operands[first:] {
		// A chain of && or || is one node, so that it has no depth.
		switch chained := (n.text == "&&" || n.text == "||") && a.kind == nodeBinary && a.text == n.text; {
		case chained && i == 0:
			n.args = a.args // the left side has grown so far; copying it each time would be quadratic
		case chained:
			n.args = append(n.args, a.args...)
		default:
			n.args = append(n.args, a)
		}
	}
	p.operands = append(p.operands[:first], n)
}

// call gives the arguments to the function that they were read for.
func (p *parser) call(last token) error {
	count := 0
	if last.kind != tokOpenCall {
		count = 1
		for p.pending[len(p.pending)-1].kind == tokComma {
			count++
			p.pop()
		}
	}
	p.pop() // the bracket
	first := len(p.operands) - count
	f := p.operands[first-1]
	f.args = append(f.args, p.operands[first:]...)
	p.operands = p.operands[:first]

	sig, _ := p.signature(f.text)
	name := token{text: f.text, offset: f.offset}
	switch {
	case count < sig.Min:
		return p.lexer.fail(Parsing, TooFewArguments, name)
	case count > sig.Max:
		return p.lexer.fail(Parsing, TooManyArguments, name)
	case strings.EqualFold(f.text, "case") && count%2 == 0:
		return p.lexer.fail(Parsing, EvenArguments, name)
	}
	return nil
}

func (p *parser) signature(name string) (Signature, bool) {
	if f, ok := builtin(name); ok {
		return f.Signature, true
	}
	for _, s := range p.options.Functions {
		if strings.EqualFold(s.Name, name) {
			return s, true
		}
	}
	return Signature{}, false
}

func (p *parser) functions() []string {
	var names []string
	for _, f := range builtins() {
		names = append(names, f.Name)
	}
	for _, s := range p.options.Functions {
		names = append(names, s.Name)
	}
	return names
}

func (p *parser) unknown(problem Problem, t token, known []string) error {
	e := p.lexer.fail(Parsing, problem, t)
	e.hint = notHere(problem, t.text, known)
	if n, ok := spell.Nearest(t.text, known); ok && e.hint == "" {
		e.hint = didYouMean(n)
	}
	return e
}

// precedence is how strongly an operator binds.
func precedence(t token) int {
	switch t.kind {
	case tokOpenIndex, tokDot:
		return 19
	case tokNot:
		return 16
	case tokOperator:
		switch t.text {
		case "<", "<=", ">", ">=":
			return 11
		case "==", "!=":
			return 10
		case "&&":
			return 6
		default:
			return 5
		}
	default:
		return 1
	}
}
