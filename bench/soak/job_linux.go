// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/sandbox"
)

// user owns the workspaces; an ordinary one.
const user = 12345

// site is where the jobs run: one executor, and a workspace for each of those
// that run at the same time.
type site struct {
	dir        string
	runner     string
	x          *executor.Executor
	workspaces []string

	mu  sync.Mutex
	ids map[string]bool // of jobs whose control groups nobody has looked for yet
}

func newSite(dir, runner string, atOnce int) (*site, error) {
	s := &site{dir: dir, ids: map[string]bool{}, workspaces: make([]string, max(atOnce, 1))}
	for i := range s.workspaces {
		s.workspaces[i] = filepath.Join(dir, "ws-"+strconv.Itoa(i))
		if err := errors.Join(os.Mkdir(s.workspaces[i], 0o755), os.Lchown(s.workspaces[i], user, user)); err != nil {
			return nil, err
		}
	}
	var err error
	if s.runner, err = filepath.Abs(runner); err != nil {
		return nil, err
	}
	s.x, err = executor.New(executor.Config{StateDir: filepath.Join(dir, "state"), Home: "/nonexistent", Environ: []string{"PATH=/usr/bin:/bin"}})
	return s, err
}

// kind is a way in which a job lives and ends.
type kind struct {
	name    string
	script  string // N stands for the job's number
	network bool
	wall    time.Duration
	// once is called with the first output, or never.
	once  func(signals chan<- int, cancel func())
	grace time.Duration // 0 means 10 ms
	early bool          // cancelled at some moment of the start
	args  []string

	output string // N as above; empty: not looked at
	code   int    // -1: the number modulo 100
	signal string
	cause  sandbox.Cause
}

// offline are the kinds that cost the same each time.
func offline() []kind {
	return []kind{
		{name: "exits", script: "echo N; exit $((N % 100))", output: "N\n", code: -1, cause: sandbox.CauseExited},
		{
			name: "writes", script: `i=0; while [ $i -lt 200 ]; do echo "N says $i"; i=$((i+1)); done`,
			output: lines("N says %d\n", 200), cause: sandbox.CauseExited,
		},
		{name: "leaves processes", script: "sleep 300 & setsid sleep 300 & echo N", output: "N\n", cause: sandbox.CauseExited},
		{name: "kills itself", script: "echo N; kill -9 $$", output: "N\n", code: 137, signal: "SIGKILL", cause: sandbox.CauseSignalled},
		{name: "is not there", args: []string{"/no/such/program"}, code: 127, cause: sandbox.CauseNotStarted},
		{
			name: "is cancelled", script: "trap '' TERM; echo N; sleep 300", output: "N\n", code: 137, signal: "SIGKILL", cause: sandbox.CauseCancelled,
			once: func(_ chan<- int, cancel func()) { cancel() },
		},
		{
			name: "gets a signal", script: "echo N; while :; do sleep 1; done", output: "N\n", code: 138, signal: "SIGUSR1", cause: sandbox.CauseSignalled,
			once: func(signals chan<- int, _ func()) { signals <- int(syscall.SIGUSR1) },
		},
	}
}

// networked are kinds with a network, that look for a name of their own.
func networked() []kind {
	return []kind{
		{name: "asks for a name", network: true, script: "getent hosts job-N.example; echo N; exit $((N % 100))", output: "N\n", code: -1, cause: sandbox.CauseExited},
		{name: "is killed with a network", network: true, script: "getent hosts job-N.example; echo N; kill -9 $$", output: "N\n", code: 137, signal: "SIGKILL", cause: sandbox.CauseSignalled},
	}
}

func all() []kind {
	return slices.Concat(offline(), networked(), []kind{
		{name: "takes too long", script: "echo N; sleep 300", output: "N\n", wall: 2 * time.Second, grace: time.Minute, code: 124, signal: "SIGTERM", cause: sandbox.CauseTimeout},
		{name: "is cancelled at its start", early: true, script: "echo N", cause: sandbox.CauseCancelled},
		{name: "is cancelled at its start, with a network", early: true, network: true, script: "echo N", cause: sandbox.CauseCancelled},
	})
}

func lines(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// job runs job n in a workspace. The error says how it ended otherwise than its
// kind does.
func (s *site) job(ctx context.Context, workspace, n int, k kind) error {
	within, stop := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("took two minutes"))
	defer stop()
	within, cancel := context.WithCancel(within)
	defer cancel()
	number := strings.NewReplacer("N", strconv.Itoa(n))
	signals := make(chan int, 1)
	out := &output{}
	if k.once != nil {
		out.once = func() { k.once(signals, cancel) }
	}
	args := k.args
	if args == nil {
		args = []string{"sh", "-c", number.Replace(k.script)}
	}
	if k.early {
		time.AfterFunc(rand.N(40*time.Millisecond), cancel)
	}
	r, err := s.x.Exec(within, executor.Request{
		Policy: executor.Policy{NoNetwork: !k.network, Limits: sandbox.Limits{Wall: k.wall}},
		Args:   args, Dir: s.workspaces[workspace], Stdout: out, Stderr: out, Signals: signals, Grace: cmp.Or(k.grace, 10*time.Millisecond),
	})
	s.note(r.ID)
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("job %d, which %s: "+format, append([]any{n, k.name}, args...)...)
	}
	got := out.String()
	if k.early {
		// Before its start, in it, or too late.
		if !errors.Is(err, context.Canceled) && (err != nil || r.Cause != sandbox.CauseCancelled && (r.Cause != sandbox.CauseExited || r.ExitCode != 0 || got != number.Replace("N\n"))) {
			return wrong("%v, %s %d, %q", err, r.Cause, r.ExitCode, got)
		}
		return nil
	}
	code := k.code
	if code < 0 {
		code = n % 100
	}
	if err != nil || r.Cause != k.cause || r.ExitCode != code || r.Signal != k.signal || got != number.Replace(k.output) {
		return wrong("%v, %s %d %s, %.100q", err, r.Cause, r.ExitCode, r.Signal, got)
	}
	host := number.Replace("job-N.example")
	asked := false
	for _, e := range r.Egress.Events {
		asked = asked || e.Host == host
		if e.Host != host {
			return wrong("event of another job: %s", e.Host)
		}
	}
	if asked != k.network {
		return wrong("its question for %s is in the events: %v", host, asked)
	}
	return nil
}

func (s *site) note(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids[id] = true
}

// output is what a job wrote.
type output struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	once func()
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.once != nil {
		o.once()
		o.once = nil
	}
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
