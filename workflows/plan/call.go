// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"

	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// callee makes the scope of the workflow that a job calls.
func (b *builder) callee(c *cell) {
	d := c.node.def
	if b.err != nil {
		return
	}
	if !d.Call.Loaded {
		b.err = fmt.Errorf("the called workflow %s is not on this machine", d.Uses.Text)
		return
	}
	s := &scope{
		caller: c, uses: d.Call.File, id: c.id + ".", name: c.name + " / ", order: c.order,
		env: d.Call.Env, defaults: d.Call.Defaults, inputs: b.callInputs(c),
		secrets: &Secrets{parent: c.node.scope.secrets, inherit: d.Call.InheritSecrets, given: d.Call.Secrets, contexts: c.contexts},
	}
	if b.err != nil {
		return
	}
	inner := builder{p: b.p, job: b.job, env: expr.Env{Contexts: b.p.contexts(s, "")}}
	c.want(inner.group("concurrency", d.Call.Concurrency))
	b.err = inner.err
	c.callee = s
}

// callInputs are the inputs of a called workflow: given, or their default.
func (b *builder) callInputs(c *cell) *expr.Object {
	call := c.node.def.Call
	var list []expr.Member
	if call.InputSpec == nil {
		return expr.NewObject()
	}
	for _, p := range call.InputSpec.Pairs {
		kind := p.Value.Get("type").String()
		what := "with." + p.Key.Text
		t := b.token(what, member(call.Inputs, p.Key.Text))
		if t == nil {
			t = b.token(what, p.Value.Get("default"))
		}
		v := emptyInput(kind)
		if t != nil && b.err == nil {
			var err error
			v, err = typed(kind, t)
			b.fail(what, err)
		}
		list = append(list, expr.Member{Name: p.Key.Text, Value: v})
	}
	return expr.NewObject(list...)
}

// member finds a value by its name, which ignores case.
func member(t *syntax.Token, name string) *syntax.Token {
	if t != nil {
		for _, p := range t.Pairs {
			if expr.Fold(p.Key.Text) == expr.Fold(name) {
				return p.Value
			}
		}
	}
	return nil
}

// call starts the workflow of a calling job.
func (p *Plan) call(c *cell) {
	c.sub = c.callee
	c.sub.add(p, c.node.def.Call.Jobs)
}

// endCall ends a calling job with what came of its workflow.
func (p *Plan) endCall(c *cell, result Conclusion) {
	contexts := p.contexts(c.sub, "")
	contexts["jobs"] = expr.NewObject(results(c.sub.nodes)...)
	b := builder{p: p, job: c.node.def.ID.Text, env: expr.Env{Contexts: contexts}}
	var outputs []Output
	if spec := c.node.def.Call.Outputs; spec != nil {
		for _, pair := range spec.Pairs {
			name := pair.Key.Text
			outputs = append(outputs, Output{name, b.text("outputs."+name, pair.Value.Get("value"))})
		}
	}
	if b.err != nil {
		p.fail(c, b.err)
		return
	}
	if why := p.takeOutputs(c, outputs); why != "" {
		c.why, result = why, Failure
	}
	p.end(c, result)
}
