// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox"
)

// newPool makes a pool in a state folder of its own, which must be without jobs at
// the end.
func newPool(t *testing.T, kind executor.CellRequest, size int) (*executor.Pool, string) {
	t.Helper()
	testenv.NeedRoot(t)
	state, err := os.MkdirTemp("/var/tmp", "zviz-pool") //nolint:usetesting // the sandbox has a /tmp of its own
	if err != nil {
		t.Fatal(err)
	}
	x, err := executor.New(executor.Config{StateDir: state, Environ: []string{"PATH=/usr/bin:/bin"}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := x.NewPool(kind, size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if left, _ := filepath.Glob(filepath.Join(state, "jobs", "*")); len(left) > 0 {
			t.Errorf("left %q", left)
		}
		_ = os.RemoveAll(state)
	})
	return p, state
}

func filled(t *testing.T, p *executor.Pool) {
	t.Helper()
	for range 12000 {
		s := p.State()
		if s.Ready == s.Size {
			return
		}
		if s.Err != nil {
			t.Fatal(s.Err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("the pool does not fill: %+v", p.State())
}

func runIn(t *testing.T, cell *executor.Cell, script string) string {
	t.Helper()
	out, res := step(t, cell, script)
	if res.ExitCode != 0 {
		t.Errorf("%s: exit %d, %q", script, res.ExitCode, out)
	}
	return out
}

// What a job leaves in its cell is not in the next one, and no cell is used twice.
func TestPoolGivesEachJobItsOwn(t *testing.T) {
	p, _ := newPool(t, executor.CellRequest{}, 2)
	for i := range 5 {
		filled(t, p)
		var events []egress.Event
		var mu sync.Mutex
		secret := fmt.Sprintf("job-%d.example", i)
		cell, err := p.Take(t.Context(), executor.JobRequest{Secrets: []string{secret}, Observe: func(e egress.Event) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, e)
		}})
		if err != nil {
			t.Fatal(err)
		}
		runIn(t, cell, "test ! -e mark && test ! -e ~/mark && test ! -e /tmp/mark && touch mark ~/mark /tmp/mark")
		runIn(t, cell, "test -e mark && test -e ~/mark && test -e /tmp/mark") // a second step, not prepared
		runIn(t, cell, "getent hosts "+secret+" || true")
		mu.Lock()
		if len(events) == 0 || strings.Contains(fmt.Sprint(events), secret) {
			t.Errorf("job %d: events %v, want some of its own, masked", i, events)
		}
		mu.Unlock()
		if err := cell.Close(); err != nil {
			t.Error(err)
		}
	}
	if s := p.State(); s.Prepared != 5 || s.Late != 0 {
		t.Errorf("got %+v, want five prepared", s)
	}
}

func TestPoolExhausted(t *testing.T) {
	p, _ := newPool(t, executor.CellRequest{Policy: executor.Policy{NoNetwork: true}}, 1)
	filled(t, p)
	var cells []*executor.Cell
	for range 4 {
		cell, err := p.Take(t.Context(), executor.JobRequest{})
		if err != nil {
			t.Fatal(err)
		}
		cells = append(cells, cell)
	}
	s := p.State()
	if s.Prepared+s.Late != 4 || s.Prepared < 1 || s.Late < 1 {
		t.Errorf("got %+v, want both prepared and late ones", s)
	}
	for _, cell := range cells {
		runIn(t, cell, "test ! -e mark && touch mark")
		if err := cell.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A first process that died while it waited costs the job nothing but time.
func TestPoolSurvivesItsProcesses(t *testing.T) {
	p, state := newPool(t, executor.CellRequest{Policy: executor.Policy{NoNetwork: true}}, 1)
	filled(t, p)
	jobs, err := os.ReadDir(filepath.Join(state, "jobs"))
	if err != nil || len(jobs) != 1 {
		t.Fatalf("jobs %v (%v)", jobs, err)
	}
	probe, err := sandbox.Measure()
	if err != nil {
		t.Fatal(err)
	}
	procs := filepath.Join(probe.Cgroups.V2, "zviz-"+jobs[0].Name(), "zviz-step-1", "cgroup.procs")
	pid := 0
	b, err := os.ReadFile(procs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(b), &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		if b, err = os.ReadFile(procs); err != nil {
			t.Fatal(err)
		}
	}
	cell, err := p.Take(t.Context(), executor.JobRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if out := runIn(t, cell, "echo ran"); out != "ran\n" {
		t.Errorf("got %q", out)
	}
	if err := cell.Close(); err != nil {
		t.Error(err)
	}
}

func TestPoolBounds(t *testing.T) {
	testenv.NeedRoot(t)
	x, err := executor.New(executor.Config{StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{-1, 0, executor.PoolMost + 1} {
		if _, err := x.NewPool(executor.CellRequest{}, size); err == nil {
			t.Errorf("a pool of %d", size)
		}
	}
}

// TestPoolWrittenProgram: a program that the runner puts there can be run at once,
// although other cells are made at the same time.
func TestPoolWrittenProgram(t *testing.T) {
	p, _ := newPool(t, executor.CellRequest{Policy: executor.Policy{NoNetwork: true}}, 4)
	for range 40 {
		cell, err := p.Take(t.Context(), executor.JobRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "b", "c"} {
			name = executor.RunnerWork + "/" + name
			if err := cell.WriteFile(name, []byte("#!/bin/sh\necho ran\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			var out buffer
			res, err := cell.Run(t.Context(), executor.Step{Args: []string{name}, Dir: executor.RunnerWork, Stdout: &out})
			if err != nil || res.ExitCode != 0 || out.String() != "ran\n" {
				t.Errorf("%+v, %v: %q", res, err, out.String())
			}
		}
		if err := cell.Close(); err != nil {
			t.Error(err)
		}
	}
}
