// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// GitHub's defaults (docs, "Workflow syntax"), in minutes.
const (
	defaultTimeout = 360
	defaultGrace   = 5
)

// prepare evaluates all that is known of a job before it runs.
func (p *Plan) prepare(c *cell) error {
	n, d := c.node, c.node.def
	c.contexts = maps.Clone(p.nodeContexts(n))
	c.contexts["strategy"] = c.strategy
	if len(c.matrix) > 0 {
		c.contexts["matrix"] = expr.NewObject(c.matrix...)
	}
	e := builder{p: p, job: d.ID.Text, env: expr.Env{Contexts: c.contexts}}
	if d.Name.HasExpression() {
		if name := e.text("name", d.Name); name != "" {
			c.name = n.scope.name + cutName(name)
		}
	}
	c.tolerated = e.bool("continue-on-error", d.ContinueOnError)
	own := e.group("concurrency", d.Concurrency)
	c.want(own)
	if d.Uses != nil {
		e.callee(c)
		return e.err
	}
	environment := e.environment(d.Environment)
	contexts, secrets := p.deploy(environment.Name, c.contexts, n.scope.secrets)
	e.env.Contexts = contexts
	j := &Job{
		ID: c.id, Key: d.ID.Text, Name: c.name, Workflow: n.scope.uses,
		Matrix: c.matrix, Index: c.index, Total: n.total,
		RunsOn:      e.runsOn(d.RunsOn),
		Timeout:     e.minutes("timeout-minutes", d.Timeout, defaultTimeout),
		Grace:       e.minutes("cancel-timeout-minutes", d.CancelTimeout, defaultGrace),
		Tolerated:   c.tolerated,
		Environment: environment,
		Permissions: d.Permissions,
		Groups:      c.groups(),
		Steps:       d.Steps,
		Outputs:     d.Outputs,
		Contexts:    contexts,
		Secrets:     secrets,
	}
	j.Env = merge(e.variables("env", n.scope.env), e.variables("env", d.Env))
	j.Defaults = e.defaults(n.scope.defaults, d.Defaults)
	if list := e.containers("container", "", d.Container); len(list) > 0 {
		j.Container = &list[0]
	}
	j.Services = e.services(d.Services)
	c.job, c.size = j, e.size
	p.held += e.size
	return e.err
}

// What the values of jobs that are not done may take, beside what the file says: GitHub
// holds them on its server, here they are in our memory.
const (
	maxJobBytes  = 1 << 20
	maxHeldBytes = 64 << 20
)

// maxName is in UTF-16 units (MatrixBuilder of the converter).
const maxName = 100

func cutName(s string) string {
	if u := utf16.Encode([]rune(s)); len(u) > maxName {
		return string(utf16.Decode(u[:maxName-3])) + "..."
	}
	return s
}

// builder evaluates the parts of a job. After an error it makes nothing more.
type builder struct {
	p    *Plan
	job  string
	env  expr.Env
	size int // bytes of what was evaluated
	err  error
}

func (b *builder) fail(what string, err error) {
	if err != nil && b.err == nil {
		b.err = b.p.explain(what, b.job, err)
	}
}

// token evaluates; nil if there is none, or an error.
func (b *builder) token(what string, t *syntax.Token) *syntax.Token {
	if t == nil || b.err != nil {
		return nil
	}
	v, err := b.p.ev.evaluate(t, b.env)
	b.fail(what, err)
	if err != nil {
		return nil
	}
	if v != t { // there were expressions
		for x := range v.All() {
			b.size += len(x.Text)
		}
		if b.size > maxJobBytes || b.p.held+b.size > maxHeldBytes {
			b.fail(what, wrong(t, fmt.Sprintf("the values of the job are more than %d bytes, or those of all jobs more than %d", maxJobBytes, maxHeldBytes)))
			return nil
		}
	}
	return v
}

func (b *builder) text(what string, t *syntax.Token) string {
	v := b.token(what, t)
	if v == nil {
		return ""
	}
	if !v.Scalar() {
		b.fail(what, unexpected(v))
		return ""
	}
	return v.String()
}

func (b *builder) texts(what string, t *syntax.Token) []string {
	v := b.token(what, t)
	switch {
	case v == nil || v.Kind == syntax.Null:
		return nil
	case v.Kind != syntax.Sequence:
		b.fail(what, unexpected(v))
	}
	var list []string
	for _, i := range v.Items {
		list = append(list, b.text(what, i))
	}
	return list
}

func (b *builder) bool(what string, t *syntax.Token) bool {
	v := b.token(what, t)
	if v == nil {
		return false
	}
	if v.Kind != syntax.Bool {
		b.fail(what, unexpected(v))
	}
	return v.Bool
}

// whole cuts a number to 32 bits, as GitHub does.
func whole(f float64) int {
	if math.IsNaN(f) {
		return 0
	}
	return int(min(max(f, math.MinInt32), math.MaxInt32))
}

func (b *builder) minutes(what string, t *syntax.Token, otherwise int) int {
	v := b.token(what, t)
	if v == nil {
		return otherwise
	}
	if v.Kind != syntax.Number {
		b.fail(what, unexpected(v))
	}
	if n := whole(v.Num); n > 0 {
		return n
	}
	return otherwise
}

func (b *builder) group(what string, t *syntax.Token) Group {
	if b.err != nil {
		return Group{}
	}
	g, err := b.p.group(t, b.env)
	b.fail(what, err)
	return g
}

func (b *builder) runsOn(t *syntax.Token) RunsOn {
	const what = "runs-on"
	v := b.token(what, t)
	if v == nil {
		return RunsOn{}
	}
	r := RunsOn{}
	labels := v
	if v.Kind == syntax.Mapping {
		labels = v.Get("labels")
		r.Group = b.text(what, v.Get("group"))
	}
	switch {
	case labels == nil:
	case labels.Kind == syntax.Sequence:
		r.Labels = b.texts(what, labels)
	default:
		r.Labels = []string{b.text(what, labels)}
	}
	if none := r.Group == "" && len(r.Labels) == 0; b.err == nil && (none || slices.Contains(r.Labels, "")) {
		b.fail(what, wrong(v, "Unexpected value ''"))
	}
	return r
}

func (b *builder) environment(t *syntax.Token) Environment {
	const what = "environment"
	if t.IsExpression() {
		t = b.token(what, t)
	}
	if t == nil {
		return Environment{}
	}
	if t.Kind != syntax.Mapping {
		return Environment{Name: b.text(what, t)}
	}
	return Environment{Name: b.text(what, t.Get("name")), URL: t.Get("url")}
}

// deploy adds to the contexts and the secrets of a job what its environment has.
func (p *Plan) deploy(environment string, contexts expr.Values, secrets *Secrets) (expr.Values, *Secrets) {
	if environment == "" {
		return contexts, secrets
	}
	for name, of := range p.o.Environments {
		if expr.Fold(name) != expr.Fold(environment) {
			continue
		}
		if len(of.Vars) > 0 {
			contexts = maps.Clone(contexts)
			contexts["vars"] = varsOf(of.Vars, p.o.Vars)
		}
		if len(of.Secrets) > 0 {
			secrets = &Secrets{names: of.Secrets, parent: secrets, environment: name}
		}
		break
	}
	return contexts, secrets
}

// laterText evaluates a text if it is known already.
func (b *builder) laterText(what string, t *syntax.Token) Text {
	if t == nil || b.err != nil {
		return Text{}
	}
	later, err := b.p.ev.later(t)
	b.fail(what, err)
	if later {
		return Text{Later: t}
	}
	return Text{Value: b.text(what, t)}
}

// variables evaluates a mapping of texts.
func (b *builder) variables(what string, t *syntax.Token) []Variable {
	if t == nil || b.err != nil {
		return nil
	}
	if t.Kind != syntax.Mapping {
		later, err := b.p.ev.later(t)
		b.fail(what, err)
		if later {
			return []Variable{{Text: Text{Later: t}}}
		}
		v := b.token(what, t)
		switch {
		case v == nil || v.Kind == syntax.Null:
			return nil
		case v.Kind != syntax.Mapping:
			b.fail(what, unexpected(v))
			return nil
		}
		t = v
	}
	var list []Variable
	for _, p := range t.Pairs {
		if !p.Key.IsExpression() {
			list = append(list, Variable{p.Key.Text, b.laterText(what, p.Value)})
			continue
		}
		one := &syntax.Token{Kind: syntax.Mapping, Pos: p.Key.Pos, Pairs: []syntax.Pair{p}}
		later, err := b.p.ev.later(one)
		b.fail(what, err)
		if later {
			list = append(list, Variable{Text: Text{Later: one}})
			continue
		}
		if v := b.token(what, one); v != nil {
			list = append(list, b.variables(what, v)...)
		}
	}
	return list
}

// merge puts variables after others; of a name only the last stays, unless names that
// are not known yet are between them.
func merge(first, then []Variable) []Variable {
	at := map[string]int{}
	var list []Variable
	for _, v := range append(first, then...) {
		if v.Name == "" {
			clear(at)
		} else if i, ok := at[v.Name]; ok {
			list[i] = v
			continue
		} else {
			at[v.Name] = len(list)
		}
		list = append(list, v)
	}
	return list
}

// defaults are those of the job, then those of the workflow, each on its own.
func (b *builder) defaults(workflow, job *syntax.Token) Defaults {
	outer := workflow.Get("run")
	d := Defaults{Shell: b.laterText("defaults", outer.Get("shell")), Dir: b.laterText("defaults", outer.Get("working-directory"))}
	if job.IsExpression() {
		job = b.token("defaults", job)
	}
	inner := job.Get("run")
	if inner == nil || b.err != nil {
		return d
	}
	if inner.IsExpression() {
		later, err := b.p.ev.later(inner)
		b.fail("defaults", err)
		if later { // known later as a whole: each of its members is, too
			return Defaults{memberOf(inner, "shell", d.Shell), memberOf(inner, "working-directory", d.Dir)}
		}
		inner = b.token("defaults", inner)
	}
	return Defaults{
		Shell: cmp.Or(b.laterText("defaults", inner.Get("shell")), d.Shell),
		Dir:   cmp.Or(b.laterText("defaults", inner.Get("working-directory")), d.Dir),
	}
}

// memberOf is a member of an expression, or another value if it has none.
func memberOf(t *syntax.Token, name string, otherwise Text) Text {
	quoted := "'" + strings.ReplaceAll(otherwise.Value, "'", "''") + "'"
	return Text{Later: &syntax.Token{Kind: syntax.Expression, Pos: t.Pos, Text: "(" + t.Text + ")['" + name + "'] || " + quoted}}
}
