// SPDX-License-Identifier: Apache-2.0

package syntax

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/zviz/run/workflows/expr"
)

const (
	openExpression = "${{"
	insert         = "insert"
)

// template reads a text with ${{ }}. What is wrong is recorded, and the text then
// stays text.
func (f *fileReader) template(t *Token, s *scope) *Token {
	var options expr.Options
	if s != nil {
		options = s.options
	}
	var segments []*Token // String and Expression, in turn
	addText := func(text string) {
		if text != "" {
			segments = append(segments, &Token{Kind: String, Pos: t.Pos, Text: text})
		}
	}
	rest := t.Text
	for {
		before, after, found := strings.Cut(rest, openExpression)
		addText(before)
		if !found {
			break
		}
		source, next, closed := cutExpression(after)
		if !closed {
			f.Error(t, "The expression is not closed. An unescaped ${{ sequence was found, but the closing }} sequence was not found.")
			return t
		}
		e, err := f.expression(t, source, s, options)
		if err != nil {
			f.wrong(t, err)
			return t
		}
		if e.Kind == Insert && (before != "" || len(segments) > 0 || next != "") {
			f.Error(t, "The directive 'insert' is not allowed in this context. Directives are not supported for expressions that are embedded within a string. Directives are only supported when the entire value is an expression.")
			return t
		}
		segments = append(segments, e)
		rest = next
	}
	if len(segments) == 1 {
		if e := segments[0]; e.Kind == Expression {
			if text, ok := quoted(e.Text); ok {
				return &Token{Kind: String, Pos: t.Pos, Text: text}
			}
		}
		return segments[0]
	}
	joined := join(segments)
	if !clearlyValid(segments, joined) {
		if _, err := expr.Parse(joined, options); err != nil {
			f.wrong(t, err)
			return t
		}
	}
	return &Token{Kind: Expression, Pos: t.Pos, Text: joined, Source: t.Text}
}

// wrong records the error of an expression with its hint.
func (f *fileReader) wrong(t *Token, err error) {
	hint := ""
	if h, ok := err.(interface{ Hint() string }); ok {
		hint = h.Hint()
	}
	f.errorHint(t, err.Error(), hint)
}

// cutExpression finds the }} that is outside of quotes.
func cutExpression(s string) (source, rest string, ok bool) {
	inText := false
	for i := range len(s) {
		switch {
		case s[i] == '\'':
			inText = !inText
		case !inText && s[i] == '}' && i > 0 && s[i-1] == '}':
			return s[:i-1], s[i+1:], true
		}
	}
	return "", "", false
}

func (f *fileReader) expression(t *Token, source string, s *scope, options expr.Options) (*Token, error) {
	source = strings.TrimFunc(source, unicode.IsSpace)
	if source == "" {
		return nil, stop{"An expression was expected"}
	}
	if rest, ok := strings.CutPrefix(source, insert); ok {
		if r, _ := utf8.DecodeRuneInString(rest); rest == "" || unicode.IsSpace(r) {
			if n := len(strings.Fields(rest)); n > 0 {
				return nil, stop{fmt.Sprintf("Exactly 0 parameter(s) were expected following the directive 'insert'. Actual parameter count: %d", n)}
			}
			return &Token{Kind: Insert, Pos: t.Pos}, nil
		}
	}
	key := parsedKey{s, source}
	if !f.parsed[key] {
		if _, err := expr.Parse(source, options); err != nil {
			return nil, err
		}
		f.parsed[key] = true
	}
	return &Token{Kind: Expression, Pos: t.Pos, Text: source}, nil
}

// quoted is the text of an expression that is nothing but a text: the way to write ${{
// itself.
func quoted(source string) (string, bool) {
	var b strings.Builder
	inText := false
	for i := range len(source) {
		switch {
		case source[i] == '\'':
			if inText = !inText; inText && i > 0 {
				b.WriteByte('\'')
			}
		case !inText:
			return "", false
		default:
			b.WriteByte(source[i])
		}
	}
	return b.String(), true
}

// join makes one expression of several segments: format('text {0}', e).
func join(segments []*Token) string {
	var format, args strings.Builder
	n := 0
	for _, s := range segments {
		if s.Kind == Expression {
			format.WriteString("{" + strconv.Itoa(n) + "}")
			args.WriteString(", " + s.Text)
			n++
			continue
		}
		for i := range len(s.Text) {
			if c := s.Text[i]; c == '\'' || c == '{' || c == '}' {
				format.WriteByte(c)
			}
			format.WriteByte(s.Text[i])
		}
	}
	return "format('" + format.String() + "'" + args.String() + ")"
}

// clearlyValid says whether valid expressions are so short that what is joined of them
// cannot be too deep, too long or have too many arguments: each needs a character.
func clearlyValid(segments []*Token, joined string) bool {
	const margin = 40 // of the depth of 50
	n := 0
	for _, s := range segments {
		if s.Kind == Expression {
			n += len(s.Text)
		}
	}
	return n < margin && len(joined) < 20_000
}
