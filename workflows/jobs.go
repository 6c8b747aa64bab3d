// SPDX-License-Identifier: Apache-2.0

package workflows

import (
	"slices"

	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

func (c *converter) convertJobs(t *syntax.Token) []*Job {
	if !c.want(t, syntax.Mapping, "jobs") {
		return nil
	}
	var jobs []*Job
	for _, p := range t.Pairs {
		if !c.want(p.Key, syntax.String, "jobs key") {
			return jobs
		}
		if c.jobs++; c.o.MaxJobs > 0 && c.jobs == c.o.MaxJobs+1 {
			c.error(p.Key, "Workflows may not contain more than %d jobs across all referenced files", c.o.MaxJobs)
		}
		if !c.want(p.Value, syntax.Mapping, "jobs value") {
			return jobs
		}
		jobs = append(jobs, c.job(p.Key, p.Value))
	}
	if !c.r.Failed() {
		c.checkNeeds(t, jobs)
	}
	return jobs
}

func (c *converter) job(id, t *syntax.Token) *Job {
	if problem := newIDs().known(id.Text); problem != "" {
		c.error(id, "%s", problem)
	}
	j := &Job{ID: id, If: &syntax.Token{Kind: syntax.Expression, Text: "success()"}}
	for _, p := range t.Pairs {
		if !c.want(p.Key, syntax.String, "job property name") {
			return j
		}
		c.jobKey(j, p.Key.Text, p.Value)
	}
	if j.Name == nil || j.Name.Kind == syntax.String && j.Name.Text == "" {
		j.Name = id
	}
	return j
}

func (c *converter) jobKey(j *Job, key string, v *syntax.Token) {
	switch key {
	case "continue-on-error":
		c.early(v, syntax.Bool, "job continue-on-error")
		j.ContinueOnError = v
	case "if":
		j.If = c.condition(v, ifJob)
	case "name":
		if c.wantScalar(v, "job name") {
			c.early(v, syntax.String, "job name")
		}
		j.Name = v
	case "needs":
		j.Needs = c.needs(v)
	case "runs-on":
		c.runsOn(v)
		j.RunsOn = v
	case "snapshot":
		c.snapshot(v)
		j.Snapshot = v
	case "steps":
		j.Steps = c.steps(v)
	case "strategy":
		c.strategy(v)
		j.Strategy = v
	case "timeout-minutes":
		c.early(v, syntax.Number, "job timeout-minutes")
		j.Timeout = v
	case "cancel-timeout-minutes":
		c.early(v, syntax.Number, "job cancel-timeout-minutes")
		j.CancelTimeout = v
	case "container":
		c.container(v, false)
		j.Container = v
	case "services":
		c.services(v)
		j.Services = v
	case "concurrency":
		c.concurrency(v)
		j.Concurrency = v
	case "env":
		j.Env = v
	case "environment":
		c.environment(v)
		j.Environment = v
	case "outputs":
		j.Outputs = v
	case "defaults":
		j.Defaults = v
	case "permissions":
		j.Permissions = c.permissions(v)
	default:
		c.callKey(j, key, v)
	}
}

// callKey takes the keys of a job that calls a workflow.
func (c *converter) callKey(j *Job, key string, v *syntax.Token) {
	switch key {
	case "uses":
		if c.want(v, syntax.String, "job uses value") {
			j.Uses = v
		}
	case "with":
		if c.want(v, syntax.Mapping, "uses-with value") {
			j.Call.Inputs = v
		}
	case "secrets":
		if v.Kind == syntax.String && v.Text == "inherit" {
			j.Call.InheritSecrets = true
		} else if c.want(v, syntax.Mapping, "uses-secrets value") {
			j.Call.Secrets = v
		}
	}
}

// early checks a value that is known before the run.
func (c *converter) early(t *syntax.Token, k syntax.Kind, what string) {
	if !t.IsExpression() {
		c.want(t, k, what)
	}
}

func (c *converter) needs(t *syntax.Token) []*syntax.Token {
	if t.Kind == syntax.String {
		return []*syntax.Token{t}
	}
	if !c.want(t, syntax.Sequence, "job needs") {
		return nil
	}
	for _, i := range t.Items {
		if !c.want(i, syntax.String, "job needs item") {
			return nil
		}
	}
	return slices.Clone(t.Items)
}

// checkNeeds finds jobs that can never start.
func (c *converter) checkNeeds(t *syntax.Token, jobs []*Job) {
	stuck := Unstartable(jobs)
	if len(jobs) == 0 || !slices.ContainsFunc(jobs, func(j *Job) bool { return len(j.Needs) == 0 }) {
		c.error(t, "The workflow must contain at least one job with no dependencies.")
		return
	}
	names := map[string]bool{}
	for _, j := range jobs {
		names[expr.Fold(j.ID.Text)] = true
	}
	for _, s := range stuck {
		for _, n := range s.Needs {
			if names[expr.Fold(n.Text)] {
				c.error(n, "Job '%s' depends on job '%s' which creates a cycle in the dependency graph.", s.Job.ID.Text, n.Text)
			} else {
				c.error(n, "Job '%s' depends on unknown job '%s'.", s.Job.ID.Text, n.Text)
			}
		}
	}
}

// Stuck is a job that can never start, and the needs that are never met.
type Stuck struct {
	Job   *Job
	Needs []*syntax.Token
}

// Unstartable are the jobs that wait for each other or for a job that is not there.
func Unstartable(jobs []*Job) []Stuck {
	done := map[string]bool{}
	waiting := slices.Clone(jobs)
	for progress := true; progress; {
		progress = false
		waiting = slices.DeleteFunc(waiting, func(j *Job) bool {
			if len(unmet(j, done)) > 0 {
				return false
			}
			done[expr.Fold(j.ID.Text)] = true
			progress = true
			return true
		})
	}
	var stuck []Stuck
	for _, j := range waiting {
		stuck = append(stuck, Stuck{j, unmet(j, done)})
	}
	return stuck
}

func unmet(j *Job, done map[string]bool) []*syntax.Token {
	var list []*syntax.Token
	for _, n := range j.Needs {
		if !done[expr.Fold(n.Text)] {
			list = append(list, n)
		}
	}
	return list
}
