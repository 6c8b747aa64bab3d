// SPDX-License-Identifier: Apache-2.0

package job

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/command"
	"github.com/zviz/run/workflows/expr"
)

// Defaults and limits of GitHub's.
const (
	defaultTimeout       = 6 * time.Hour
	defaultCancelTimeout = 5 * time.Minute
	largestOutputs       = 1 << 20                 // bytes of a job's outputs
	mostKept             = 64 << 20                // bytes of all that the steps of a job set; GitHub has no such limit
	entryBytes           = 32                      // that each takes besides its name and value
	interruptTime        = 7500 * time.Millisecond // between SIGINT and SIGTERM
	terminateTime        = 2500 * time.Millisecond // between SIGTERM and SIGKILL
)

// Where a job's files are, inside.
const (
	tempDir     = executor.RunnerWork + "/_temp"
	commandsDir = tempDir + "/_runner_file_commands"
	eventFile   = tempDir + "/_github_workflow/event.json"
)

var (
	errJobTimeout  = errors.New("the job has exceeded its maximum execution time")
	errStepTimeout = errors.New("the step has exceeded its time")
	errCancelled   = errors.New("the operation was canceled")
	errKilled      = errors.New("the time for the end of the job is over")
)

// runner runs one job.
type runner struct {
	q         Request
	masks     *masker
	github    *expr.Object
	workspace string
	repo      string // name of the repository, as in the path of the workspace

	timeout   time.Duration
	minute    time.Duration   // of timeout-minutes; tests have less of it
	cancelled context.Context //nolint:containedctx // it ends when the job is cancelled; steps may go on

	killed   atomic.Bool // by Request.Kill
	emitting sync.Mutex
	closed   bool // nothing is emitted any more
	work     sync.WaitGroup
	slots    chan struct{} // of steps in the background

	mu       sync.Mutex // guards what follows
	env      environment
	path     []string // the last added first
	status   Conclusion
	matchers command.Matchers
	posts    []*post
	results  []StepResult
	kept     int  // bytes of outputs, variables and state
	ahead    bool // a sandbox is prepared
	names    map[string]int
	loaded   map[string]*Action
	failures []error // of ours
}

// Run runs a job. The end of the context cancels it: what runs is asked to end,
// steps with always() or cancelled() still run. The error is one of ours; the result
// is valid with it.
func Run(ctx context.Context, q Request) (Result, error) {
	r, err := newRunner(q)
	if err != nil {
		return Result{Conclusion: Failure}, err
	}
	return r.run(ctx)
}

func (r *runner) run(ctx context.Context) (Result, error) {
	q := r.q
	timeout := q.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, stop := context.WithTimeoutCause(ctx, timeout, errJobTimeout)
	defer stop()
	r.cancelled, r.timeout = ctx, timeout
	// Nothing outlives this one.
	hard, kill := context.WithCancelCause(context.WithoutCancel(ctx))
	defer kill(nil)
	end := context.AfterFunc(ctx, func() {
		wait := q.CancelTimeout
		if wait <= 0 {
			wait = defaultCancelTimeout
		}
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
			kill(errKilled)
		case <-hard.Done():
		}
	})
	defer end()
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-q.Kill:
			r.killed.Store(true)
			stop()
			kill(errKilled)
		case <-over:
		}
	}()

	top := &scope{inputs: q.Contexts["inputs"], contexts: jobContexts(), secrets: true, results: map[string]*stepRecord{}, uses: map[*workflows.Step]*instance{}}
	if err := r.setUp(ctx, top); err != nil {
		r.annotate("", "error", explained(err))
		r.failJob()
	} else {
		r.pre(hard, q.Steps, top)
		r.steps(hard, q.Steps, top)
		r.waitAll(top)
		r.runPosts(hard)
	}
	res := r.finish(top)
	r.work.Wait()
	r.close()
	r.mu.Lock()
	defer r.mu.Unlock()
	res.Steps = r.results
	return res, errors.Join(r.failures...)
}

// Workspace is where the files of a repository, named owner/repo, are for its jobs:
// github.workspace, which a plan has to know.
func Workspace(repository string) string {
	return path.Join(executor.RunnerWork, folder(repository), folder(repository))
}

// folder is the name of a repository as a folder beside the runner's own, which begin
// with _.
func folder(repository string) string {
	base := path.Base(repository)
	if base == "." || base == "/" || base == ".." || strings.HasPrefix(base, "_") {
		return "repo"
	}
	return base
}

func newRunner(q Request) (*runner, error) {
	github, ok := q.Contexts["github"].(*expr.Object)
	if !ok {
		github = expr.NewObject()
	}
	if q.Runner.Environment == "" {
		q.Runner.Environment = "self-hosted"
	}
	var hidden []string
	for _, s := range q.Secrets {
		hidden = append(hidden, s.Value)
	}
	hidden = append(hidden, q.Masks...)
	if t, ok := github.Get("token"); ok {
		hidden = append(hidden, expr.ToString(t))
	}
	r := &runner{q: q, github: github, masks: newMasker(hidden), status: Success, minute: time.Minute, names: map[string]int{}, loaded: map[string]*Action{}, slots: make(chan struct{}, mostBackground)}
	full, _ := github.Get("repository")
	name, _ := full.(expr.String)
	r.repo = folder(string(name))
	r.workspace = Workspace(string(name))
	for _, dir := range []string{r.workspace, commandsDir, tempDir + "/_github_home"} {
		if err := q.Cell.MkdirAll(dir); err != nil {
			return nil, fmt.Errorf("set up the job: %w", err)
		}
	}
	event, ok := github.Get("event")
	if !ok {
		event = expr.NewObject()
	}
	text, err := toJSON(event)
	if err != nil {
		return nil, fmt.Errorf("set up the job: github.event: %w", err)
	}
	if err := q.Cell.WriteFile(eventFile, []byte(text), 0o644); err != nil {
		return nil, fmt.Errorf("set up the job: %w", err)
	}
	return r, nil
}

// setUp evaluates what is known only now, and loads the actions.
func (r *runner) setUp(ctx context.Context, top *scope) error {
	q := r.q
	v := view{sc: &scope{inputs: top.inputs, contexts: envContexts(), secrets: true}}
	var env []Variable
	for _, s := range q.Env {
		switch {
		case s.Later == nil:
			env = append(env, Variable{s.Name, s.Value})
		case s.Name == "":
			list, err := r.evalMap(s.Later, v)
			if err != nil {
				return fmt.Errorf("env: %w", err)
			}
			env = append(env, list...)
		default:
			value, err := r.evalString(s.Later, v)
			if err != nil {
				return fmt.Errorf("env: %s: %w", s.Name, err)
			}
			env = append(env, Variable{s.Name, value})
		}
	}
	r.mu.Lock()
	r.env = newEnvironment(env)
	r.mu.Unlock()
	v.sc.contexts, v.env = append(envContexts(), "env"), newEnvironment(env)
	for _, d := range []struct {
		what string
		text Text
		to   *string
	}{{"shell", q.Defaults.Shell, &top.shell}, {"working-directory", q.Defaults.Dir, &top.dir}} {
		*d.to = d.text.Value
		if d.text.Later == nil {
			continue
		}
		var err error
		if *d.to, err = r.evalString(d.text.Later, v); err != nil {
			return fmt.Errorf("defaults.run.%s: %w", d.what, err)
		}
	}
	return r.loadAll(ctx, q.Steps, nil, 0)
}

// toJSON prints a value as the language's function does.
func toJSON(v expr.Value) (string, error) {
	x, err := expr.Parse("toJSON(x)", expr.Options{Contexts: []string{"x"}})
	if err != nil {
		return "", err
	}
	s, err := x.Eval(expr.Env{Contexts: expr.Values{"x": v}})
	if err != nil {
		return "", err
	}
	return expr.ToString(s), nil
}

// steps runs a list of steps.
func (r *runner) steps(ctx context.Context, list []*workflows.Step, sc *scope) {
	for i, s := range list {
		if r.shutdown() {
			return
		}
		r.step(ctx, s, sc, i+1 < len(list))
	}
}

// shutdown says that no condition is evaluated any more.
func (r *runner) shutdown() bool { return r.killed.Load() || r.stops() }

// stops says that the runner is stopped, with all its jobs.
func (r *runner) stops() bool { return errors.Is(context.Cause(r.cancelled), ErrShutdown) }

// jobStatus is the status of the job so far.
func (r *runner) jobStatus() Conclusion {
	if r.cancelled.Err() != nil {
		return Cancelled
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// failJob makes the job one that failed.
func (r *runner) failJob() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = Failure
}

// keep counts what steps set for later ones.
func (r *runner) keep(v Variable) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept += len(v.Name) + len(v.Value) + entryBytes; r.kept > mostKept {
		return fmt.Errorf("the steps of this job set more than %d MiB of outputs, variables and state", mostKept>>20)
	}
	return nil
}

// ours records an error that is no step's.
func (r *runner) ours(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, err)
}

// emit hands out an event whose texts are masked by the caller or by emitText.
func (r *runner) emit(e Event) {
	r.emitting.Lock()
	defer r.emitting.Unlock()
	if r.closed || r.q.Emit == nil {
		return
	}
	e.Time = time.Now()
	r.q.Emit(e)
}

func (r *runner) close() {
	r.emitting.Lock()
	defer r.emitting.Unlock()
	r.closed = true
}

// text masks a text for an event.
func (r *runner) text(s string) string {
	return r.masks.text(strings.ToValidUTF8(s, "\ufffd"))
}

// finish evaluates the outputs and says what became of the job.
func (r *runner) finish(top *scope) Result {
	var res Result
	switch {
	case errors.Is(context.Cause(r.cancelled), errJobTimeout):
		res.TimedOut = true
		r.annotate("", "error", "The job has exceeded the maximum execution time of "+r.timeout.String()+".")
	case r.stops():
		r.annotate("", "error", ErrShutdown.Error()+".")
		r.failJob()
	}
	size := 0
	if r.q.Outputs != nil && !r.shutdown() {
		for _, p := range r.q.Outputs.Pairs {
			v := view{sc: top, env: r.globals(top)}
			name := p.Key.String()
			value, err := r.evalString(p.Value, v)
			switch {
			case err != nil:
				r.annotate("", "error", fmt.Sprintf("output '%s': %v", name, err))
				r.failJob()
			case value == "":
			case r.masks.holds(value):
				r.annotate("", "warning", "Skip output '"+name+"' since it may contain secret.")
			case size+len(value) > largestOutputs:
				r.annotate("", "error", fmt.Sprintf("The job's outputs take more than %d KiB; '%s' and what follows are left out.", largestOutputs>>10, name))
				r.failJob()
			default:
				size += len(value)
				res.Outputs = append(res.Outputs, Variable{name, value})
			}
		}
	}
	res.EnvironmentURL = r.deployed(top)
	if res.Conclusion = r.jobStatus(); r.stops() {
		res.Conclusion = Failure
	}
	return res
}

// deployed says where the environment's url leads.
func (r *runner) deployed(top *scope) string {
	if r.q.EnvironmentURL == nil || r.shutdown() {
		return ""
	}
	value, err := r.evalString(r.q.EnvironmentURL, view{sc: top, env: r.globals(top)})
	if err != nil {
		r.annotate("", "error", fmt.Sprintf("environment.url: %v", err))
		r.failJob()
		return ""
	}
	if value = r.text(value); value != "" {
		r.emit(Event{Kind: Line, Stream: Info, Text: r.text("environment "+r.q.Environment+": ") + value})
	}
	return value
}

// annotate hands out an annotation in our words.
func (r *runner) annotate(step, level, message string) {
	r.emit(Event{Kind: Annotated, Step: step, Annotation: &Annotation{Level: level, Message: r.text(message), ByRunner: true}})
}

// globals is the environment of a scope's steps.
func (r *runner) globals(sc *scope) environment {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.env.with(sc.env)
}

// unique makes a name of a file that nobody can foresee.
func unique() string { return strings.ToLower(rand.Text()) }
