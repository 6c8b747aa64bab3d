// SPDX-License-Identifier: Apache-2.0

package job

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/sandbox"
)

// process is what a step starts.
type process struct {
	args   []string
	dir    string
	shell  string // as written, for messages
	mounts []sandbox.Mount
}

// process runs a process of the step with files of its own, and does what they say.
func (st *stepRun) process(ctx context.Context, p process) Conclusion {
	r := st.r
	if rel, ok := strings.CutPrefix(p.dir, executor.RunnerWork+"/"); ok {
		if i, err := fs.Stat(r.q.Cell.Work(), rel); err == nil && !i.IsDir() || errors.Is(err, fs.ErrNotExist) {
			st.fail("An error occurred trying to start process '%s' with working directory '%s'. No such file or directory", p.args[0], p.dir)
			return Failure
		}
	}
	if err := st.openFiles(); err != nil {
		st.fail("Could not make the files of the step: %v", err)
		return Failure
	}
	env := st.variables()
	if bad := badVariable(env); bad != "" {
		st.fail("The variable %q holds a null character or '=' in its name, and no process can have it.", bad)
		return Failure
	}
	stdout, stderr := st.output(Stdout), st.output(Stderr)
	r.mu.Lock()
	first := slices.Clone(r.path)
	r.mu.Unlock()
	mounts := r.mounts(st.sc, p.mounts, first)
	r.prepareNext(ctx, st, len(mounts) == 0)
	step := executor.Step{
		As:   egress.StepName{ID: st.sc.prefix + st.s.ID, Name: r.text(st.name), Uses: st.s.Uses.String()},
		Args: p.args, Env: env, Path: first, Dir: p.dir, Mounts: mounts,
		Stdout: stdout, Stderr: stderr, Interrupt: interruptTime, Grace: terminateTime,
	}
	res, err := r.q.Cell.Run(ctx, step)
	stdout.flush()
	stderr.flush()
	outcome := st.judge(p, res, err)
	if outcome == Failure {
		st.failedProcess(ctx, step, res.ExitCode)
	}
	st.readFiles()
	return outcome
}

// mounts shows a process the files of its action, of those around it, and of those that
// put a directory of theirs into PATH.
func (r *runner) mounts(sc *scope, own []sandbox.Mount, dirs []string) []sandbox.Mount {
	list := slices.Concat(sc.mounts, own)
	r.mu.Lock()
	for _, a := range r.loaded {
		if slices.ContainsFunc(dirs, a.holds) {
			list = append(list, a.Mounts...)
		}
	}
	r.mu.Unlock()
	var out []sandbox.Mount
	seen := map[string]bool{}
	for _, m := range list {
		if !seen[m.Target] {
			seen[m.Target] = true
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b sandbox.Mount) int { return strings.Compare(a.Target, b.Target) })
	return out
}

// judge says what the end of a process means.
func (st *stepRun) judge(p process, res sandbox.Result, err error) Conclusion {
	st.mu.Lock()
	st.exitCode = res.ExitCode
	st.mu.Unlock()
	var denied *executor.DeniedError
	var canary *executor.CanaryError
	switch {
	case errors.As(err, &denied) || errors.As(err, &canary):
		st.fail("%v", err)
		return Failure
	case isDir(err):
		st.fail("An error occurred trying to start process '%s' with working directory '%s'. %v", p.args[0], p.dir, err)
		return Failure
	case err != nil:
		st.fail("The step could not be started: %v", err)
		st.r.ours(err)
		return Failure
	case res.Cause == sandbox.CauseNotStarted && res.StartErr == syscall.ENOENT && p.shell != "" && path.Base(p.args[0]) == p.args[0]:
		st.fail("%s: command not found", p.shell)
		return Failure
	case res.Cause == sandbox.CauseNotStarted:
		st.fail("An error occurred trying to start process '%s' with working directory '%s'. %s", p.args[0], p.dir, res.StartErr.Error())
		return Failure
	case res.Cause == sandbox.CauseOOM:
		st.fail("The step was ended: it took more memory than the job may have.")
	case res.Cause == sandbox.CauseDisk:
		st.fail("The step was ended: the disk is almost full.")
	}
	if res.ExitCode != 0 {
		st.fail("Process completed with exit code %d.", res.ExitCode)
		return Failure
	}
	return Success
}

// isDir says whether an error is about the directory that the job named.
func isDir(err error) bool {
	dir, ok := errors.AsType[*fs.PathError](err)
	return ok && dir.Op == sandbox.OpDir
}

// variables is the environment of the step's process.
func (st *stepRun) variables() map[string]string {
	v := st.view()
	env := map[string]string{}
	for _, x := range v.env.list() {
		env[x.Name] = x.Value
	}
	for _, x := range st.extra {
		env[x.Name] = x.Value
	}
	maps.Copy(env, st.r.contextVariables(v))
	if st.server != "" {
		env["GITHUB_SERVER_URL"] = st.server
	}
	if _, ok := env["CI"]; !ok {
		env["CI"] = "true"
	}
	return env
}

func badVariable(env map[string]string) string {
	for name, value := range env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0) {
			return name
		}
	}
	return ""
}

// prepareNext makes the sandbox of the step after this one while this one runs.
func (r *runner) prepareNext(ctx context.Context, st *stepRun, takes bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if takes {
		r.ahead = false
	}
	if r.ahead || !st.more {
		return
	}
	r.ahead = true
	ctx = context.WithoutCancel(ctx) // it outlives this step
	r.work.Go(func() {
		if err := r.q.Cell.Prepare(ctx); err != nil {
			// The step makes its own then, and says what is wrong.
			r.mu.Lock()
			r.ahead = false
			r.mu.Unlock()
		}
	})
}
