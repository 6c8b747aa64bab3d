// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"slices"
	"strings"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// named finds the secrets and variables that expressions name.
func (o *of) named(tokens []*syntax.Token, used string) {
	for _, top := range tokens {
		for t := range top.All() {
			if t.Kind == syntax.Expression {
				o.expression(t.Text, used)
			}
		}
	}
}

func (o *of) expression(text, used string) {
	const many = 1<<31 - 1
	e, err := expr.Parse(text, expr.Options{
		Contexts: []string{"github", "env", "vars", "job", "jobs", "steps", "runner", "secrets", "strategy", "matrix", "needs", "inputs"},
		Functions: []expr.Signature{
			{Name: "always"}, {Name: "failure", Max: many}, {Name: "cancelled"}, {Name: "success", Max: many}, {Name: "hashFiles", Min: 1, Max: many},
		},
	})
	if err != nil {
		return // the reader has checked it
	}
	secrets, anySecret := e.Members("secrets")
	for _, name := range secrets {
		o.secret(strings.ToUpper(name), used)
	}
	if anySecret {
		o.add(Secret, "*", Unknown, "it can name any of them", used)
	}
	if token, _ := e.Members("github"); slices.ContainsFunc(token, func(s string) bool { return strings.EqualFold(s, "token") }) {
		o.secret("GITHUB_TOKEN", used)
	}
	vars, anyVar := e.Members("vars")
	for _, name := range vars {
		o.add(Variable, strings.ToUpper(name), Give, "--var "+strings.ToUpper(name)+"=…", used)
	}
	if anyVar {
		o.add(Variable, "*", Unknown, "it can name any of them", used)
	}
}

func (o *of) secret(name, used string) {
	detail := "--secret " + name
	if o.m.Given(name) {
		detail += ", which this environment has"
	}
	o.add(Secret, name, Give, detail, used)
}

func workflowTokens(wf *workflows.Workflow) []*syntax.Token {
	return []*syntax.Token{wf.RunName, wf.Env, wf.Defaults, wf.Concurrency}
}

func jobTokens(j *workflows.Job) []*syntax.Token {
	list := []*syntax.Token{
		j.Name, j.If, j.Strategy, j.ContinueOnError, j.Timeout, j.CancelTimeout, j.Concurrency, j.Env, j.Environment, j.Defaults,
		j.RunsOn, j.Container, j.Services, j.Outputs, j.Snapshot, j.Call.Inputs, j.Call.Secrets,
	}
	return append(list, stepTokens(j.Steps)...)
}

func stepTokens(steps []*workflows.Step) []*syntax.Token {
	var list []*syntax.Token
	for _, s := range steps {
		list = append(list, s.Name, s.If, s.ContinueOnError, s.Timeout, s.Env, s.Run, s.Shell, s.Dir, s.With)
		list = append(list, stepTokens(s.Parallel)...)
	}
	return list
}
