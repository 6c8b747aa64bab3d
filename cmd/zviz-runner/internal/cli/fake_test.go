// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/sandbox"
)

// fake stands for the executor where the outcome is what matters: an outcome
// like "killed by the memory limit" cannot be had everywhere.
type fake struct {
	request executor.Request
	exec    func(context.Context, executor.Request) (executor.Report, error)
	probe   sandbox.Probe
}

func (f *fake) Exec(ctx context.Context, r executor.Request) (executor.Report, error) {
	f.request = r
	if f.exec == nil {
		return executor.Report{Cause: sandbox.CauseExited}, nil
	}
	return f.exec(ctx, r)
}

func (f *fake) Plan(_ context.Context, r executor.Request) (string, error) {
	f.request = r
	return "the plan\n", nil
}

func (f *fake) Presets(_ context.Context, names []string, _ []sandbox.Layer) ([]egress.Preset, error) {
	var out []egress.Preset
	for _, name := range names {
		out = append(out, egress.Preset{Name: name, Rules: []egress.Rule{{
			Host: name + ".registry.test", Ports: []uint16{443}, TLS: egress.TLSTerminate, Methods: []string{"GET", "HEAD"}, Preset: name, Origin: name + " config",
		}}})
	}
	return out, nil
}

func (f *fake) Probe(context.Context) (sandbox.Probe, error) { return f.probe, nil }

// cmdline runs the command line in a folder of its own.
type cmdline struct {
	newRunner func(executor.Config) (runner, error) // nil: the fake

	*fake
	t        *testing.T
	root     string // holds home, ws and state
	ws       string
	env      []string
	in       *os.File
	code     int
	out, err string
}

func newCmdline(t *testing.T, env ...string) *cmdline {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := &cmdline{fake: &fake{}, t: t, root: root, ws: filepath.Join(root, "ws")}
	for _, d := range []string{"ws", "home"} {
		if err := os.Mkdir(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c.env = append(env, "HOME="+filepath.Join(root, "home"), "ZVIZ_STATE_DIR="+filepath.Join(root, "state"))
	t.Chdir(c.ws)
	return c
}

// write makes a file below the root and returns its name.
func (c *cmdline) write(name, text string) string {
	c.t.Helper()
	path := filepath.Join(c.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
	return path
}

// run runs zviz-runner with the arguments, which are split at blanks.
func (c *cmdline) run(args string) { c.runArgs(strings.Fields(args)...) }

func (c *cmdline) runArgs(args ...string) {
	c.t.Helper()
	in := c.in
	if in == nil {
		var err error
		if in, err = os.Open(os.DevNull); err != nil {
			c.t.Fatal(err)
		}
		defer in.Close()
	}
	outR, outW := pipe(c.t)
	errR, errW := pipe(c.t)
	a := app{
		System: System{Args: append([]string{"zviz-runner"}, args...), In: in, Out: outW, Err: errW, Env: c.env},
		newRunner: func(executor.Config) (runner, error) {
			return c.fake, nil
		},
	}
	if c.newRunner != nil {
		a.newRunner = c.newRunner
	}
	out, err := collect(outR), collect(errR)
	c.code = a.main()
	outW.Close()
	errW.Close()
	c.out, c.err = <-out, <-err
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

func collect(r *os.File) <-chan string {
	ch := make(chan string, 1)
	go func() {
		var b bytes.Buffer
		_, _ = io.Copy(&b, r)
		r.Close()
		ch <- b.String()
	}()
	return ch
}
