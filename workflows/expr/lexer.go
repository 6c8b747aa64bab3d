// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// lexer cuts an expression into tokens. It knows which token may follow which, so
// that what it lets through can always be parsed.
type lexer struct {
	src  string
	at   int
	last tokenKind
	open []token // brackets that are not closed
}

// next returns the next token; ok is false at the end.
func (l *lexer) next() (t token, ok bool, err error) {
	l.at += len(l.src[l.at:]) - len(strings.TrimLeftFunc(l.src[l.at:], unicode.IsSpace))
	if l.at == len(l.src) {
		return token{}, false, nil
	}
	t = l.read()
	l.at = t.offset + len(t.text)
	if t.kind == tokBad {
		return t, false, l.fail(Lexing, UnexpectedSymbol, t)
	}
	if !l.legal(t) {
		return t, false, l.fail(Parsing, UnexpectedSymbol, t)
	}
	switch t.kind {
	case tokOpenGroup, tokOpenCall, tokOpenIndex:
		l.open = append(l.open, t)
	case tokCloseGroup, tokCloseCall, tokCloseIndex:
		l.open = l.open[:len(l.open)-1]
	default: // no bracket
	}
	l.last = t.kind
	return t, true, nil
}

func (l *lexer) legal(t token) bool {
	if l.last&mayFollow(t.kind) == 0 {
		return false
	}
	want := opener(t.kind)
	return want == 0 || l.opened() == want
}

// opened is the innermost bracket that is open, 0 if none is.
func (l *lexer) opened() tokenKind {
	if len(l.open) == 0 {
		return 0
	}
	return l.open[len(l.open)-1].kind
}

func (l *lexer) fail(s Stage, p Problem, t token) *Error {
	return &Error{Stage: s, Problem: p, Token: t.text, Offset: t.offset, Source: l.src}
}

func (l *lexer) read() token {
	rest := l.src[l.at:]
	switch c := rest[0]; {
	case c == '(' && l.last == tokFunction:
		return l.symbol(tokOpenCall)
	case c == '(':
		return l.symbol(tokOpenGroup)
	case c == ')' && l.opened() == tokOpenCall:
		return l.symbol(tokCloseCall)
	case c == ')':
		return l.symbol(tokCloseGroup)
	case c == '[':
		return l.symbol(tokOpenIndex)
	case c == ']':
		return l.symbol(tokCloseIndex)
	case c == ',':
		return l.symbol(tokComma)
	case c == '*':
		return l.symbol(tokStar)
	case c == '\'':
		return l.str()
	case strings.IndexByte("!<>=&|", c) >= 0:
		return l.operator()
	case c == '.' && l.last&beforeOperand == 0:
		return l.symbol(tokDot)
	case c == '.' || c == '-' || c == '+' || c >= '0' && c <= '9':
		return l.number()
	default:
		return l.word()
	}
}

func (l *lexer) symbol(k tokenKind) token {
	return token{kind: k, text: l.src[l.at : l.at+1], offset: l.at}
}

func (l *lexer) operator() token {
	rest := l.src[l.at:]
	for _, op := range []string{"!=", ">=", "<=", "==", "&&", "||", ">", "<"} {
		if strings.HasPrefix(rest, op) {
			return token{kind: tokOperator, text: op, offset: l.at}
		}
	}
	if rest[0] == '!' {
		return l.symbol(tokNot)
	}
	// A lone =, & or | takes what stands to its right with it.
	return token{kind: tokBad, text: rest[:1+wordLen(rest[1:], false)], offset: l.at}
}

// str reads a string. Two quotes inside stand for one.
func (l *lexer) str() token {
	rest := l.src[l.at+1:]
	var b strings.Builder
	for {
		i := strings.IndexByte(rest, '\'')
		if i < 0 {
			return token{kind: tokBad, text: l.src[l.at:], offset: l.at}
		}
		b.WriteString(rest[:i])
		rest = rest[i+1:]
		if !strings.HasPrefix(rest, "'") {
			break
		}
		b.WriteByte('\'')
		rest = rest[1:]
	}
	return token{kind: tokLiteral, text: l.src[l.at : len(l.src)-len(rest)], offset: l.at, value: String(b.String())}
}

func (l *lexer) number() token {
	rest := l.src[l.at:]
	text := rest[:1+wordLen(rest[1:], true)]
	f := ParseNumber(text)
	if math.IsNaN(f) {
		return token{kind: tokBad, text: text, offset: l.at}
	}
	return token{kind: tokLiteral, text: text, offset: l.at, value: Number(f)}
}

// word reads a keyword, a property, or the name of a function or a context.
func (l *lexer) word() token {
	rest := l.src[l.at:]
	_, first := utf8.DecodeRuneInString(rest)
	t := token{text: rest[:first+wordLen(rest[first:], false)], offset: l.at}
	switch {
	case !isName(t.text):
		t.kind = tokBad
	case l.last == tokDot:
		t.kind = tokProperty
	default:
		t.kind, t.value = keyword(t.text)
	}
	if t.kind == tokName && strings.HasPrefix(strings.TrimLeftFunc(rest[len(t.text):], unicode.IsSpace), "(") {
		t.kind = tokFunction
	}
	return t
}

// keyword tells words that are values from names. Case counts here.
func keyword(s string) (tokenKind, Value) {
	switch s {
	case "null":
		return tokLiteral, Null{}
	case "true":
		return tokLiteral, Bool(true)
	case "false":
		return tokLiteral, Bool(false)
	case "NaN":
		return tokLiteral, Number(math.NaN())
	case "Infinity":
		return tokLiteral, Number(math.Inf(1))
	default:
		return tokName, nil
	}
}

// wordLen is where a word ends. To a number the point is part of it.
func wordLen(s string, number bool) int {
	for i, r := range s {
		switch r {
		case '.':
			if !number {
				return i
			}
		case '(', '[', ')', ']', ',', '!', '>', '<', '=', '&', '|':
			return i
		default:
			if unicode.IsSpace(r) {
				return i
			}
		}
	}
	return len(s)
}

// isName reports whether s is a letter or _, and then letters, digits, _ and -.
func isName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		case i > 0 && (c == '-' || c >= '0' && c <= '9'):
		default:
			return false
		}
	}
	return s != ""
}
