// SPDX-License-Identifier: Apache-2.0

package action

import (
	"strings"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/syntax"
)

// runsKeys are the keys of runs that are texts.
func runsKeys(r *Runs) map[string]*string {
	return map[string]*string{
		"using": &r.Using, "image": &r.Image, "entrypoint": &r.Entrypoint, "main": &r.Main, "plugin": &r.Plugin,
	}
}

// runs reads how the action runs. Which keys go together the schema has said.
func (p *parser) runs(r *Runs, t *syntax.Token) {
	if !p.want(t, syntax.Mapping, "runs") {
		return
	}
	texts := runsKeys(r)
	var pre, post struct{ script, entrypoint string }
	r.PreIf, r.PostIf = always, always
	for _, pair := range t.Pairs {
		if !p.want(pair.Key, syntax.String, "runs key") {
			return
		}
		v := pair.Value
		switch key := pair.Key.Text; key {
		case "args":
			if p.want(v, syntax.Sequence, key) {
				r.Args = v
			}
		case "env":
			if p.want(v, syntax.Mapping, key) {
				r.Env = v
			}
		case "pre":
			pre.script = p.text(v, key)
		case "post":
			post.script = p.text(v, key)
		case "pre-entrypoint":
			pre.entrypoint = p.text(v, key)
		case "post-entrypoint":
			post.entrypoint = p.text(v, key)
		case "pre-if":
			r.PreIf = p.condition(v, key)
		case "post-if":
			r.PostIf = p.condition(v, key)
		case "steps":
			p.steps(r, v)
		default:
			if to := texts[key]; to != nil {
				*to = p.text(v, key)
			}
		}
	}
	if !p.ended {
		p.kind(r, t)
	}
	if r.Pre, r.Post = pre.script, post.script; r.Kind == Docker {
		r.Pre, r.Post = pre.entrypoint, post.entrypoint
	}
}

func (p *parser) steps(r *Runs, t *syntax.Token) {
	if !p.want(t, syntax.Sequence, "steps") {
		return
	}
	var warnings []*syntax.Error
	r.Steps, warnings = workflows.ConvertSteps(p.r, t)
	if r.Steps == nil {
		r.Steps = []*workflows.Step{} // there are steps, if only none
	}
	p.warnings = append(p.warnings, warnings...)
	p.ended = p.r.Failed() // the runner looks no further than wrong steps
}

// kind decides how it runs. The texts are the runner's: .NET puts the message of these
// exceptions in brackets.
func (p *parser) kind(r *Runs, t *syntax.Token) {
	using := t.Get("using")
	const null = "Value cannot be null. (Parameter '%s %s.')"
	switch {
	case using == nil && r.Plugin != "":
		r.Kind = Plugin
	case using == nil:
		p.end(t, "Missing 'using' value. 'using' requires 'composite', 'docker', 'node12', 'node16', 'node20' or 'node24'.")
	case strings.EqualFold(r.Using, "docker"):
		if r.Kind = Docker; r.Image == "" {
			p.end(t, null, "You are using a Container Action but an image is not provided in", p.name)
			return
		}
		if _, ok := r.ImageRef(); !ok && !dockerfile(r.Image) {
			p.end(t.Get("image"), "'%s' should be either '[path]/Dockerfile' or 'docker://image[:tag]'.", r.Image)
		}
	case nodeVersion(r.Using) != 0:
		if r.Kind = Node; r.Main == "" {
			p.end(t, null, "You are using a JavaScript Action but there is not an entry JavaScript file provided in", p.name)
		}
	case strings.EqualFold(r.Using, "composite"):
		if r.Kind = Composite; r.Steps == nil {
			p.end(t, null, "You are using a composite action but there are no steps provided in", p.name)
		}
	default:
		p.end(using, "Specified argument was out of the range of valid values. (Parameter ''using: %s' is not supported, use 'docker', 'node12', 'node16', 'node20' or 'node24' instead.')", r.Using)
	}
}
