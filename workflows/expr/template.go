// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"strings"
	"unicode"
)

const (
	openMark  = "${{"
	closeMark = "}}"
	insert    = "insert"
)

// Template is a text that may hold expressions between ${{ and }}.
type Template struct {
	text   string // if expr is nil
	expr   *Expr
	insert bool
}

// TemplateError is what is wrong with a template besides its expressions. Its
// text is GitHub's.
type TemplateError struct {
	Offset int // where in the template the expression begins, in bytes
	Text   string
}

func (e *TemplateError) Error() string { return e.Text }

// ParseTemplate reads a text. One expression that is the whole text keeps the type
// of its value; with text around it, or with others, the value is a string. The
// error is a *TemplateError, or the *Error of an expression.
//
// As the runner does it rewrites several parts into one call of format, so that
// the limits of an expression are those of the whole text.
func ParseTemplate(text string, o Options) (*Template, error) {
	parts, err := splitTemplate(text)
	if err != nil {
		return nil, err
	}
	for i := range parts {
		if err := parts[i].parse(o); err != nil {
			return nil, err
		}
		if parts[i].insert && len(parts) > 1 {
			return nil, &TemplateError{parts[i].offset, "The directive '" + insert + "' is not allowed in this context. " +
				"Directives are not supported for expressions that are embedded within a string. " +
				"Directives are only supported when the entire value is an expression."}
		}
	}
	switch {
	case len(parts) == 0:
		return &Template{}, nil
	case len(parts) > 1:
		x, err := Parse(rewrite(parts), o)
		if err != nil {
			return nil, err
		}
		return &Template{expr: x}, nil
	case parts[0].insert:
		return &Template{insert: true}, nil
	case parts[0].expr == nil:
		return &Template{text: parts[0].text}, nil
	}
	if s, ok := parts[0].expr.literal(); ok {
		return &Template{text: s}, nil
	}
	return &Template{expr: parts[0].expr}, nil
}

// templatePart is a piece of text, or what stands between the marks.
type templatePart struct {
	text   string
	offset int
	marked bool
	insert bool
	expr   *Expr
}

func (p *templatePart) parse(o Options) (err error) {
	if !p.marked {
		return nil
	}
	p.text = strings.TrimFunc(p.text, unicode.IsSpace)
	if p.text == "" {
		return &TemplateError{p.offset, "An expression was expected"}
	}
	if word, rest := cutWord(p.text); word == insert {
		if p.insert = rest == ""; p.insert {
			return nil
		}
	}
	p.expr, err = Parse(p.text, o)
	return err
}

// cutWord cuts at the first white space.
func cutWord(s string) (word, rest string) {
	if i := strings.IndexFunc(s, unicode.IsSpace); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// splitTemplate cuts a text at its marks. An expression ends at the first }}
// outside of a string.
func splitTemplate(text string) (parts []templatePart, err error) {
	for at := 0; at < len(text); {
		start := strings.Index(text[at:], openMark)
		if start < 0 {
			return append(parts, templatePart{text: text[at:], offset: at}), nil
		}
		if start > 0 {
			parts = append(parts, templatePart{text: text[at : at+start], offset: at})
		}
		at += start
		inside := text[at+len(openMark):]
		end := closing(inside)
		if end < 0 {
			return nil, &TemplateError{at, "The expression is not closed. An unescaped ${{ sequence was found, but the closing }} sequence was not found."}
		}
		parts = append(parts, templatePart{text: inside[:end], offset: at, marked: true})
		at += len(openMark) + end + len(closeMark)
	}
	return parts, nil
}

// closing finds the mark that ends an expression.
func closing(s string) int {
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '\'':
			quoted = !quoted // two quotes for one change nothing
		case !quoted && strings.HasPrefix(s[i:], closeMark):
			return i
		}
	}
	return -1
}

// rewrite makes one expression of the parts.
func rewrite(parts []templatePart) string {
	braces := strings.NewReplacer("{", "{{", "}", "}}", "'", "''")
	var text, args strings.Builder
	n := 0
	for _, p := range parts {
		if !p.marked {
			text.WriteString(braces.Replace(p.text))
			continue
		}
		text.WriteString("{" + FormatNumber(float64(n)) + "}")
		n++
		args.WriteString(", " + p.text)
	}
	return "format('" + text.String() + "'" + args.String() + ")"
}

// literal is the text of an expression that is one string and nothing else.
func (e *Expr) literal() (string, bool) {
	if e.root == nil || e.root.kind != nodeLiteral || !strings.HasPrefix(e.src, "'") {
		return "", false
	}
	s, ok := e.root.value.(String)
	return string(s), ok
}

// Literal is the text of a template without an expression.
func (t *Template) Literal() (string, bool) { return t.text, t.expr == nil && !t.insert }

// Expr is the expression of a template, nil if it is a literal.
func (t *Template) Expr() *Expr { return t.expr }

// Insert reports whether the template is ${{ insert }}: a key that stands for the
// members of its value. It has no value itself.
func (t *Template) Insert() bool { return t.insert }

// Eval evaluates the template.
func (t *Template) Eval(env Env) (Value, error) {
	if t.expr == nil {
		return String(t.text), nil
	}
	return t.expr.Eval(env)
}

// EvalString evaluates the template where a text is wanted. An array or an object
// is an error then.
func (t *Template) EvalString(env Env) (string, error) {
	v, err := t.Eval(env)
	if err != nil {
		return "", err
	}
	switch v.Kind() {
	case KindArray:
		return "", &TemplateError{0, "A sequence was not expected"}
	case KindObject:
		return "", &TemplateError{0, "A mapping was not expected"}
	default:
		return ToString(v), nil
	}
}
