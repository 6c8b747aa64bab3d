// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/zviz/run/cmd/zviz-runner/internal/runview"
	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/executor/job"
)

// canBreak says whether somebody could use a shell.
func (r *running) canBreak() error {
	var why string
	switch {
	case !r.breakOnFailure:
		return nil
	case r.json:
		why = "--json is for programs"
	case !ui.IsTerminal(r.In):
		why = "standard input is none"
	case !ui.IsTerminal(r.Out):
		why = "standard output is none"
	case ui.InBackground(r.In):
		why = "the run is in the background of its terminal"
	default:
		return nil
	}
	return failure{
		Code: "usage.flag", What: "--break-on-failure needs a terminal for its shell: " + why, Exit: exitUsage,
		Fix: "start the run on a terminal, in the foreground, or leave out --break-on-failure",
	}
}

// breaker opens a shell where a step failed.
type breaker struct {
	*running
	view runview.View
	mu   sync.Mutex // there is one terminal
}

func (r *running) breaker(view runview.View) *breaker { return &breaker{running: r, view: view} }

// failed is told of a step that failed, and returns when its shell has ended.
func (b *breaker) failed(ctx context.Context, _, name string, f job.FailedStep) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	resume := b.view.Pause()
	defer resume()
	b.say("%s / %s failed (exit code %d): this is a shell where it ran. The job goes on when it ends (exit).", name, f.Name, f.ExitCode)
	if err := b.shell(ctx, f); err != nil {
		b.say("the shell: %v", err)
		return
	}
	b.say("the job goes on")
}

func (b *breaker) shell(ctx context.Context, f job.FailedStep) error {
	keys, err := ui.NewKeys(b.In)
	if err != nil {
		return err
	}
	defer keys.Close()
	t := b.newTerminal(false)
	defer t.restore()
	size := make(chan os.Signal, 1)
	signal.Notify(size, syscall.SIGWINCH)
	defer signal.Stop(size)
	over := make(chan struct{})
	defer close(over)
	go func() {
		for {
			select {
			case <-over:
				return
			case <-size:
				t.resized()
			}
		}
	}()
	t.raw()
	_, err = f.Shell(ctx, job.Terminal{In: keys, Out: b.Out, Size: t.tty, Resize: t.resize, Type: b.getenv("TERM")})
	return err
}

// say writes a line of ours between those of the run.
func (b *breaker) say(format string, args ...any) {
	_ = printLine(b.Out, ui.CleanLine("! "+fmt.Sprintf(format, args...))) // who reads it is there, or the run ends
}
