// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/zviz/run/sandbox"
)

// stepBox is the sandbox of a step.
type stepBox struct {
	*sandbox.Sandbox
	id    string
	layer *packageLayer // that it sees; nil if none
}

// Prepare makes the sandbox of a later step, up to its command: that step then
// starts in a fraction of a millisecond. It may be called beside Run. A step with
// mounts of its own is not started from it.
func (l *Cell) Prepare(ctx context.Context) error {
	box, err := l.box(nil)
	if err != nil {
		return err
	}
	parked, err := l.x.beginStart(ctx)
	if err != nil {
		return err
	}
	err = box.Park(ctx)
	parked()
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ahead = append(l.ahead, box)
	return nil
}

// box makes the sandbox of a step. The cell closes it.
func (l *Cell) box(mounts []sandbox.Mount) (stepBox, error) {
	spec := l.c.spec
	l.mu.Lock()
	l.step++
	n, layer := l.step, l.c.layer
	l.mu.Unlock()
	spec.ID = "step-" + strconv.Itoa(n)
	spec.StateDir = filepath.Join(l.c.job.Dir, spec.ID)
	if err := os.Mkdir(spec.StateDir, 0o700); err != nil {
		return stepBox{}, &StateError{Dir: l.x.folder(), Err: err}
	}
	spec.Mounts = slices.Concat(spec.Mounts, owned(mounts, l.probe), layer.mounts(spec.Home))
	box, err := sandbox.New(spec, l.probe)
	if err != nil {
		return stepBox{}, err
	}
	l.c.hold(box, spec.ID)
	return stepBox{box, spec.ID, layer}, nil
}

// owned leaves the owners of mounts as they are where the runner is an ordinary user's:
// what the user may read is the job's.
func owned(mounts []sandbox.Mount, probe sandbox.Probe) []sandbox.Mount {
	if probe.User == nil {
		return mounts
	}
	mounts = slices.Clone(mounts)
	for i := range mounts {
		if mounts[i].Owner != nil {
			mounts[i].Owner = &sandbox.Owner{}
		}
	}
	return mounts
}

// prepared takes a sandbox that waits for a command, if there is one. What was made
// before the job had its layer of packages does not see it, and is ended.
func (l *Cell) prepared() (stepBox, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.ahead) > 0 {
		box := l.ahead[0]
		l.ahead = l.ahead[1:]
		if box.layer == l.c.layer {
			return box, true
		}
		_ = box.Close() // the cell closes it once more, and hears of it
	}
	return stepBox{}, false
}

// lay makes the job's layer of packages before the first step that runs where a
// lockfile is.
func (l *Cell) lay(ctx context.Context, dir string) {
	rel, ok := inWork(path.Clean(dir) + "/")
	if !ok {
		return
	}
	rel = path.Clean(rel)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.c.wantsLayer() {
		return
	}
	l.x.layPackages(ctx, l.c, l.work, rel, l.probe.User != nil)
}

// start starts a step in a prepared sandbox if there is one, else in a new one.
func (l *Cell) start(ctx context.Context, s Step, cmd *sandbox.Cmd) (*sandbox.Process, error) {
	if p := l.c.packages; p != nil {
		if err := p.lockOnce(l.work); err != nil {
			return nil, err
		}
	}
	l.lay(ctx, s.Dir)
	if len(s.Mounts) == 0 && !s.TTY.Any() { // the streams of what waits are pipes
		if box, ok := l.prepared(); ok {
			p, err := l.startIn(ctx, box, s, cmd)
			// What waited may have died meanwhile: that is no fault of the step's.
			if layer, ok := errors.AsType[*sandbox.LayerError](err); !ok || layer.Layer != sandbox.LayerPID {
				return p, err
			}
		}
	}
	box, err := l.box(s.Mounts)
	if err != nil {
		return nil, err
	}
	return l.startIn(ctx, box, s, cmd)
}

func (l *Cell) startIn(ctx context.Context, box stepBox, s Step, cmd *sandbox.Cmd) (*sandbox.Process, error) {
	if l.c.network != nil {
		if err := l.c.network.Begin(box.id, s.As); err != nil {
			return nil, err
		}
	}
	started, err := l.x.beginStart(ctx)
	if err != nil {
		return nil, err
	}
	defer started()
	return box.Start(ctx, cmd)
}

// Run runs one step and returns when its command has ended. What it started in the
// background goes on until Close, and cannot be seen by other steps but through the
// network and files. The error is one of ours, or a *DeniedError or
// *CanaryError with the result of what it ended.
func (l *Cell) Run(ctx context.Context, s Step) (sandbox.Result, error) {
	if s.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.Timeout, context.DeadlineExceeded)
		defer cancel()
	}
	ctx, full := context.WithCancelCause(ctx)
	defer full(nil)
	ended := make(chan struct{})
	end := ctx // when SIGTERM comes
	var interrupt context.CancelCauseFunc
	if s.Interrupt > 0 {
		end, interrupt = context.WithCancelCause(context.WithoutCancel(ctx))
		defer interrupt(nil)
	}
	cmd := sandbox.Cmd{
		Args: s.Args, Env: l.environ(s), Dir: s.Dir, Stdin: s.Stdin, Stdout: l.c.listen(s.Stdout), Stderr: l.c.listen(s.Stderr),
		TTY: s.TTY, Stay: !s.TTY.Any(), Grace: cmp.Or(s.Grace, 500*time.Millisecond),
	}
	if err := l.c.denials.begin(full); err != nil {
		return sandbox.Result{}, err
	}
	p, err := l.start(end, s, &cmd)
	if err != nil {
		return sandbox.Result{}, errors.Join(err, l.c.denials.end())
	}
	var watch sync.WaitGroup
	watch.Go(func() { l.disk.run(ended, full) })
	if s.Resize != nil {
		watch.Go(func() {
			for {
				select {
				case <-ended:
					return
				case t := <-s.Resize:
					_ = p.Resize(t) // it is gone
				}
			}
		})
	}
	if s.Interrupt > 0 {
		watch.Go(func() {
			interruptFirst(ctx, p, s.Interrupt, ended)
			interrupt(context.Cause(ctx))
		})
	}
	res, err := p.Wait()
	close(ended)
	watch.Wait()
	l.note(s, p.Layers, res)
	return res, errors.Join(err, l.c.denials.end())
}

// interruptFirst sends SIGINT when the context ends, and returns when the time for
// that is over or the step has ended.
func interruptFirst(ctx context.Context, p *sandbox.Process, wait time.Duration, ended <-chan struct{}) {
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	if errors.Is(context.Cause(ctx), sandbox.ErrDisk) {
		return
	}
	_ = p.Signal(syscall.SIGINT) // ESRCH: it is gone already
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ended:
	case <-t.C:
	}
}

// environ is the environment of a step as a list.
func (l *Cell) environ(s Step) []string {
	env := l.Environ()
	maps.Copy(env, s.Env)
	env["PATH"] = strings.Join(append(slices.Clone(s.Path), env["PATH"]), ":")
	out := make([]string, 0, len(env))
	for _, k := range slices.Sorted(maps.Keys(env)) {
		out = append(out, k+"="+env[k])
	}
	return out
}
