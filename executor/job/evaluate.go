// SPDX-License-Identifier: Apache-2.0

package job

import (
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"time"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/glob"
	"github.com/zviz/run/workflows/syntax"
)

// hashTime is how long hashFiles may take.
const hashTime = 120 * time.Second

// view is from where an expression looks.
type view struct {
	sc   *scope
	env  environment
	step *stepRun // nil: outside of a step
	// asJob: the status functions look at the job's status even in an action, as
	// those of pre and post do.
	asJob bool
}

// contexts gives the named values of a view.
type contexts struct {
	r *runner
	v view
}

// Context returns the value of that name.
func (c contexts) Context(name string) (expr.Value, error) {
	r, q := c.r, c.r.q
	switch name {
	case "github":
		return r.githubContext(c.v), nil
	case "env":
		return c.v.env.object(), nil
	case "steps":
		return r.stepsContext(c.v.sc), nil
	case "job":
		members := []expr.Member{{Name: "status", Value: expr.String(r.jobStatus())}}
		if q.Job != nil {
			for name, value := range q.Job.All() {
				members = append(members, expr.Member{Name: name, Value: value})
			}
		}
		return expr.NewObject(members...), nil
	case "runner":
		return textObject(r.runnerContext()), nil
	case "secrets":
		if !c.v.sc.secrets {
			return expr.Null{}, nil
		}
		return textObject(q.Secrets), nil
	}
	value := q.Contexts[name]
	if name == "inputs" {
		value = c.v.sc.inputs
	}
	if value == nil {
		return expr.Null{}, nil
	}
	return value, nil
}

// architecture is the machine's in GitHub's words.
func architecture() string {
	switch runtime.GOARCH {
	case "amd64":
		return "X64"
	case "arm64":
		return "ARM64"
	case "386":
		return "X86"
	default:
		return strings.ToUpper(runtime.GOARCH)
	}
}

// status is what the status functions look at.
func (r *runner) statusFor(v view) Conclusion {
	job := r.jobStatus()
	if job == Cancelled || v.asJob || v.sc.action == nil {
		return job
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return v.sc.status
}

// environ is what an expression is evaluated in.
func (r *runner) environ(v view) expr.Env {
	is := func(want Conclusion) expr.Func {
		return func([]expr.Value) (expr.Value, error) { return expr.Bool(r.statusFor(v) == want), nil }
	}
	return expr.Env{Contexts: contexts{r, v}, Functions: map[string]expr.Func{
		"success": is(Success), "failure": is(Failure),
		"cancelled": func([]expr.Value) (expr.Value, error) { return expr.Bool(r.jobStatus() == Cancelled), nil },
		"always":    func([]expr.Value) (expr.Value, error) { return expr.Bool(true), nil },
		"hashfiles": r.hashFiles,
	}}
}

// options are what an expression of a view may name.
func (v view) options(condition bool) expr.Options {
	o := expr.Options{Contexts: v.sc.contexts, Functions: []expr.Signature{{Name: "hashFiles", Min: 1, Max: 255}}}
	if condition {
		for _, name := range []string{expr.Success, expr.Failure, expr.Cancelled, expr.Always} {
			o.Functions = append(o.Functions, expr.Signature{Name: name})
		}
	}
	return o
}

// eval evaluates a token.
func (r *runner) eval(t *syntax.Token, v view) (expr.Value, error) {
	switch {
	case t == nil:
		return expr.Null{}, nil
	case t.Kind != syntax.Expression:
		return t.Value(), nil
	}
	x, err := expr.Parse(t.Text, v.options(false))
	if err != nil {
		return nil, err
	}
	return x.Eval(r.environ(v))
}

// evalString evaluates a token where a text is wanted.
func (r *runner) evalString(t *syntax.Token, v view) (string, error) {
	value, err := r.eval(t, v)
	if err != nil {
		return "", err
	}
	switch value.Kind() {
	case expr.KindArray:
		return "", says("A sequence was not expected")
	case expr.KindObject:
		return "", says("A mapping was not expected")
	default:
		return expr.ToString(value), nil
	}
}

// evalMap evaluates a mapping of texts: env, with.
func (r *runner) evalMap(t *syntax.Token, v view) ([]Variable, error) {
	switch {
	case t == nil || t.Kind == syntax.Null:
		return nil, nil
	case t.Kind == syntax.Expression:
		value, err := r.eval(t, v)
		if err != nil {
			return nil, err
		}
		return variables(value)
	case t.Kind != syntax.Mapping:
		return nil, says("Expected a mapping")
	}
	var out []Variable
	for _, p := range t.Pairs {
		if p.Key.Kind == syntax.Insert {
			value, err := r.eval(p.Value, v)
			if err != nil {
				return nil, err
			}
			list, err := variables(value)
			if err != nil {
				return nil, err
			}
			out = append(out, list...)
			continue
		}
		name, err := r.evalString(p.Key, v)
		if err != nil {
			return nil, err
		}
		value, err := r.evalString(p.Value, v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, Variable{name, value})
	}
	return out, nil
}

// variables takes an object as names and texts.
func variables(value expr.Value) ([]Variable, error) {
	object, ok := value.(*expr.Object)
	if !ok {
		if value.Kind() == expr.KindNull {
			return nil, nil
		}
		return nil, says("Expected a mapping")
	}
	var out []Variable
	for name, x := range object.All() {
		if k := x.Kind(); k == expr.KindArray || k == expr.KindObject {
			return nil, fmt.Errorf("%s: A mapping or sequence was not expected", name)
		}
		out = append(out, Variable{name, expr.ToString(x)})
	}
	return out, nil
}

// condition evaluates an if in its full form.
func (r *runner) condition(t *syntax.Token, v view) (bool, error) {
	if t == nil {
		return r.statusFor(v) == Success, nil
	}
	if t.Kind != syntax.Expression && t.Kind != syntax.String {
		return expr.Truthy(t.Value()) && r.statusFor(v) == Success, nil
	}
	c, err := expr.ParseCondition(t.Text, v.options(true))
	if err != nil {
		return false, err
	}
	return c.Eval(r.environ(v))
}

// plainCondition evaluates a condition as it is written.
func (r *runner) plainCondition(text string, v view) (bool, error) {
	x, err := expr.Parse(text, v.options(true))
	if err != nil {
		return false, err
	}
	value, err := x.Eval(r.environ(v))
	return err == nil && expr.Truthy(value), err
}

// hashFiles is the function of that name.
func (r *runner) hashFiles(args []expr.Value) (expr.Value, error) {
	var patterns []string
	for _, a := range args {
		patterns = append(patterns, expr.ToString(a))
	}
	follow := patterns[0] == "--follow-symbolic-links"
	if follow {
		patterns = patterns[1:]
	}
	p, err := glob.Parse(patterns, r.workspace, executor.RunnerHome)
	if err != nil {
		return nil, err
	}
	p.FollowLinks = follow
	files, err := fs.Sub(r.q.Cell.Work(), r.repo+"/"+r.repo)
	if err != nil {
		return nil, err
	}
	type result struct {
		sum string
		err error
	}
	done := make(chan result, 1)
	go func() {
		sum, err := p.Hash(files)
		done <- result{sum, err}
	}()
	t := time.NewTimer(hashTime)
	defer t.Stop()
	select {
	case d := <-done:
		return expr.String(d.sum), d.err
	case <-t.C:
		return nil, fmt.Errorf("hashFiles('%s') couldn't finish within %d seconds", strings.Join(patterns, "', '"), int(hashTime.Seconds()))
	}
}
