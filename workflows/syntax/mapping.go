// SPDX-License-Identifier: Apache-2.0

package syntax

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/zviz/run/workflows/expr"
)

func (f *fileReader) mapping(t *Token, n *yaml.Node, p place) error {
	defs := p.def.mappings()
	switch {
	case len(defs) == 0:
		f.Error(t, "A mapping was not expected")
		return f.skipAll(n)
	case len(defs) > 1 || len(defs[0].properties) > 0 || defs[0].looseKey == nil:
		return f.properties(t, n, p, defs)
	default:
		return f.loose(t, n, p, defs[0])
	}
}

// keys are the keys of a mapping that were seen. They ignore case.
type keys map[string]bool

func (k keys) add(key string) bool {
	key = expr.Fold(key)
	if k[key] {
		return false
	}
	k[key] = true
	return true
}

// key reads a key, and what is the same for all of them. It is nil if it and its value
// are done with.
func (f *fileReader) key(t *Token, n, value *yaml.Node, p place, seen keys, anyValue place) (*Token, error) {
	n, err := f.node(n)
	if err != nil {
		return nil, err
	}
	raw, err := literal(n, f.pos(n))
	if err != nil {
		return nil, err
	}
	k := f.scalar(raw, p.scope)
	switch {
	case k.IsExpression() && p.scope == nil:
		f.Error(k, "A template expression is not allowed in this context")
		return nil, f.skip(value)
	case k.IsExpression():
		if err := f.memory.addToken(k); err != nil {
			return nil, err
		}
		v, err := f.value(value, anyValue)
		t.Pairs = append(t.Pairs, Pair{k, v})
		return nil, err
	case k.Kind != String:
		k = &Token{Kind: String, Pos: k.Pos, Text: k.String()}
	}
	if !seen.add(k.Text) {
		f.Error(k, "'"+k.Text+"' is already defined")
		return nil, f.skip(value)
	}
	return k, nil
}

// isScalar says whether a key can be one.
func isScalar(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode || n.Kind == yaml.AliasNode && n.Alias.Kind == yaml.ScalarNode
}

// put reads the value of a key.
func (f *fileReader) put(t, k *Token, value *yaml.Node, p place) error {
	if err := f.memory.addToken(k); err != nil {
		return err
	}
	v, err := f.value(value, p)
	t.Pairs = append(t.Pairs, Pair{k, v})
	return err
}

// badKey ends a file with a key that is a sequence or a mapping.
func (f *fileReader) badKey(n *yaml.Node) error {
	f.at = f.pos(n)
	return stop{message: "Expected mapping end", hint: "a key must be a text"}
}

// properties reads a mapping with known keys. Of several definitions each key rules out
// those that do not have it.
func (f *fileReader) properties(t *Token, n *yaml.Node, p place, defs []*definition) error {
	looseKey, looseValue := defs[0].looseKey, defs[0].looseValue
	seen, hasExpression := keys{}, false
	anyValue := f.in(p, schema()["any"])
	var broken error
	for i := 0; i+1 < len(n.Content); i += 2 {
		value := n.Content[i+1]
		if !isScalar(n.Content[i]) {
			broken = f.badKey(n.Content[i])
			break
		}
		before := len(t.Pairs)
		k, err := f.key(t, n.Content[i], value, p, seen, anyValue)
		if err != nil {
			return err
		}
		if k == nil {
			hasExpression = hasExpression || len(t.Pairs) > before
			continue
		}
		property, left := match(defs, k.Text)
		defs = left
		switch {
		case property != nil && f.options.NoBackground && backgroundKey(k.Text):
			f.Error(k, "Unexpected value '"+k.Text+"'")
			err = f.skip(value)
		case property != nil:
			err = f.put(t, k, value, f.in(p, property.def))
		case looseKey != nil:
			f.validate(k, f.in(p, looseKey))
			err = f.put(t, k, value, f.in(p, looseValue))
		default:
			f.errorHint(k, "Unexpected value '"+k.Text+"'", meant(k.Text, keysOf(defs)))
			err = f.skip(value)
		}
		if err != nil {
			return err
		}
	}
	f.complete(t, defs, seen, hasExpression)
	return broken
}

// match finds a key, and the definitions that are still possible.
func match(defs []*definition, key string) (*property, []*definition) {
	if len(defs) == 1 { // nothing to rule out
		return defs[0].byKey[key], defs
	}
	var found *property
	var with []*definition
	for _, d := range defs {
		if p := d.byKey[key]; p != nil {
			if found == nil {
				found = p
			}
			with = append(with, d)
		}
	}
	if found == nil {
		return nil, defs
	}
	return found, with
}

func keysOf(defs []*definition) []string {
	var list []string
	for _, d := range defs {
		for _, p := range d.properties {
			list = append(list, p.key)
		}
	}
	return list
}

// complete checks that the keys decide what it is, and that none is missing.
func (f *fileReader) complete(t *Token, defs []*definition, seen keys, hasExpression bool) {
	if len(defs) > 1 {
		all := keysOf(defs)
		slices.Sort(all)
		var once []string
		for i, k := range all {
			twice := i > 0 && all[i-1] == k || i+1 < len(all) && all[i+1] == k
			if !twice && (f.options.BackgroundSteps || k == "background" || !backgroundKey(k)) {
				once = append(once, k)
			}
		}
		f.Error(t, "There's not enough info to determine what you meant. Add one of these properties: "+strings.Join(once, ", "))
		return
	}
	if hasExpression {
		return
	}
	for _, p := range defs[0].properties {
		if p.required && !seen[expr.Fold(p.key)] {
			f.Error(t, "Required property is missing: "+p.key)
		}
	}
}

// backgroundKey says whether a key belongs to background steps, which GitHub has not
// released everywhere.
func backgroundKey(key string) bool {
	return key == "background" || key == "wait" || key == "wait-all" || key == "cancel"
}

// loose reads a mapping whose keys are the user's own.
func (f *fileReader) loose(t *Token, n *yaml.Node, p place, d *definition) error {
	key, value := f.in(p, d.looseKey), f.in(p, d.looseValue)
	seen := keys{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if !isScalar(n.Content[i]) {
			return f.badKey(n.Content[i])
		}
		k, err := f.key(t, n.Content[i], n.Content[i+1], p, seen, value)
		if err != nil {
			return err
		}
		if k == nil {
			continue
		}
		f.validate(k, key)
		if err := f.put(t, k, n.Content[i+1], value); err != nil {
			return err
		}
	}
	return nil
}
