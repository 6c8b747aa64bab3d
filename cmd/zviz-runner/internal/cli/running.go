// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/zviz/run/cmd/zviz-runner/internal/runview"
	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/executor/concurrency"
	"github.com/zviz/run/executor/run"
	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/workflows/plan"
)

// running is one call of run.
type running struct {
	app
	*runOptions
	reports *reportFile // nil without --report
	results []run.Result
}

func newRunning(a app, o *runOptions) *running { return &running{app: a, runOptions: o} }

// run runs workflows one after the other.
func (r *running) run(ctx context.Context, list []runnable) (err error) {
	if err := noCore(); err != nil {
		return ours(fmt.Errorf("keep secrets out of core files: %w", err))
	}
	if err := r.canBreak(); err != nil {
		return err
	}
	if r.report != "" { // before anything of a job exists
		if r.reports, err = openReport(r.report); err != nil {
			return ours(failure{Code: "report.unwritable", What: badValue("--report", r.report, cause(err)), Fix: hint(err), err: err})
		}
		defer r.reports.close()
	}
	x, err := executor.New(r.config(r.log()))
	if err != nil {
		return ours(err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := r.watch(cancel)
	defer stop.end()
	folder, err := openRunFolder(r.stateDir())
	if err != nil {
		return ours(&executor.StateError{Dir: r.stateDir(), Err: err})
	}
	defer func() { err = errors.Join(err, folder.close()) }()
	kept := make([]*kept, len(list))
	if !r.withoutNetwork(list) {
		for i, below := range artifactFolders(list) {
			if kept[i], err = r.keep(folder, below); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, kept[i].close()) }()
		}
	}
	var errs []error
	for i, w := range list {
		if ctx.Err() != nil {
			break
		}
		res, err := r.one(ctx, cancel, x, w, folder, kept[i], stop.kill)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", w.path, err))
		}
		r.results = append(r.results, res)
	}
	unwritten := cmp.Or(r.store(list), r.teach(list))
	switch s, signalled := errors.AsType[signalled](context.Cause(ctx)); {
	case len(errs) > 0:
		return ours(errors.Join(errs...))
	case signalled:
		return exitStatus(s.exitCode())
	case errors.Is(context.Cause(ctx), errUnread):
		return ours(context.Cause(ctx))
	case unwritten != nil:
		return unwritten
	}
	return r.conclusion()
}

// one runs one workflow.
func (r *running) one(ctx context.Context, cancel context.CancelCauseFunc, x *executor.Executor, w runnable, temp *runFolder, kept *kept, kill <-chan struct{}) (run.Result, error) {
	jobs := 0
	if p, err := plan.New(w.Workflow, w.Plan); err == nil { // else Run says so
		jobs = jobCount(p.Graph())
	}
	q := w.Request
	q.TempDir = temp.dir
	var artifacts func() []runview.Artifact
	if kept != nil {
		q.Results, artifacts = kept.open, kept.list
	}
	view := r.view(jobs, artifacts, cancel)
	defer view.Close()
	q.Cells, q.Emit, q.Kill = run.CellsOf(x), view.Event, kill
	if r.breakOnFailure {
		q.Parallel, q.Failed = 1, r.breaker(view).failed
	}
	var err error
	if q.Groups, err = concurrency.Open(filepath.Join(r.stateDir(), "concurrency")); err != nil {
		return run.Result{Conclusion: plan.Failure}, &executor.StateError{Dir: r.stateDir(), Err: err}
	}
	return run.Run(ctx, q)
}

// withoutNetwork reports whether jobs have no network of their own, in which they could
// be served.
func (r *running) withoutNetwork(list []runnable) bool {
	p := list[0].Policy // that of the call
	return p.NoNetwork || slices.Contains(p.AllowMissing, sandbox.LayerNet)
}

// conclusion is the exit code of the whole.
func (r *running) conclusion() error {
	failed, timedOut := false, false
	for _, res := range r.results {
		failed = failed || res.Conclusion == plan.Failure || res.Conclusion == plan.Cancelled
		timedOut = timedOut || slices.ContainsFunc(res.Jobs, func(j run.JobResult) bool { return j.TimedOut })
	}
	switch {
	case failed && timedOut:
		return exitStatus(exitTimeout)
	case failed:
		return exitStatus(exitFailed)
	}
	if !r.strict {
		return nil
	}
	n := 0
	for _, res := range r.results {
		for _, j := range res.Jobs {
			if j.Report != nil {
				n += deniedCount(j.Report.Egress.Summary)
			}
		}
	}
	if n > 0 {
		return failure{
			Code: "egress.denied", Exit: exitFailed,
			What: "the run succeeded, but " + ui.Count(n, "request was denied", "requests were denied") + " (--strict-egress)",
		}
	}
	return nil
}

// log is the operator's log: with -v only.
func (r *running) log() *slog.Logger {
	if !r.verbose || r.json {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(ui.NewCleanWriter(r.Err), &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// stopping is what signals ask for.
type stopping struct {
	kill chan struct{} // closed by the second one
	over chan struct{}
}

func (s *stopping) end() { close(s.over) }

// watch turns signals into what they mean for a run: the first cancels it, the second
// kills what runs, the third does not wait for the end; the next start removes what is
// left then.
func (r *running) watch(cancel context.CancelCauseFunc) *stopping {
	s := &stopping{kill: make(chan struct{}), over: make(chan struct{})}
	ch := make(chan os.Signal, 8)
	// SIGPIPE: a write to a closed pipe is an error and not our end.
	signal.Notify(ch, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGPIPE)
	// Ignored by whoever started us (nohup, a shell's "&"): so it stays, for us. It is
	// caught all the same, since what is caught is reset for the steps (clone3(2),
	// CLONE_CLEAR_SIGHAND), and what is ignored is not: their SIGINT would be lost.
	ignored := map[os.Signal]bool{}
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGHUP} {
		ignored[sig] = signal.Ignored(sig)
		signal.Notify(ch, sig)
	}
	go func() {
		defer signal.Stop(ch)
		asked := 0
		for {
			select {
			case <-s.over:
				return
			case got := <-ch:
				sig, _ := got.(syscall.Signal)
				if sig == syscall.SIGPIPE || ignored[got] {
					continue
				}
				switch asked++; asked {
				case 1:
					cancel(signalled{sig})
				case 2:
					close(s.kill)
				default:
					os.Exit(exitSignal + int(sig)) // nobody waits for the end any more
				}
			}
		}
	}()
	return s
}
