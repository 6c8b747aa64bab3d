// SPDX-License-Identifier: Apache-2.0

package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
)

// phase is which part of a step runs.
type phase string

const (
	phasePre  phase = "Pre"
	phaseMain phase = ""
	phasePost phase = "Post"
)

// stepRun is one run of a step, or of the pre or post of its action.
type stepRun struct {
	r     *runner
	sc    *scope
	s     *workflows.Step
	phase phase
	id    string // in events
	name  string
	more  bool // steps come after it

	own     []Variable             // env of the step
	action  atomic.Pointer[Action] // that it uses; nil before it is known
	extra   []Variable             // INPUT_ and STATE_
	server  string                 // GITHUB_SERVER_URL, if it is another one for this step
	files   commandFiles
	started time.Time

	mu        sync.Mutex // guards what follows: output comes in two streams
	concluded Conclusion
	done      bool // what comes now is a background process's
	failed    bool // a command could not be done
	exitCode  int
	echo      bool
	stop      string // the word that ends stop-commands
	counts    map[string]int
	effects   effects
	outcome   Conclusion
	deferred  bool // effects are applied when it is waited for
}

// effects are what a step leaves behind.
type effects struct {
	env     []Variable
	path    []string
	outputs []Variable
	state   []Variable
}

func (r *runner) newStep(s *workflows.Step, sc *scope, ph phase) *stepRun {
	id := s.ID
	if ph != phaseMain {
		id = strings.ToLower(string(ph)) + ":" + id
	}
	return &stepRun{r: r, sc: sc, s: s, phase: ph, id: r.eventID(sc.prefix + id), files: nameFiles(), counts: map[string]int{}, echo: r.q.Runner.Debug}
}

// eventID makes an id that no other step of the job has.
func (r *runner) eventID(id string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names[id]++
	if n := r.names[id]; n > 1 {
		return fmt.Sprintf("%s#%d", id, n)
	}
	return id
}

// view is from where the step's expressions look.
func (st *stepRun) view() view {
	return view{sc: st.sc, env: st.r.globals(st.sc).with(st.own), step: st, asJob: st.phase != phaseMain}
}

// facts are the members of the github context that differ from step to step.
func (st *stepRun) facts() []Variable {
	list := []Variable{{"action", st.s.ID}}
	if a := st.sc.action; a != nil {
		list = append(list, Variable{"action_path", a.Dir})
	}
	a := st.action.Load()
	if a == nil {
		a = st.sc.action
	}
	if a != nil {
		list = append(list, Variable{"action_repository", a.Repository}, Variable{"action_ref", a.Ref})
	}
	if st.sc.action != nil {
		list = append(list, Variable{"action_status", string(st.r.statusFor(view{sc: st.sc}))})
	}
	return append(list, st.files.facts()...)
}

// step runs a step of a list.
func (r *runner) step(ctx context.Context, s *workflows.Step, sc *scope, more bool) {
	switch s.Kind {
	case workflows.WaitStep, workflows.WaitAllStep, workflows.CancelStep, workflows.ParallelStep:
		r.backgroundStep(ctx, s, sc)
		return
	case workflows.RunStep, workflows.UsesStep:
	}
	st := r.newStep(s, sc, phaseMain)
	st.more = more
	if s.Background != nil && s.Background.Bool {
		r.inBackground(ctx, st)
		return
	}
	if st.ready() {
		st.finish(st.guard(ctx, st.main))
	}
}

// ready evaluates the step's env, condition and name. If it is not to run it is
// finished.
func (st *stepRun) ready() bool {
	r := st.r
	st.started = time.Now()
	own, err := r.evalMap(st.s.Env, st.view())
	if err != nil {
		st.name = st.defaultName()
		st.begin()
		st.fail("The template is not valid. env: %v", err)
		st.finish(Failure)
		return false
	}
	st.own = own
	st.name = st.defaultName()
	wanted, err := st.wanted()
	switch {
	case err != nil:
		st.begin()
		st.fail("The condition could not be evaluated: %v", err)
		st.finish(Failure)
		return false
	case !wanted:
		if st.phase == phaseMain {
			st.finish(Skipped)
		}
		return false
	}
	st.begin()
	return true
}

// begin says that the step has started.
func (st *stepRun) begin() {
	st.r.emit(Event{Kind: StepStarted, Step: st.id, Name: st.r.text(st.name)})
}

// guard runs a part of the step under its time limit and the job's cancellation.
func (st *stepRun) guard(ctx context.Context, part func(context.Context) Conclusion) Conclusion {
	r := st.r
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	minutes, err := st.minutes()
	if err != nil {
		st.fail("timeout-minutes: %v", err)
		return Failure
	}
	own := fmt.Errorf("%w", errStepTimeout) // not that of the step around this one
	if minutes > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, time.Duration(minutes)*r.minute, own)
		defer stop()
	}
	if r.cancelled.Err() == nil {
		// The condition is asked again: always() goes on.
		defer context.AfterFunc(r.cancelled, func() { //nolint:contextcheck // the job's, which the step may outlive
			if wanted, err := st.wanted(); r.shutdown() || err != nil || !wanted {
				cancel(errCancelled)
			}
		})()
	}
	outcome := Cancelled
	if ctx.Err() == nil { // else what it is part of has been ended
		outcome = part(ctx)
	}
	switch cause := context.Cause(ctx); {
	case cause == nil:
	case cause == own: //nolint:errorlint // this very one
		st.fail("The action '%s' has timed out after %d minutes.", st.name, minutes)
		return Failure
	case outcome != Success || !errors.Is(cause, errKilled):
		st.fail("The operation was canceled.")
		return Cancelled
	}
	return outcome
}

// wanted evaluates the if of the part that runs.
func (st *stepRun) wanted() (bool, error) {
	a := st.action.Load()
	switch {
	case st.phase == phasePre && a != nil:
		return st.r.plainCondition(cmp.Or(a.PreIf, "always()"), st.view())
	case st.phase == phasePost && a != nil:
		return st.r.plainCondition(cmp.Or(a.PostIf, "always()"), st.view())
	default:
		return st.r.condition(st.s.If, st.view())
	}
}

// minutes is the time limit of the step; 0 means none.
func (st *stepRun) minutes() (int, error) {
	if st.s.Timeout == nil || st.phase != phaseMain || st.sc.action != nil {
		return 0, nil
	}
	v, err := st.r.eval(st.s.Timeout, st.view())
	if err != nil {
		return 0, err
	}
	n := expr.ToNumber(v)
	if v.Kind() == expr.KindString && expr.ToString(v) == "" || math.IsNaN(n) || math.Abs(n) > math.MaxInt32 {
		return 0, fmt.Errorf("expected a number, got '%s'", expr.ToString(v))
	}
	return max(0, int(n)), nil
}

// main is what the step does.
func (st *stepRun) main(ctx context.Context) Conclusion {
	if st.s.Kind == workflows.UsesStep {
		return st.useAction(ctx)
	}
	return st.script(ctx)
}

// fail says in an annotation why the step fails.
func (st *stepRun) fail(format string, args ...any) {
	st.r.annotate(st.id, "error", fmt.Sprintf(format, args...))
}

// defaultName is the name of a step that has none.
func (st *stepRun) defaultName() string {
	before := ""
	if st.phase != phaseMain {
		before = string(st.phase) + " "
	}
	if st.s.Name != nil {
		if name, err := st.r.evalString(st.s.Name, st.view()); err == nil && name != "" {
			return before + name
		}
	}
	name := before + "Run"
	switch {
	case st.s.Kind == workflows.UsesStep && st.s.Uses != nil:
		return name + " " + st.s.Uses.Text
	case st.s.Run != nil:
		text, err := st.r.evalString(st.s.Run, st.view())
		if err != nil {
			text = st.s.Run.AsWritten()
		}
		first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
		return name + " " + first
	default:
		return string(st.s.Kind)
	}
}

// finish records what became of the step.
func (st *stepRun) finish(outcome Conclusion) {
	st.mu.Lock()
	st.done = true
	if st.failed && outcome == Success {
		outcome = Failure
	}
	st.outcome = outcome
	exit := st.exitCode
	st.mu.Unlock()
	r := st.r
	conclusion := outcome
	if outcome == Failure && st.phase == phaseMain && st.s.ContinueOnError != nil {
		v, err := r.eval(st.s.ContinueOnError, st.view())
		switch {
		case err != nil:
			st.fail("The step failed and an error occurred when attempting to determine whether to continue on error: %v", err)
		case expr.Truthy(v) && expr.ToString(v) != "false":
			conclusion = Success
		}
	}
	res := StepResult{ID: st.id, Name: r.text(st.name), Outcome: outcome, Conclusion: conclusion, Duration: time.Since(st.started), ExitCode: exit}
	st.mu.Lock()
	st.concluded = conclusion
	st.mu.Unlock()
	if !st.deferred {
		st.apply()
	}
	r.mu.Lock()
	if st.sc.action == nil {
		r.results = append(r.results, res)
	}
	r.mu.Unlock()
	r.emit(Event{Kind: StepFinished, Step: st.id, Name: res.Name, Result: &res})
}

// apply makes the step's effects those of the job and records its conclusion.
func (st *stepRun) apply() {
	st.applyEffects()
	st.mu.Lock()
	outcome, conclusion := st.outcome, st.concluded
	st.mu.Unlock()
	r := st.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if rec := st.sc.record(st.s.ID); rec != nil && st.phase == phaseMain {
		rec.done, rec.outcome, rec.conclusion = true, outcome, conclusion
	}
	inAction := st.sc.action != nil && st.phase == phaseMain
	switch {
	case conclusion == Cancelled && inAction && st.sc.status == Success:
		st.sc.status = Cancelled
	case conclusion != Failure:
	case inAction:
		st.sc.status = Failure
	default:
		r.status = Failure
	}
}

// applyEffects gives what the step set so far to the steps after it.
func (st *stepRun) applyEffects() {
	st.mu.Lock()
	e := st.effects
	st.effects = effects{state: e.state}
	st.mu.Unlock()
	r := st.r
	r.mu.Lock()
	defer r.mu.Unlock()
	r.env = r.env.with(e.env)
	r.addPath(e.path)
	if rec := st.sc.record(st.s.ID); rec != nil && st.phase == phaseMain {
		for _, o := range e.outputs {
			rec.output(o)
		}
	}
}

// addPath puts directories in front, each before those that came earlier. The caller holds
// the mutex.
func (r *runner) addPath(dirs []string) {
	if len(dirs) == 0 {
		return
	}
	var list []string
	seen := map[string]bool{}
	add := func(dir string) {
		if !seen[dir] {
			seen[dir] = true
			list = append(list, dir)
		}
	}
	for _, dir := range slices.Backward(dirs) {
		add(dir)
	}
	for _, dir := range r.path {
		add(dir)
	}
	r.path = list
}
