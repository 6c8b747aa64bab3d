// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/zviz/run/executor"
)

// field is where the sandboxes are.
type field struct {
	dir string
	x   *executor.Executor

	mu   sync.Mutex
	made int // workspaces
}

// command is what each of them runs.
func command() []string { return []string{"sleep", "infinity"} }

// errEnough ends a sandbox.
var errEnough = errors.New("measured")

// startLimit is how long all of a round may take to start.
const startLimit = 2 * time.Minute

// sandboxes returns a function that starts so many, and one that ends them.
func (f *field) sandboxes(network bool) func(context.Context, int) (func() error, error) {
	return func(ctx context.Context, n int) (stop func() error, err error) {
		ctx, cancel := context.WithCancelCause(ctx)
		ended := make(chan error, n)
		running := 0
		stop = func() error {
			cancel(errEnough)
			var errs []error
			for range running {
				errs = append(errs, <-ended)
			}
			return errors.Join(errs...)
		}
		for range n {
			dir, err := f.workspace()
			if err != nil {
				return nil, errors.Join(err, stop())
			}
			up := make(chan struct{})
			once := sync.OnceFunc(func() { close(up) })
			running++
			go func() {
				_, err := f.x.Exec(ctx, executor.Request{
					Policy: executor.Policy{NoNetwork: !network}, Args: command(), Dir: dir, Grace: 10 * time.Millisecond,
					Phase: func(phase string) {
						if phase == "" {
							once()
						}
					},
				})
				if errors.Is(err, errEnough) {
					err = nil // it was still starting
				}
				ended <- err
			}()
			select {
			case <-up:
			case err := <-ended:
				running--
				return nil, errors.Join(err, errors.New("a sandbox ended by itself"), stop())
			case <-time.After(startLimit):
				return nil, errors.Join(errors.New("a sandbox does not start"), stop())
			}
		}
		return stop, nil
	}
}

// workspace makes one for a sandbox.
func (f *field) workspace() (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	dir := filepath.Join(f.dir, "ws-"+strconv.Itoa(f.made))
	f.made++
	return dir, os.Mkdir(dir, 0o755)
}

// native starts the command so often without a sandbox.
func (f *field) native(ctx context.Context, n int) (stop func() error, err error) {
	var all []*exec.Cmd
	stop = func() error {
		var errs []error
		for _, cmd := range all {
			errs = append(errs, cmd.Process.Kill())
			_ = cmd.Wait() // by our signal
		}
		return errors.Join(errs...)
	}
	args := command()
	for range n {
		cmd := exec.CommandContext(context.WithoutCancel(ctx), args[0], args[1:]...)
		if err := cmd.Start(); err != nil {
			return nil, errors.Join(err, stop())
		}
		all = append(all, cmd)
	}
	return stop, nil
}

// process returns the PSS of a runner that is a process, with one command in it.
func (f *field) process(ctx context.Context, runner string) (_ int64, err error) {
	dir, err := f.workspace()
	if err != nil {
		return 0, err
	}
	if runner, err = filepath.Abs(runner); err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, runner, "exec", "--no-network", "--quiet", "--", "sh", "-c", "echo up; cat")
	cmd.Dir = dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=/nonexistent", "ZVIZ_STATE_DIR=" + filepath.Join(f.dir, "state")}
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		return 0, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	var size int64
	if err == nil && line != "up\n" {
		err = fmt.Errorf("said %q", line)
	}
	if err == nil {
		time.Sleep(time.Second) // what the start needed is let go
		size, err = pss(cmd.Process.Pid)
	}
	return size, errors.Join(err, in.Close(), cmd.Wait())
}
