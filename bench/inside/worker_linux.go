// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// program is this program's name in the workspace: inside there is no other way to
// it.
const program = "bench-worker"

// worker is a process of this program that takes orders.
type worker struct {
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
}

func startNative(ctx context.Context, workspace string) (*worker, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(workspace, program), "-work", workspace)
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	}
	return startWorker("outside", cmd, workspace, "")
}

func startInside(ctx context.Context, runner, workspace, state string) (*worker, error) {
	runner, err := filepath.Abs(runner)
	if err != nil {
		return nil, err
	}
	return startWorker("inside", exec.CommandContext(ctx, runner, "exec", "--no-network", "--quiet", "--",
		filepath.Join(workspace, program), "-work", workspace), workspace, state)
}

func startWorker(name string, cmd *exec.Cmd, workspace, state string) (*worker, error) {
	cmd.Dir = workspace
	cmd.Env = environment()
	if state != "" {
		cmd.Env = append(cmd.Env, "ZVIZ_STATE_DIR="+state)
	}
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // the runner puts its things away
	cmd.WaitDelay = 5 * time.Second
	w := &worker{name: name, cmd: cmd}
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		return nil, err
	}
	w.in, w.out = in, bufio.NewReader(out)
	return w, nil
}

// environment is what the tools need and nothing of the operator's: no settings of
// git's or npm's make one side another.
func environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C"}
}

// do has the worker do a work once and returns what its watch says.
func (w *worker) do(name string) (c cost, err error) {
	if _, err := fmt.Fprintln(w.in, name); err != nil {
		return c, fmt.Errorf("%s: %w", w.name, err)
	}
	line, err := w.out.ReadString('\n')
	if err != nil {
		return c, fmt.Errorf("%s, %s: %w", w.name, name, err)
	}
	if _, err := fmt.Sscanf(line, "%d %d\n", &c.wall, &c.cpu); err != nil {
		return c, fmt.Errorf("%s, %s: %s", w.name, name, strings.TrimSpace(line))
	}
	return c, nil
}

func (w *worker) stop() error { return errors.Join(w.in.Close(), w.cmd.Wait()) }

// serve is the worker's side: an order a line, the answer two numbers or what went wrong.
func serve(ctx context.Context, dir string, in io.Reader, out io.Writer) error {
	// Neither the collector nor another thread's turn may fall into a measure.
	debug.SetGCPercent(-1)
	runtime.LockOSThread()
	known := map[string]func() (cost, error){}
	for _, f := range fileWork() {
		known[f.name] = func() (cost, error) { return f.run(ctx, dir) }
	}
	for _, c := range calls() {
		known[c.name] = func() (cost, error) { return c.run(dir) }
	}
	orders := bufio.NewScanner(in)
	for orders.Scan() {
		do, ok := known[orders.Text()]
		if !ok {
			return fmt.Errorf("bug: unknown order %q", orders.Text())
		}
		runtime.GC()
		took, err := do()
		if err != nil {
			// A line: tools say more.
			_, err = fmt.Fprintln(out, strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			_, err = fmt.Fprintln(out, took.wall, took.cpu)
		}
		if err != nil {
			return err
		}
	}
	return orders.Err()
}
