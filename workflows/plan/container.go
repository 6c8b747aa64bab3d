// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"strings"

	"github.com/zviz/run/workflows/syntax"
)

const dockerPrefix = "docker://"

// containers evaluates a container: none if its image is empty (then a job runs without
// one, and a service is left out).
func (b *builder) containers(what, name string, t *syntax.Token) []Container {
	if t.IsExpression() {
		t = b.token(what, t)
	}
	if t == nil || b.err != nil {
		return nil
	}
	c := Container{Name: name}
	if t.Kind != syntax.Mapping {
		c.Image = b.text(what, t)
	}
	for _, p := range t.Pairs {
		b.containerKey(what, &c, b.text(what, p.Key), p.Value)
	}
	if c.Image = strings.TrimPrefix(c.Image, dockerPrefix); c.Image == "" {
		return nil
	}
	return []Container{c}
}

func (b *builder) containerKey(what string, c *Container, key string, v *syntax.Token) {
	switch key {
	case "image":
		c.Image = b.text(what, v)
	case "options":
		c.Options = b.text(what, v)
	case "entrypoint":
		c.Entrypoint = b.text(what, v)
	case "command":
		c.Command = b.text(what, v)
	case "ports":
		c.Ports = b.texts(what, v)
	case "volumes":
		c.Volumes = b.texts(what, v)
	case "env":
		c.Env = b.variables(what, v)
	case "credentials":
		c.Credentials = b.variables(what, v)
	default:
		b.fail(what, wrong(v, "Unexpected value '"+key+"'"))
	}
}

func (b *builder) services(t *syntax.Token) []Container {
	const what = "services"
	if t.IsExpression() {
		t = b.token(what, t)
	}
	if t == nil || b.err != nil || t.Kind == syntax.Null {
		return nil
	}
	if t.Kind != syntax.Mapping {
		b.fail(what, unexpected(t))
		return nil
	}
	var list []Container
	for _, p := range t.Pairs {
		if p.Key.Kind == syntax.Insert {
			list = append(list, b.services(p.Value)...)
			continue
		}
		list = append(list, b.containers(what, b.text(what, p.Key), p.Value)...)
	}
	return list
}
