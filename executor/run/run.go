// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/workflows/plan"
)

// errCancelled is why a job is asked to end when the whole run is.
var errCancelled = errors.New("the run was cancelled")

// runner is a run. What is below mu is for the goroutines of jobs, the rest for one.
type runner struct {
	q           Request
	plan        *plan.Plan
	placeholder string    // empty without a token
	checkout    *checkout // nil: the real one
	started     time.Time
	groups      *groups
	running     map[string]context.CancelCauseFunc // jobs that wait for a group too
	entered     chan entered
	admitted    []entered // jobs that have their groups, and wait for room
	busy        int       // jobs that take room
	ended       chan ended
	why         string // why the run was cancelled, if another one did it
	result      Result
	failures    []error // of ours

	broken atomic.Bool // this machine lacks a layer: no other job would start

	mu   sync.Mutex // of Emit
	over bool       // nothing is emitted any more
}

// entered is a job that waited for its groups.
type entered struct {
	job *plan.Job
	ctx context.Context //nolint:containedctx // the job's
	err error           // why it does not have them
}

// ended is a job that ran.
type ended struct {
	job    *plan.Job
	result plan.Result
	out    JobResult
	took   time.Duration
	err    error // one of ours
}

// Run runs a workflow to its end. The end of the context cancels it, as the button of a
// forge does: what runs is asked to end, and jobs and steps whose condition still holds
// run. A run that fails is a Result; an error is ours, or what plan.New says of the
// request, and the Result is valid with it.
func Run(ctx context.Context, q Request) (_ Result, err error) {
	r := &runner{q: q, started: time.Now(), running: map[string]context.CancelCauseFunc{}, entered: make(chan entered), ended: make(chan ended), groups: newGroups(q)}
	if r.q.Token != "" && !q.RealToken {
		r.placeholder = placeholder()
	}
	r.q.Plan.GitHub = slices.Concat(r.facts(), q.Plan.GitHub)
	if r.plan, err = plan.New(q.Workflow, r.q.Options()); err != nil {
		return Result{Conclusion: plan.Failure}, err
	}
	if !q.RealCheckout {
		r.checkout = &checkout{repository: q.Repository, temp: q.TempDir}
		defer func() { err = errors.Join(err, r.checkout.close()) }()
	}
	return r.run(ctx)
}

func (r *runner) run(ctx context.Context) (Result, error) {
	defer r.groups.close() //nolint:contextcheck // what is had is given up whatever became of the context
	r.emit(Event{Kind: RunStarted, Name: r.name()})
	if err := r.enter(ctx); err != nil {
		if len(r.failures) > 0 {
			return r.finished(plan.Failure, "its concurrency group could not be had")
		}
		return r.finished(plan.Cancelled, err.Error())
	}
	cancelled := ctx.Done()
	for {
		r.groups.release(r.plan.Over) //nolint:contextcheck // the same
		r.start(ctx)
		r.tell()
		if conclusion, done := r.plan.Done(); done && len(r.running) == 0 {
			return r.finished(conclusion, r.why)
		}
		for _, s := range r.plan.Stops() {
			if stop := r.running[s.ID]; stop != nil {
				stop(errors.New(s.Reason))
			}
		}
		select {
		case e := <-r.ended:
			r.busy--
			r.finish(e)
		case e := <-r.entered:
			if e.err != nil {
				r.finish(r.left(e))
				continue
			}
			r.admitted = append(r.admitted, e)
		case a := <-r.groups.asked:
			if a.holder == "" {
				r.why = a.reason
				r.plan.Cancel(a.reason)
				continue
			}
			r.plan.CancelJob(a.holder, a.reason)
		case <-cancelled:
			cancelled = nil
			r.plan.Cancel(context.Cause(ctx).Error())
		}
	}
}

// enter waits for the group of the run itself.
func (r *runner) enter(ctx context.Context) error {
	if r.plan.Group.Name == "" || r.q.Groups == nil {
		return nil
	}
	err := r.groups.enter(ctx, r.q.Kill, []plan.Group{r.plan.Group}, func(why string) {
		r.emit(Event{Kind: RunWaiting, Name: r.name(), Why: why})
	})
	if err != nil && ctx.Err() == nil && !isRefused(err) && !errors.Is(err, errCancelled) {
		r.failures = append(r.failures, fmt.Errorf("concurrency group: %w", err))
	}
	return err
}

// finished ends the run: nothing is emitted any more.
func (r *runner) finished(c plan.Conclusion, why string) (Result, error) {
	r.result.Conclusion = c
	r.emit(Event{Kind: RunFinished, Name: r.name(), Conclusion: c, Why: why, Duration: time.Since(r.started)})
	r.mu.Lock()
	r.over = true
	r.mu.Unlock()
	return r.result, errors.Join(r.failures...)
}

// left is a job that did not get its groups.
func (r *runner) left(e entered) ended {
	j := e.job
	out := JobResult{ID: j.ID, Name: j.Name, Conclusion: plan.Cancelled, Tolerated: j.Tolerated, Why: e.err.Error()}
	if e.ctx.Err() != nil || isRefused(e.err) || errors.Is(e.err, errCancelled) {
		return ended{job: j, result: plan.Result{Conclusion: plan.Cancelled}, out: out}
	}
	out.Conclusion, out.Why = plan.Failure, "its concurrency group could not be had"
	return ended{job: j, result: plan.Result{Conclusion: plan.Failure}, out: out, err: fmt.Errorf("job %s: concurrency group: %w", j.ID, e.err)}
}

// name is the run's for people.
func (r *runner) name() string {
	if r.plan.RunName != "" {
		return r.plan.RunName
	}
	return r.plan.Name
}

// start starts jobs while there is room. One that waits for a group takes none.
func (r *runner) start(ctx context.Context) {
	room := max(r.q.Parallel, 1)
	for ; r.busy < room && len(r.admitted) > 0; r.admitted = r.admitted[1:] {
		r.launch(r.admitted[0].ctx, r.admitted[0].job) //nolint:contextcheck // the job's, made below
	}
	for r.busy < room {
		j := r.plan.Next()
		if j == nil {
			return
		}
		if err := r.plan.Started(j.ID); err != nil {
			r.failures = append(r.failures, fmt.Errorf("bug: %w", err))
			return
		}
		// A job ends when the plan says so, not with the run: its condition may hold.
		jobCtx, stop := context.WithCancelCause(context.WithoutCancel(ctx))
		r.running[j.ID] = stop
		if !r.groups.needed(j.Groups) {
			r.launch(jobCtx, j)
			continue
		}
		go func() {
			err := r.groups.enter(jobCtx, r.q.Kill, j.Groups, func(why string) {
				r.emit(Event{Kind: JobWaiting, Job: j.ID, Name: j.Name, Why: why})
			})
			r.entered <- entered{j, jobCtx, err}
		}()
	}
}

func (r *runner) launch(ctx context.Context, j *plan.Job) {
	r.busy++
	go func() { r.ended <- r.job(ctx, j) }()
}

// finish takes in what became of a job.
func (r *runner) finish(e ended) {
	id := e.job.ID
	r.running[id](nil)
	delete(r.running, id)
	if e.err != nil {
		r.failures = append(r.failures, e.err)
		if _, ok := errors.AsType[*sandbox.LayerError](e.err); ok && !r.broken.Swap(true) {
			r.plan.Cancel("no job can be started on this machine")
		}
	}
	if err := r.plan.Finish(id, e.result); err != nil {
		r.failures = append(r.failures, fmt.Errorf("bug: %w", err))
	}
	r.result.Jobs = append(r.result.Jobs, e.out)
	r.emit(Event{Kind: JobFinished, Job: id, Name: e.out.Name, Conclusion: e.out.Conclusion, Why: e.out.Why, Duration: e.took})
}

// tell says which jobs ended without having run.
func (r *runner) tell() {
	for _, st := range r.plan.Ended() {
		r.result.Jobs = append(r.result.Jobs, JobResult{ID: st.ID, Name: st.Name, Conclusion: st.Outcome, Tolerated: st.Outcome != st.Conclusion, Why: st.Why})
		r.emit(Event{Kind: JobFinished, Job: st.ID, Name: st.Name, Conclusion: st.Outcome, Why: st.Why})
	}
}

// emit hands out an event.
func (r *runner) emit(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.q.Emit == nil || r.over {
		return
	}
	e.Time = time.Now()
	r.q.Emit(e)
}

// token is what jobs know as their token.
func (r *runner) token() string {
	if r.placeholder != "" {
		return r.placeholder
	}
	return r.q.Token
}
