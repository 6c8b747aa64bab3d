// SPDX-License-Identifier: Apache-2.0

package workflows

import (
	"slices"

	"github.com/zviz/run/workflows/syntax"
)

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

func (p *printer) jobs(jobs []*Job) { list(p, jobs, p.job) }

func (p *printer) tokens(t []*syntax.Token) { list(p, t, p.token) }

func (p *printer) job(j *Job) {
	p.object(func(o *object) {
		if j.Uses != nil {
			p.callingJob(o, j)
			return
		}
		o.text("type", "job")
		o.token("id", j.ID)
		o.token("name", j.Name)
		if len(j.Needs) > 0 {
			o.put("needs", func() { p.tokens(j.Needs) })
		}
		o.token("if", j.If)
		o.token("strategy", j.Strategy)
		o.token("continue-on-error", j.ContinueOnError)
		o.token("timeout-minutes", j.Timeout)
		o.token("cancel-timeout-minutes", j.CancelTimeout)
		o.token("concurrency", j.Concurrency)
		o.permissions(j.Permissions)
		o.token("env", j.Env)
		o.token("environment", j.Environment)
		o.token("defaults", j.Defaults)
		o.token("runs-on", j.RunsOn)
		o.token("container", j.Container)
		o.token("services", j.Services)
		o.token("outputs", j.Outputs)
		if len(j.Steps) > 0 {
			o.put("steps", func() { list(p, j.Steps, p.step) })
		}
		o.token("snapshot", j.Snapshot)
	})
}

func (p *printer) callingJob(o *object, j *Job) {
	o.text("type", "reusableWorkflowJob")
	o.token("id", j.ID)
	o.token("name", j.Name)
	o.put("needs", func() { p.tokens(j.Needs) })
	o.token("if", j.If)
	o.token("ref", j.Uses)
	o.permissions(j.Permissions)
	o.token("input-definitions", j.Call.InputSpec)
	o.token("input-values", j.Call.Inputs)
	o.token("secret-definitions", j.Call.SecretSpec)
	o.token("secret-values", j.Call.Secrets)
	if j.Call.InheritSecrets {
		o.put("inherit-secrets", func() { p.b.WriteString("true") })
	}
	o.token("outputs", j.Call.Outputs)
	o.token("defaults", j.Call.Defaults)
	o.token("env", j.Call.Env)
	o.token("concurrency", j.Concurrency)
	o.token("embedded-concurrency", j.Call.Concurrency)
	o.token("strategy", j.Strategy)
	if j.Call.Loaded {
		o.put("jobs", func() { p.jobs(j.Call.Jobs) })
	}
}

func (p *printer) step(s *Step) {
	p.object(func(o *object) {
		o.text("id", s.ID)
		o.token("name", s.Name)
		o.token("if", s.If)
		o.token("continue-on-error", s.ContinueOnError)
		o.token("timeout-minutes", s.Timeout)
		o.token("env", s.Env)
		o.token("working-directory", s.Dir)
		o.token("shell", s.Shell)
		o.token("run", s.Run)
		o.token("uses", s.Uses)
		o.token("with", s.With)
		if s.Kind == WaitStep {
			o.put("wait", func() { p.tokens(s.Wait) })
		}
		if s.Kind == WaitAllStep {
			o.put("wait-all", func() { p.b.WriteString("true") })
		}
		o.token("cancel", s.Cancel)
		if s.Kind == ParallelStep {
			o.put("parallel", func() { list(p, s.Parallel, p.step) })
		}
		if s.Background != nil {
			o.put("background", func() { p.literal(s.Background) })
		}
	})
}
