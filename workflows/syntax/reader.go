// SPDX-License-Identifier: Apache-2.0

package syntax

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/zviz/run/internal/spell"
)

// Options say how to read.
type Options struct {
	Limits          Limits
	NoAnchors       bool // as GitHub before 2025-09-18
	BackgroundSteps bool // offer wait, wait-all and cancel when a step has no kind
	NoBackground    bool // refuse background steps, as where they are not released
}

// Reader reads the files of one run: the workflow and those that it calls. Their
// errors and sizes are counted together.
type Reader struct {
	options Options
	memory  memory
	errors  errorList
	files   []string // their names; a token's File is an index, from 1
	scopes  map[scopeKey]*scope
	parsed  map[parsedKey]bool // expressions that are right
}

type parsedKey struct {
	scope  *scope
	source string
}

type scopeKey struct {
	parent *scope
	def    *definition
}

// NewReader makes a reader that has read nothing.
func NewReader(o Options) *Reader {
	o.Limits = o.Limits.orDefaults()
	return &Reader{
		options: o, memory: memory{limits: o.Limits}, errors: errorList{limits: o.Limits},
		scopes: map[scopeKey]*scope{}, parsed: map[parsedKey]bool{},
	}
}

// Errors are what is wrong, in the order found; at most Limits.MaxErrors.
func (r *Reader) Errors() []*Error { return r.errors.list }

// Failed says whether anything is wrong.
func (r *Reader) Failed() bool { return len(r.errors.list) > 0 }

// Files are the names of the files, in the order in which they were first read.
func (r *Reader) Files() []string { return slices.Clone(r.files) }

// File is the name of the file that a token comes from.
func (r *Reader) File(p Pos) string {
	if p.File < 1 || p.File > len(r.files) {
		return ""
	}
	return r.files[p.File-1]
}

// Error records an error at a token; nil is no place.
func (r *Reader) Error(t *Token, message string) { r.errorHint(t, message, "") }

// Wrong records the error of an expression with its hint.
func (r *Reader) Wrong(t *Token, err error) {
	hint := ""
	if h, ok := err.(interface{ Hint() string }); ok {
		hint = h.Hint()
	}
	r.errorHint(t, err.Error(), hint)
}

func (r *Reader) errorHint(t *Token, message, hint string) {
	e := &Error{Message: message, hint: hint}
	if t != nil {
		e.File, e.Line, e.Col = r.File(t.Pos), t.Pos.Line, t.Pos.Col
	}
	r.errors.add(e)
}

// Fail records an error whose text in GitHub has no place, though we know it.
func (r *Reader) Fail(t *Token, message string) {
	r.errors.add(&Error{Message: message})
	if n := len(r.errors.list); t != nil && n > 0 {
		if e := r.errors.list[n-1]; e.File == "" {
			e.File, e.Line, e.Col = r.File(t.Pos), t.Pos.Line, t.Pos.Col
		}
	}
}

// CalledFrom marks the errors so far as found in a file that was called at a place,
// unless they are about the caller itself.
func (r *Reader) CalledFrom(at *Token) { r.errors.calledFrom(r.File(at.Pos), at.Pos) }

// AddBytes counts the size of what is made of the files, by GitHub's measure: objects
// and texts. False once there is too much.
func (r *Reader) AddBytes(objects int, texts ...string) bool {
	n := objects * objectBytes
	for _, s := range texts {
		n += textBytes(s)
	}
	return r.memory.add(n) == nil
}

// Read reads a file by a definition of the schema: workflow-root, or
// workflow-root-strict for one whose events are checked to the last key. It returns
// what could be read, nil if nothing; Errors says what is wrong.
func (r *Reader) Read(name, text, def string) *Token {
	file := 1 + slices.IndexFunc(r.files, func(f string) bool { return strings.EqualFold(f, name) })
	if file == 0 {
		r.files = append(r.files, name)
		if file = len(r.files); file > r.options.Limits.MaxFiles {
			r.Fail(nil, fmt.Sprintf("The maximum file count of %d has been exceeded", r.options.Limits.MaxFiles))
			return nil
		}
		if err := r.memory.addText(name); err != nil {
			r.Fail(nil, err.Error())
			return nil
		}
	}
	if limit := r.options.Limits.MaxFileSize; units(text) > limit {
		r.errors.add(&Error{File: name, Message: fmt.Sprintf("The maximum file size of %d characters has been exceeded", limit)})
		return nil
	}
	doc := parseYAML(text)
	var root *Token
	if doc.root != nil {
		f := fileReader{Reader: r, file: file, nodes: 2} // the stream and the document
		d := schema()[def]
		var err error
		root, err = f.value(doc.root, place{d, r.scope(nil, d)})
		if s, ok := errors.AsType[stop](err); ok {
			e := &Error{File: name, Message: s.message, hint: s.hint}
			r.errors.add(e)
			e.Line, e.Col = f.at.Line, f.at.Col // GitHub's text has no place
			return nil
		}
	}
	if doc.failure != nil {
		doc.failure.File = name
		r.errors.add(doc.failure)
		return nil
	}
	return root
}

// Check checks a value as if it stood where the schema has a definition, and returns
// it converted if the definition wants text.
func (r *Reader) Check(t *Token, def string) *Token {
	if t.IsExpression() || !t.Scalar() {
		return t
	}
	f := fileReader{Reader: r}
	d := schema()[def]
	return f.validate(t, place{d, nil})
}

func (r *Reader) scope(parent *scope, d *definition) *scope {
	if len(d.context) == 0 {
		return parent
	}
	key := scopeKey{parent, d}
	if r.scopes[key] == nil {
		if parent == nil {
			r.scopes[key] = newScope(d.context)
		} else {
			r.scopes[key] = parent.extend(d)
		}
	}
	return r.scopes[key]
}

// place is what may stand somewhere: a definition, and what expressions may name.
// A nil scope allows no expression.
type place struct {
	def   *definition
	scope *scope
}

// fileReader walks the nodes of one file.
type fileReader struct {
	*Reader
	file  int
	nodes int
	at    Pos // of the node that is read
}

func (f *fileReader) in(p place, d *definition) place { return place{d, f.scope(p.scope, d)} }

// node follows an alias, and counts.
func (f *fileReader) node(n *yaml.Node) (*yaml.Node, error) {
	f.at = f.pos(n)
	if n.Anchor != "" && f.options.NoAnchors {
		return nil, stop{message: fmt.Sprintf("Anchors are not currently supported. Remove the anchor '%s'", n.Anchor)}
	}
	if n.Kind == yaml.AliasNode {
		if f.options.NoAnchors {
			return nil, stop{message: "Unexpected parsing event type: AnchorAlias"}
		}
		n = n.Alias
	}
	if f.nodes++; n.Kind != yaml.ScalarNode {
		f.nodes++ // its end
	}
	if f.nodes > f.options.Limits.MaxNodes {
		return nil, stop{message: "Maximum YAML nodes exceeded"}
	}
	return n, nil
}

func (f *fileReader) pos(n *yaml.Node) Pos { return Pos{f.file, n.Line, n.Column} }

func (f *fileReader) value(n *yaml.Node, p place) (*Token, error) {
	if err := f.memory.value(); err != nil {
		return nil, err
	}
	n, err := f.node(n)
	if err != nil {
		return nil, err
	}
	if n.Kind == yaml.ScalarNode {
		raw, err := literal(n, f.pos(n))
		if err != nil {
			return nil, err
		}
		t := f.validate(f.scalar(raw, p.scope), p)
		return t, f.memory.addToken(t)
	}
	if err := f.memory.down(); err != nil {
		return nil, err
	}
	defer f.memory.up()
	t := &Token{Kind: Sequence, Pos: f.pos(n)}
	if n.Kind == yaml.MappingNode {
		t.Kind = Mapping
	}
	if err := f.memory.addToken(t); err != nil {
		return nil, err
	}
	if t.Kind == Mapping {
		return t, f.mapping(t, n, p)
	}
	return t, f.sequence(t, n, p)
}

func (f *fileReader) sequence(t *Token, n *yaml.Node, p place) error {
	d := p.def.sequence()
	if d == nil {
		f.Error(t, "A sequence was not expected")
		return f.skipAll(n)
	}
	item := f.in(p, d.item)
	for _, c := range n.Content {
		v, err := f.value(c, item)
		if err != nil {
			return err
		}
		t.Items = append(t.Items, v)
	}
	return nil
}

// skip passes over a value that cannot stand here, which has been said.
func (f *fileReader) skip(n *yaml.Node) error {
	if err := f.memory.value(); err != nil {
		return err
	}
	n, err := f.node(n)
	if err != nil || n.Kind == yaml.ScalarNode {
		return err
	}
	if err := f.memory.down(); err != nil {
		return err
	}
	defer f.memory.up()
	return f.skipAll(n)
}

func (f *fileReader) skipAll(n *yaml.Node) error {
	for _, c := range n.Content {
		if err := f.skip(c); err != nil {
			return err
		}
	}
	return nil
}

// validate checks a scalar; one that is no text becomes text where only text may stand.
func (f *fileReader) validate(t *Token, p place) *Token {
	if t.IsExpression() {
		if p.scope == nil || t.Kind == Insert {
			message := "A template expression is not allowed in this context"
			if t.Kind == Insert {
				message = "Unexpected value '" + t.String() + "'"
			}
			f.Error(t, message)
		}
		return t
	}
	if p.def.scalar(t) {
		return t
	}
	text := t
	if t.Kind != String {
		text = &Token{Kind: String, Pos: t.Pos, Text: t.String()}
		if p.def.scalar(text) {
			return text
		}
	}
	f.errorHint(t, "Unexpected value '"+text.Text+"'", meant(text.Text, p.def.known()))
	return text
}

func meant(name string, known []string) string {
	if n, ok := spell.Nearest(name, known); ok {
		return "did you mean " + strconv.Quote(n) + "?"
	}
	return ""
}

// scalar finds the expressions in a text.
func (f *fileReader) scalar(t *Token, s *scope) *Token {
	if t.Kind != String || !strings.Contains(t.Text, openExpression) {
		return t
	}
	return f.template(t, s)
}
