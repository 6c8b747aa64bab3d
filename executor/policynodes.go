// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"

	"github.com/zviz/run/internal/spell"
)

// This file walks YAML nodes for the policy decoder: it knows no key of a policy.

// load returns the one document of data.
func (d *policyDecoder) load(data []byte) (*yaml.Node, error) {
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := loader.Load(&doc); errors.Is(err, io.EOF) {
		return nil, &PolicyError{File: d.name, Line: 1, What: "the policy file is empty", Fix: "begin it with: version: 1"}
	} else if err != nil {
		return nil, d.syntax(err)
	}
	var more yaml.Node
	if err := loader.Load(&more); err == nil {
		return nil, &PolicyError{File: d.name, Line: more.Line, Col: more.Column, What: "a policy file is one document; here begins another"}
	} else if !errors.Is(err, io.EOF) {
		return nil, d.syntax(err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, &PolicyError{File: d.name, Line: 1, What: "the policy file is empty", Fix: "begin it with: version: 1"}
	}
	return doc.Content[0], nil
}

// syntax turns an error of the YAML parser into one of ours.
func (d *policyDecoder) syntax(err error) error {
	e := &PolicyError{File: d.name, What: "not YAML: " + err.Error()}
	if le, ok := errors.AsType[*yaml.LoadError](err); ok {
		e.Line, e.Col, e.What = le.Mark.Line, le.Mark.Column, "not YAML: "+le.Message
	}
	return e
}

func (d *policyDecoder) errorf(n *yaml.Node, format string, args ...any) *PolicyError {
	return &PolicyError{File: d.name, Line: n.Line, Col: n.Column, What: fmt.Sprintf(format, args...)}
}

// visit follows an alias and counts.
func (d *policyDecoder) visit(n *yaml.Node) (*yaml.Node, error) {
	for {
		if d.left--; d.left < 0 {
			return nil, d.errorf(n, "too many values; aliases (*name) multiply them")
		}
		if n.Kind != yaml.AliasNode {
			return n, nil
		}
		n = n.Alias
	}
}

// field is a key of a mapping.
type field struct {
	name string
	set  func(*yaml.Node) error // nil: a later version will know the key
}

// mapping calls the set function of each key of n, which stands at where.
func (d *policyDecoder) mapping(n *yaml.Node, where string, fields []field) error {
	n, err := d.visit(n)
	if err != nil {
		return err
	}
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return d.errorf(n, "%s: want keys with values, got %s", where, describeNode(n))
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, err := d.visit(n.Content[i])
		if err != nil {
			return err
		}
		if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" {
			if key.ShortTag() == "!!merge" {
				return d.errorf(key, "%s: merge keys (<<) are not supported", where)
			}
			return d.errorf(key, "%s: want a word as key, got %s", where, describeNode(key))
		}
		at := n.Content[i]
		if line, dup := seen[key.Value]; dup {
			return d.errorf(at, "key %q is in %s twice, first in line %d", clip(key.Value), where, line)
		}
		seen[key.Value] = at.Line
		full := join(strings.TrimPrefix(where, "the policy file"), key.Value)
		d.out.Origins[full], d.keys[full] = d.place(at), at
		f := slices.IndexFunc(fields, func(f field) bool { return f.name == key.Value })
		switch {
		case f < 0:
			return d.unknown(at, key.Value, where, fields)
		case fields[f].set == nil:
			return d.errorf(at, "key %q in %s is not supported by this version", key.Value, where)
		}
		if err := fields[f].set(n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (d *policyDecoder) unknown(at *yaml.Node, key, where string, fields []field) error {
	e := d.errorf(at, "unknown key %q in %s", clip(key), where)
	var names []string
	for _, f := range fields {
		if f.set != nil {
			names = append(names, f.name)
		}
	}
	if n, ok := spell.Nearest(key, names); ok {
		e.What += fmt.Sprintf(", did you mean %q?", n)
	} else {
		e.Fix = "keys of " + where + ": " + strings.Join(names, ", ")
	}
	return e
}

// list calls item for each item of n.
func (d *policyDecoder) list(n *yaml.Node, where string, item func(*yaml.Node) error) error {
	n, err := d.visit(n)
	if err != nil {
		return err
	}
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		e := d.errorf(n, "%s: want a list, got %s", where, describeNode(n))
		if n.Kind == yaml.ScalarNode && len(n.Value) < 100 {
			e.Fix = where[strings.LastIndexByte(where, '.')+1:] + ": [" + n.Value + "]"
		}
		return e
	}
	for _, c := range n.Content {
		if err := item(c); err != nil {
			return err
		}
	}
	return nil
}

// text returns the value of a scalar; a number counts as its digits.
func (d *policyDecoder) text(n *yaml.Node, where string) (string, *yaml.Node, error) {
	at := n
	n, err := d.visit(n)
	if err != nil {
		return "", nil, err
	}
	if n.Kind == yaml.ScalarNode {
		switch n.ShortTag() {
		case "!!str", "!!int", "!!float":
			if n.Value == "" {
				return "", nil, d.errorf(at, "%s: is empty", where)
			}
			if len(n.Value) > 4096 || strings.ContainsFunc(n.Value, unicode.IsControl) {
				return "", nil, d.errorf(at, "%s: too long, or with control characters", where)
			}
			return n.Value, at, nil
		}
	}
	return "", nil, d.errorf(at, "%s: want a text, got %s", where, describeNode(n))
}

// parsed returns a field whose text goes through parse. An error repeats the text.
func parsed[T any](d *policyDecoder, where, name string, dst *T, parse func(string) (T, error)) field {
	return decoded(d, where, name, dst, parse, func(s string) string { return " " + strconv.Quote(clip(s)) })
}

// unquoted is parsed for what may be a credential, if only by mistake: no error repeats
// it.
func unquoted[T any](d *policyDecoder, where, name string, dst *T, parse func(string) (T, error)) field {
	return decoded(d, where, name, dst, parse, func(string) string { return "" })
}

func decoded[T any](d *policyDecoder, where, name string, dst *T, parse func(string) (T, error), quote func(string) string) field {
	where = join(where, name)
	return field{name, func(n *yaml.Node) error {
		s, at, err := d.text(n, where)
		if err != nil {
			return err
		}
		v, err := parse(s)
		if err != nil {
			return d.wrap(at, where+quote(s), err)
		}
		*dst = v
		return nil
	}}
}

// some is texts where an empty list would mean as much as none, and its author another
// thing: every item may have been commented out.
func (d *policyDecoder) some(where, name string, add func(string) error) field {
	f := d.texts(where, name, add)
	set := f.set
	f.set = func(n *yaml.Node) error {
		if v, err := d.visit(n); err != nil {
			return err
		} else if isNull(v) || v.Kind == yaml.SequenceNode && len(v.Content) == 0 {
			return d.errorf(n, "%s: the list is empty, which would allow all; leave the key out for that", join(where, name))
		}
		return set(n)
	}
	return f
}

// texts returns a field that is a list of texts, each of which goes to add.
func (d *policyDecoder) texts(where, name string, add func(string) error) field {
	where = join(where, name)
	return field{name, func(n *yaml.Node) error {
		return d.list(n, where, func(n *yaml.Node) error {
			s, at, err := d.text(n, where)
			if err != nil {
				return err
			}
			if err := add(s); err != nil {
				return d.wrap(at, where, err)
			}
			return nil
		})
	}}
}

// wrap gives an error its place. What it advises goes along.
func (d *policyDecoder) wrap(at *yaml.Node, where string, err error) error {
	e := d.errorf(at, "%s: %v", where, err)
	if h, ok := err.(interface{ Hint() string }); ok {
		e.Fix = h.Hint()
	}
	return e
}

func join(where, name string) string {
	if where == "" {
		return name
	}
	return where + "." + name
}

func (d *policyDecoder) boolean(n *yaml.Node, where string, dst *bool) error {
	at := n
	n, err := d.visit(n)
	if err != nil {
		return err
	}
	// Only what YAML 1.2 calls a boolean: "yes" in a security setting is a guess.
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" || (n.Value != "true" && n.Value != "false") {
		return d.errorf(at, "%s: want true or false, got %s", where, describeNode(n))
	}
	*dst = n.Value == "true"
	return nil
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func describeNode(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys with values"
	case yaml.SequenceNode:
		return "a list"
	default:
		if isNull(n) {
			return "nothing"
		}
		return strconv.Quote(clip(n.Value))
	}
}

// clip bounds what an error quotes of a file.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
