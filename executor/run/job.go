// SPDX-License-Identifier: Apache-2.0

package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/zviz/run/cache/results"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/internal/mask"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/plan"
)

// job runs one job in a cell of its own.
func (r *runner) job(ctx context.Context, j *plan.Job) (e ended) {
	began := time.Now()
	e = ended{job: j, result: plan.Result{Conclusion: plan.Failure}, out: JobResult{ID: j.ID, Name: j.Name, Conclusion: plan.Failure, Tolerated: j.Tolerated}}
	defer func() {
		if v := recover(); v != nil { // the other jobs go on
			e.err = fmt.Errorf("bug: job %s: %v\n%s", j.ID, v, debug.Stack())
			e.out.Why = "an error of the runner"
		}
		e.took = time.Since(began)
	}()
	if r.ends() { // nothing is begun any more
		e.result.Conclusion, e.out.Conclusion, e.out.Why = plan.Cancelled, plan.Cancelled, errCancelled.Error()
		return e
	}
	r.emit(Event{Kind: JobStarted, Job: j.ID, Name: j.Name})
	if why := unfit(j); why != "" {
		e.out.Why = why
		return e
	}
	j.Steps = r.chosen(j.Steps)
	q, err := job.FromPlan(j, r.secret)
	if err != nil {
		e.out.Why = r.masked(err.Error()) // it may quote what was evaluated
		return e
	}
	want := r.cellRequest(j, q.Secrets)
	kept, err := r.results(j, &want)
	if err != nil {
		e.err, e.out.Why = fmt.Errorf("job %s: artifacts: %w", j.ID, err), "the service of its artifacts could not be made"
		return e
	}
	if kept != nil {
		defer kept.End()
	}
	cell, err := r.q.Cells.OpenCell(ctx, want)
	if err != nil {
		if ctx.Err() != nil {
			e.result.Conclusion, e.out.Conclusion, e.out.Why = plan.Cancelled, plan.Cancelled, context.Cause(ctx).Error()
			return e
		}
		e.err, e.out.Why = fmt.Errorf("job %s: %w", j.ID, err), "its cell could not be made"
		return e
	}
	q.Cell, q.Runner, q.Kill = cell, r.q.Runner, r.q.Kill
	wall := r.q.Policy.Limits.Wall
	limited := wall > 0 && (q.Timeout <= 0 || wall < q.Timeout)
	if limited {
		q.Timeout = wall
	}
	q.Runner.Debug = q.Runner.Debug || r.debugs(j)
	q.Job = expr.NewObject(r.workflowOf(j)...)
	q.Env = slices.Concat(r.q.Env, q.Env)
	q.Actions = r.actions(j)
	if kept != nil {
		q.Masks = append(q.Masks, kept.Token())
		for name, value := range kept.Env(cell.ServiceURL(resultsService)) {
			q.ActionEnv = append(q.ActionEnv, job.Variable{Name: name, Value: value})
		}
		if results.Refused(r.q.Repository.Server) {
			q.ArtifactServer = results.PublicServer
		}
	}
	if r.q.Tools != nil {
		q.Tools = r.q.Tools(cell)
	}
	if r.q.Failed != nil {
		q.Failed = func(ctx context.Context, f job.FailedStep) { r.q.Failed(ctx, j.ID, j.Name, f) }
	}
	installers := r.installers(j)
	q.Emit = func(ev job.Event) {
		if more := advice(ev, installers); more != nil {
			r.emit(Event{Kind: JobStep, Job: j.ID, Name: j.Name, Step: more})
		}
		r.emit(Event{Kind: JobStep, Job: j.ID, Name: j.Name, Step: &ev})
	}
	done := make(chan struct{})
	var killer sync.WaitGroup
	killer.Go(func() {
		select {
		case <-r.q.Kill:
			_ = cell.Kill() // what does not end by that ends with the cell
		case <-done:
		}
	})
	res, err := job.Run(ctx, q)
	close(done)
	killer.Wait()
	report := cell.Report()
	if cerr := cell.Close(); cerr != nil {
		err = errors.Join(err, fmt.Errorf("tear-down: %w", cerr))
	}
	if err != nil {
		e.err = fmt.Errorf("job %s: %w", j.ID, err)
	}
	if report.Error != nil { // it may be of a step whose failure is tolerated, or of what one left running
		res.Conclusion = job.Failure
		e.out.Why = report.Error.What
	}
	e.result = res.Plan()
	e.out.Conclusion = e.result.Conclusion
	e.out.TimedOut = limited && res.TimedOut
	if ctx.Err() != nil && e.out.Conclusion != plan.Success {
		e.out.Why = context.Cause(ctx).Error()
	}
	e.out.Report = reportOf(report, j, res)
	return e
}

// ends says that no job is to begin.
func (r *runner) ends() bool {
	select {
	case <-r.q.Kill:
		return true
	default:
		return r.broken.Load()
	}
}

// resultsService is the name of the service that keeps artifacts.
const resultsService = "results"

// results gives the job a service for its artifacts; nil if there is none.
func (r *runner) results(j *plan.Job, q *executor.CellRequest) (*results.Job, error) {
	if r.q.Results == nil || q.Policy.NoNetwork || !r.runsActions(j.Steps) {
		return nil, nil
	}
	all, err := r.q.Results()
	if err != nil {
		return nil, err
	}
	kept, err := all.Job(j.ID)
	if err != nil {
		return nil, err
	}
	q.Secrets = append(q.Secrets, kept.Token())
	q.Services = append(q.Services, egress.Service{Name: resultsService, Handler: kept})
	return kept, nil
}

// runsActions reports whether steps use any action but the checkout that we stand in for:
// nobody else gets an address of a service.
func (r *runner) runsActions(steps []*workflows.Step) bool {
	return slices.ContainsFunc(steps, func(s *workflows.Step) bool {
		return s.Kind == workflows.UsesStep && (r.checkout == nil || !usesCheckout(s)) || r.runsActions(s.Parallel)
	})
}

func usesCheckout(s *workflows.Step) bool {
	return s.Kind == workflows.UsesStep && strings.HasPrefix(strings.ToLower(s.Uses.Text), "actions/checkout@")
}

// unfit says why a job cannot run here.
func unfit(j *plan.Job) string {
	switch {
	case j.Container != nil:
		return "it runs in a container: images are not run by this version"
	case len(j.Services) > 0:
		return "it has services: images are not run by this version"
	}
	for _, l := range j.RunsOn.Labels {
		if s := strings.ToLower(l); strings.HasPrefix(s, "windows") || strings.HasPrefix(s, "macos") {
			return "it runs on " + l + ", and this machine is " + "Linux; to leave such cells out: --matrix"
		}
	}
	return ""
}

// secret is the value of one of the run's secrets, or of an environment's.
func (r *runner) secret(environment, name string) string {
	list := r.q.Secrets
	if environment != "" {
		list = r.q.EnvironmentSecrets[environment]
	} else if strings.EqualFold(name, "GITHUB_TOKEN") {
		return r.token()
	}
	for _, s := range list {
		if strings.EqualFold(s.Name, name) {
			return s.Value
		}
	}
	return ""
}

// masked hides the secrets of the run in a text of ours.
func (r *runner) masked(text string) string {
	hidden := []string{r.q.Token}
	for _, list := range r.q.EnvironmentSecrets {
		for _, s := range list {
			hidden = append(hidden, s.Value)
		}
	}
	for _, s := range r.q.Secrets {
		hidden = append(hidden, s.Value)
	}
	var b strings.Builder
	w := mask.New(&b, hidden)
	_, _ = w.Write([]byte(text)) // a Builder does not fail
	_ = w.Flush()
	return b.String()
}

func (r *runner) actions(j *plan.Job) job.Actions {
	a := actions{checkout: r.checkout, workspace: job.Workspace(r.q.Repository.Name)}
	if r.q.Actions != nil {
		a.more = r.q.Actions(j)
	}
	return a
}

// cellRequest is what the job's cell is made of.
func (r *runner) cellRequest(j *plan.Job, secrets []job.Variable) executor.CellRequest {
	q := executor.CellRequest{Policy: r.q.Policy, Presets: r.q.Presets, Narrowed: r.q.Narrowed, ToolCache: r.q.ToolCache}
	q.Observe = func(ev egress.Event) { r.emit(Event{Kind: JobEgress, Job: j.ID, Name: j.Name, Egress: &ev}) }
	for _, s := range secrets {
		q.Secrets = append(q.Secrets, s.Value)
	}
	var rules []egress.Rule
	if r.placeholder != "" && !q.Policy.NoNetwork {
		q.Credentials = map[string]string{tokenCredential: r.q.Token}
		q.Secrets = append(q.Secrets, r.q.Token)
		rules = tokenRules(r.q.Repository, r.placeholder, j.Permissions)
	}
	q.Policy.Egress.Rules = slices.Concat(q.Policy.Egress.Rules, rules)
	if r.q.Guess && !q.Policy.NoNetwork {
		// What stands in the operator's file for a step counts first.
		q.Policy.Egress.Steps = slices.Concat(q.Policy.Egress.Steps, stepPolicies(j, q.Policy.Egress.Rules))
	}
	return q
}

// reportOf completes the report of a job's cell.
func reportOf(rep executor.Report, j *plan.Job, res job.Result) *executor.Report {
	rep.Command = []string{}
	rep.Job = j.ID
	rep.Conclusion = executor.Conclusion(res.Conclusion)
	if rep.Conclusion != executor.Success {
		rep.ExitCode = 1
	}
	rep.Steps = []executor.ReportStep{}
	for _, s := range res.Steps {
		rep.Steps = append(rep.Steps, executor.ReportStep{
			ID: s.ID, Name: s.Name, Outcome: executor.Conclusion(s.Outcome), Conclusion: executor.Conclusion(cmp.Or(s.Conclusion, s.Outcome)),
			DurationMS: s.Duration.Milliseconds(), ExitCode: s.ExitCode,
		})
	}
	rep.Outputs = map[string]string{}
	for _, o := range res.Outputs {
		rep.Outputs[o.Name] = o.Value
	}
	if j.Environment.Name != "" {
		rep.Environment = &executor.ReportEnvironment{Name: j.Environment.Name, URL: res.EnvironmentURL}
	}
	return &rep
}
