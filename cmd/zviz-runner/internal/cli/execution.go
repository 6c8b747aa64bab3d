// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/sandbox"
)

// execution is one call of exec.
type execution struct {
	app
	*execOptions
	ui      *ui.UI
	file    *reportFile // nil without --report
	signing *signing    // nil without --provenance
	workDir string      // where the command runs
	lines   *jsonLines  // nil without --json
	started time.Time
	mask    func(string) string
	learns  bool // by the policy file
	sinks   [2]*sink
}

// outcome is what the executor returned.
type outcome struct {
	report executor.Report
	err    error
}

// exec runs the command and returns its exit code as an exitStatus, or nil.
func (a app) exec(ctx context.Context, o *execOptions) error {
	e := &execution{app: a, execOptions: o, started: time.Now(), mask: func(s string) string { return s }}
	e.ui = ui.New(ui.Config{
		In: a.In, Out: a.Out, Err: a.Err, Getenv: a.getenv,
		Color: o.color, Progress: e.progressMode(), Quiet: o.quiet || o.json,
	})
	defer e.ui.Close()
	if o.json && !o.explain {
		e.lines = newJSONLines(a.Out)
	}
	if err := o.apart(); err != nil {
		return e.refuse(err)
	}
	// Before anything of the job exists: the name may lie where it can write.
	if o.report != "" && !o.explain {
		f, err := openReport(o.report)
		if err != nil {
			return e.refuse(failure{Code: "report.unwritable", What: badValue("--report", o.report, cause(err)), Fix: hint(err), err: err})
		}
		defer f.close()
		e.file = f
	}
	if !o.explain {
		s, err := o.openSigning()
		if err != nil {
			return e.refuse(err)
		}
		if s != nil {
			defer s.file.close()
		}
		e.signing = s
	}
	req, notes, err := o.request(a)
	if err != nil {
		return e.refuse(err)
	}
	e.workDir = req.Dir
	if e.signing != nil {
		req.Private = append(req.Private, o.signKey)
	}
	e.mask = masker(req.Secrets)
	e.learns = req.Policy.Egress.Mode == egress.ModeLearn
	for _, n := range notes {
		e.ui.Notef("%s", ui.CleanLine(n))
	}
	x, err := a.runner(e.log())
	if err != nil {
		return e.refuse(err)
	}
	if o.explain {
		text, err := x.Plan(ctx, req)
		if err != nil {
			return ours(err)
		}
		return ours(printLine(a.Out, strings.TrimRight(text, "\n")))
	}
	return e.run(ctx, x, req)
}

// progressMode keeps the line away where nobody looks or a program reads.
func (e *execution) progressMode() string {
	if (e.quiet || e.json) && e.progress == "" || e.explain {
		return "quiet"
	}
	return e.progress
}

// log is the operator's log: -v only, since everything a user needs is in the
// notes and the report.
func (e *execution) log() *slog.Logger {
	if !e.verbose || e.json {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(ui.NewCleanWriter(e.ui.Err()), &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// heapGoal is from where on the collector works harder rather than let garbage
// double what a job makes us keep. It is no limit: what is needed is had.
const heapGoal = 14 << 20

// refuse ends an execution whose command did not run.
func (e *execution) refuse(err error) error {
	f := describe(err)
	f.Exit = exitOurs
	return e.finish(executor.Report{Cause: sandbox.CauseNotStarted}, f)
}

func (e *execution) run(ctx context.Context, x runner, req executor.Request) error {
	if err := noCore(); err != nil {
		return e.refuse(fmt.Errorf("keep secrets out of core files: %w", err))
	}
	debug.SetMemoryLimit(heapGoal)
	t := e.newTerminal(e.json)
	defer t.restore()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := watchSignals(cancel, t)
	defer watch.stop()

	req.TTY, req.Resize, req.Signals = t.tty, t.resize, watch.forward
	req.Stdin, req.Stdout, req.Stderr = t.stdin(), e.Out, e.Err
	// A terminal that is gone is no loss.
	if !t.tty.Stdout && e.lines == nil {
		e.sinks[0] = &sink{w: e.Out, name: "the command's standard output"}
		req.Stdout = e.sinks[0]
	}
	if !t.tty.Stderr && e.lines == nil {
		e.sinks[1] = &sink{w: e.Err, name: "the command's standard error"}
		req.Stderr = e.sinks[1]
	}
	if e.lines != nil {
		defer e.lines.close()
		req.Stdout, req.Stderr = e.lines.stream("stdout"), e.lines.stream("stderr")
		req.Observe = func(ev egress.Event) { e.lines.event(ev) }
	}
	live := e.liveView(t, &req)
	if req.Policy.Diff {
		d := ui.NewCleanWriter(e.ui.Err())
		defer func() { _ = d.Close() }()
		req.DiffTo = d
	}
	ran := false
	req.Phase = func(name string) {
		if ran {
			t.restore() // the command is over: keys and lines are ours
		}
		e.ui.Phase(name)
		if ran = ran || name == ""; name == "" {
			// Not before: as long as the command does not run, Ctrl-C is for us.
			t.raw()
			live.show()
		}
	}

	req.Amount = e.ui.Amount
	req.Notice = func(s string) { e.ui.Notef("%s", ui.CleanLine(s)) }

	done := make(chan outcome, 1)
	go func() {
		// A panic in here would leave the terminal raw.
		defer func() {
			if v := recover(); v != nil {
				done <- outcome{err: bug(v)}
			}
		}()
		rep, err := x.Exec(ctx, req)
		done <- outcome{rep, err}
	}()
	var out outcome
	select {
	case out = <-done:
	case <-watch.abandon:
		// What is left ends with us, and the next start sweeps the rest.
		out.err = context.Cause(ctx)
	}
	watch.stop()
	t.restore()
	live.end()
	e.ui.Phase("")
	return e.conclude(ctx, out)
}

// conclude turns what the executor returned into a report and an exit code.
func (e *execution) conclude(ctx context.Context, out outcome) error {
	rep := out.report
	if s, ok := errors.AsType[signalled](context.Cause(ctx)); ok {
		rep.Cause, rep.Conclusion, rep.ExitCode = sandbox.CauseCancelled, executor.Cancelled, s.exitCode()
		return e.finish(rep, nil)
	}
	if s, ok := errors.AsType[signalled](out.err); ok {
		rep.Cause, rep.Conclusion, rep.ExitCode = sandbox.CauseCancelled, executor.Cancelled, s.exitCode()
		return e.finish(rep, nil)
	}
	if out.err != nil {
		return e.finish(rep, ours(out.err))
	}
	if rep.Cause == sandbox.CauseNotStarted {
		return e.finish(rep, e.notStarted(rep))
	}
	if r := rep.Error; r != nil && (r.Code == "egress.denied" || r.Code == "canary.found") {
		return e.finish(rep, failure{Code: r.Code, What: r.What, Why: r.Why, Fix: r.Fix, Exit: exitFailed})
	}
	for _, s := range e.sinks {
		if err := s.lost(); err != nil {
			return e.finish(rep, err)
		}
	}
	if e.strict && rep.ExitCode == 0 {
		if n := deniedCount(rep.Egress.Summary); n > 0 {
			return e.finish(rep, failure{
				Code: "egress.denied", Exit: exitFailed,
				What: "the command succeeded, but " + ui.Count(n, "request was denied", "requests were denied") + " (--strict-egress)",
			})
		}
	}
	return e.finish(rep, nil)
}

// notStarted describes a command that could not be executed.
func (e *execution) notStarted(rep executor.Report) failure {
	f := failure{Exit: rep.ExitCode}
	if r := rep.Error; r != nil {
		f.Code, f.What, f.Why, f.Fix = r.Code, r.What, r.Why, r.Fix
	}
	name := quoteShell(e.args[0])
	switch {
	case f.What != "":
	case rep.ExitCode == exitNotFound:
		f.Code, f.What = "command.not_found", "cannot run "+name+": not found in the sandbox"
		if !strings.Contains(e.args[0], "/") {
			f.Why = "no folder of the sandbox's PATH has it"
			f.Fix = "look where it is on this machine, and show that folder: --mount DIR:DIR"
		}
	default:
		f.Code, f.What = "command.not_executable", "cannot run "+name+": found, but it cannot be executed"
	}
	if f.Code == "" {
		f.Code = "command.not_started"
	}
	if f.Exit == 0 {
		f.Exit = exitOurs
	}
	return f
}

// finish writes the report everywhere it is wanted and says at the end what
// people should know. err is what the report's error is made of, or nil.
func (e *execution) finish(rep executor.Report, err error) error {
	code := rep.ExitCode
	var f failure
	if err != nil {
		f = describe(err)
		f.What, f.Why, f.Fix = e.mask(f.What), e.mask(f.Why), e.mask(f.Fix)
		err, code = f, f.Exit
		rep.Conclusion = executor.Failure
		rep.Error = &executor.ReportError{Code: f.Code, What: f.What, Why: f.Why, Fix: f.Fix, Exit: f.Exit}
	}
	rep.ExitCode = code
	rep = e.complete(rep)
	// The report first: the streams may be closed pipes by now.
	unwritten := cmp.Or(e.store(rep), e.summarize(rep))
	e.tellGitHub(rep)
	if e.lines != nil {
		unwritten = cmp.Or(unwritten, unwritable("standard output", e.lines.last(rep)))
	}
	if unwritten != nil {
		if err == nil {
			return unwritten
		}
		e.fail(describe(unwritten), e.json)
	}
	if err == nil && code != 0 {
		return exitStatus(code)
	}
	return err
}

// complete fills in what the executor did not come to, so that a report has the
// same fields however a run ended.
func (e *execution) complete(r executor.Report) executor.Report {
	r.Schema, r.Kind = executor.ReportSchema, "exec"
	if r.Started.IsZero() {
		r.Started = e.started.UTC()
	}
	if r.Ended.IsZero() {
		r.Ended = time.Now().UTC()
	}
	r.Command = nil
	for _, arg := range e.args {
		r.Command = append(r.Command, e.mask(arg))
	}
	if r.Conclusion == "" {
		r.Conclusion = executor.Success
		if r.ExitCode != 0 {
			r.Conclusion = executor.Failure
		}
	}
	if r.Cause == "" {
		r.Cause = sandbox.CauseNotStarted
	}
	r.Command = orEmpty(r.Command)
	r.Layers = orEmpty(r.Layers)
	r.Denials = orEmpty(r.Denials)
	r.Egress.Events = orEmpty(r.Egress.Events)
	if len(r.Egress.Events) == 0 {
		r.Egress.Head = egress.ChainStart(r.ID)
	}
	r.Egress.Summary = orEmpty(r.Egress.Summary)
	r.Packages = orEmpty(r.Packages)
	r.Changed = orEmpty(r.Changed)
	r.Steps = orEmpty(r.Steps)
	if r.Outputs == nil {
		r.Outputs = map[string]string{}
	}
	return r
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// masker replaces secrets in lines of ours. The command's output is masked by
// the executor, in every encoding.
func masker(secrets []string) func(string) string {
	var pairs []string
	for _, s := range secrets {
		pairs = append(pairs, s, "***")
	}
	return strings.NewReplacer(pairs...).Replace
}

// hint returns what an error advises, if it does.
func hint(err error) string {
	if h, ok := find[hinter](err); ok {
		return h.Hint()
	}
	return ""
}
