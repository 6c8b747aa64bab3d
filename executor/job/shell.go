// SPDX-License-Identifier: Apache-2.0

package job

import (
	"context"
	"errors"
	"io"
	"maps"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/sandbox"
)

// FailedStep is a step whose process has just failed. Its files are still there: what is
// written to GITHUB_ENV and the like counts as the step's.
type FailedStep struct {
	Step, Name string // as in events, masked
	ExitCode   int
	// Shell runs a shell where the process ran: in the same cell under the name of the
	// step, so that the network allows the same, with its environment, folder and
	// mounts. The job's secrets are masked in what it prints. It ends with the context.
	Shell func(ctx context.Context, t Terminal) (sandbox.Result, error)
}

// Terminal is where somebody types.
type Terminal struct {
	In     io.Reader // its Read must end some time after the shell did
	Out    io.Writer
	Size   sandbox.TTY // rows and columns
	Resize <-chan sandbox.TTY
	Type   string // TERM; may be empty
}

// failedProcess hands a failed process to whoever wants to look at it.
func (st *stepRun) failedProcess(ctx context.Context, s executor.Step, exitCode int) {
	r := st.r
	background := st.s.Background != nil && st.s.Background.Bool
	if r.q.Failed == nil || background || ctx.Err() != nil || r.cancelled.Err() != nil {
		return
	}
	r.q.Failed(r.cancelled, FailedStep{ //nolint:contextcheck // the job's: a step's limit is not that of who looks at it
		Step: st.id, Name: r.text(st.name), ExitCode: exitCode,
		Shell: func(ctx context.Context, t Terminal) (sandbox.Result, error) { return st.shell(ctx, s, t) },
	})
}

// shell runs a shell in the place of a process.
func (st *stepRun) shell(ctx context.Context, s executor.Step, t Terminal) (sandbox.Result, error) {
	r := st.r
	program := r.lookPath(st.view().env, "bash")
	args := []string{program, "--norc", "--noprofile", "-i"} // files in the home are the job's
	if program == "" {
		args = []string{"/bin/sh", "-i"}
	}
	out := r.masks.stream(t.Out)
	env := maps.Clone(s.Env)
	if t.Type != "" {
		env["TERM"] = t.Type
	}
	t.Size.Stdin, t.Size.Stdout, t.Size.Stderr = true, true, true
	res, err := r.q.Cell.Run(ctx, executor.Step{
		As: egress.StepName{ID: s.As.ID, Name: s.As.Name, Uses: s.As.Uses}, Args: args, Env: env, Path: s.Path, Dir: s.Dir, Mounts: s.Mounts,
		Stdin: t.In, Stdout: out, Stderr: out, TTY: t.Size, Resize: t.Resize, Grace: terminateTime,
	})
	return res, errors.Join(err, out.Flush())
}
