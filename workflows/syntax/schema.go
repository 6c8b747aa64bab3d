// SPDX-License-Identifier: Apache-2.0

package syntax

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/zviz/run/workflows/expr"
)

//go:embed schema.txt
var schemaText string

// definition is what a value may be.
type definition struct {
	name    string
	context []string // contexts, and functions as name(min,max); added to the parent's

	isNull, isBool, isNumber bool
	isString, nonEmpty       bool
	values                   []string // texts that it may be

	item       *definition // of a sequence
	isMapping  bool
	properties []property // of a mapping
	byKey      map[string]*property
	looseKey   *definition
	looseValue *definition
	oneOf      []*definition // alternatives, which are not one-of themselves, but for scalars
}

type property struct {
	key      string
	required bool
	def      *definition
}

// schema is the table, parsed once.
var schema = sync.OnceValue(func() map[string]*definition { //nolint:gochecknoglobals // never changes
	return parseSchema(schemaText)
})

// parseSchema reads the notation that schema.txt explains. The text is ours: what is
// wrong in it is a bug.
func parseSchema(text string) map[string]*definition {
	defs := map[string]*definition{}
	def := func(name string) *definition {
		if defs[name] == nil {
			defs[name] = &definition{name: name}
		}
		return defs[name]
	}
	builtin(def)
	var last *definition
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == ' ':
			parseProperty(last, strings.Fields(line), def)
		default:
			head, kind, _ := strings.Cut(line, ": ")
			name, context, _ := strings.Cut(head, " [")
			last = def(name)
			last.context = strings.Fields(strings.TrimSuffix(context, "]"))
			parseKind(last, strings.Fields(kind), def)
		}
	}
	for _, d := range defs {
		d.byKey = make(map[string]*property, len(d.properties))
		for i := range d.properties {
			d.byKey[d.properties[i].key] = &d.properties[i]
		}
	}
	return defs
}

// builtin makes the types that the table does not define.
func builtin(def func(string) *definition) {
	def("null").isNull = true
	def("boolean").isBool = true
	def("number").isNumber = true
	def("string").isString = true
	def("sequence").item = def("any")
	m := def("mapping")
	m.isMapping, m.looseKey, m.looseValue = true, def("string"), def("any")
	for _, n := range []string{"null", "boolean", "number", "string", "sequence", "mapping"} {
		def("any").oneOf = append(def("any").oneOf, def(n))
	}
}

func parseKind(d *definition, words []string, def func(string) *definition) {
	switch words[0] {
	case "mapping":
		d.isMapping = true
	case "sequence":
		d.item = def(words[1])
	case "one-of":
		for _, w := range words[1:] {
			d.oneOf = append(d.oneOf, def(w))
		}
	case "values":
		d.values = words[1:]
	case "string":
		d.isString = true
	case "non-empty":
		d.nonEmpty = true
	case "boolean":
		d.isBool = true
	case "number":
		d.isNumber = true
	case "null":
		d.isNull = true
	default:
		panic("bug: schema.txt: " + strings.Join(words, " "))
	}
}

func parseProperty(d *definition, words []string, def func(string) *definition) {
	if words[0] == "*" {
		d.looseKey, d.looseValue = def(words[1]), def(words[2])
		return
	}
	key, required := strings.CutSuffix(words[0], "!")
	d.properties = append(d.properties, property{key, required, def(words[1])})
}

// alternatives are the definitions of which one must hold.
func (d *definition) alternatives() []*definition {
	if d.oneOf != nil {
		return d.oneOf
	}
	return []*definition{d}
}

// sequence is the definition that a sequence must have, nil if none is allowed.
func (d *definition) sequence() *definition {
	for _, a := range d.alternatives() {
		if a.item != nil {
			return a
		}
	}
	return nil
}

func (d *definition) mappings() []*definition {
	var list []*definition
	for _, a := range d.alternatives() {
		if a.isMapping {
			list = append(list, a)
		}
	}
	return list
}

// scalar says whether a literal is allowed; nested one-ofs of strings count.
func (d *definition) scalar(t *Token) bool {
	for _, a := range d.alternatives() {
		switch {
		case a != d && a.oneOf != nil:
			if a.scalar(t) {
				return true
			}
		case t.Kind == Null && a.isNull, t.Kind == Bool && a.isBool, t.Kind == Number && a.isNumber:
			return true
		case t.Kind == String && (a.isString || a.nonEmpty && t.Text != "" || slices.Contains(a.values, t.Text)):
			return true
		}
	}
	return false
}

// known are the texts that a scalar may be, for a hint.
func (d *definition) known() []string {
	var list []string
	for _, a := range d.alternatives() {
		list = append(list, a.values...)
		if a != d && a.oneOf != nil {
			list = append(list, a.known()...)
		}
	}
	return list
}

// scope is what an expression may name at a place.
type scope struct {
	names   []string
	options expr.Options
}

// extend is the scope of a definition below s. A definition without a context of its
// own has its parent's.
func (s *scope) extend(d *definition) *scope {
	if len(d.context) == 0 {
		return s
	}
	names := slices.Clone(s.names)
	for _, n := range d.context {
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return newScope(names)
}

func newScope(names []string) *scope {
	s := &scope{names: names}
	for _, n := range names {
		name, arity, isFunction := strings.Cut(n, "(")
		if !isFunction {
			s.options.Contexts = append(s.options.Contexts, n)
			continue
		}
		f := expr.Signature{Name: name, Max: maxArguments}
		// "MAX" leaves the maximum as it is.
		_, _ = fmt.Sscanf(arity, "%d,%d)", &f.Min, &f.Max)
		s.options.Functions = append(s.options.Functions, f)
	}
	return s
}

const maxArguments = 1<<31 - 1

// Allowed is what expressions may name where a definition of the schema stands alone:
// what they are parsed with again when they are evaluated.
func Allowed(def string) expr.Options { return newScope(schema()[def].context).options }
