// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/pairs"
	"github.com/zviz/run/internal/stamp"
	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/sandbox/seccomp"
)

// way is one way to start a program that prints when its first instruction ran.
type way struct {
	name    string
	start   func(ctx context.Context) (time.Duration, error) // from the request to that instruction
	budgets []budget
	samples []float64 // milliseconds
}

// compareWarm measures starts in this process, which is a runner as any, beside
// those of peers.
func compareWarm(ctx context.Context, _ string, rounds int, limit time.Duration, out io.Writer) (err error) {
	scratch, err := os.MkdirTemp("/var/tmp", "zviz-bench") // the sandbox has a /tmp of its own
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	program := filepath.Join(scratch, "stamp")
	if err := errors.Join(stamp.Write(program), os.Chmod(scratch, 0o755)); err != nil {
		return err
	}
	bundle, err := writeBundle(scratch, "/stamp")
	if err != nil {
		return err
	}
	if err := stamp.Write(filepath.Join(bundle, "rootfs", "stamp")); err != nil {
		return err
	}
	runs := 0
	runc := func() []string {
		runs++
		return []string{"runc", "--root", filepath.Join(scratch, "runc"), "run", "--bundle", bundle, "bench-warm-" + strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(runs)}
	}
	box := append(append(bwrap(), "--ro-bind", program, "/stamp"), "/stamp")
	ways := []*way{
		{name: "no sandbox", start: process(func() []string { return []string{program} })},
		{name: bwrapName, start: process(func() []string { return box })},
		{name: "runc run", start: process(runc)},
		{name: "everything at the request", start: atRequest(scratch, program), budgets: []budget{{bwrapName, 0.4}}},
	}
	for _, kind := range []struct {
		name   string
		policy executor.Policy
	}{{"prepared", executor.Policy{NoNetwork: true}}, {"prepared, with its network", executor.Policy{}}} {
		w, done, err := fromPool( //nolint:contextcheck // the pool lives on
			filepath.Join(scratch, kind.name), program, kind.policy)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, done()) }()
		ways = append(ways, &way{name: kind.name, start: w, budgets: []budget{{bwrapName, 0.15}, {"runc run", 0.04}}})
	}
	const warmUp = 3
	for i := range rounds + warmUp {
		for j := range ways {
			w := ways[(i+j)%len(ways)]
			if err := w.measure(ctx, limit, i >= warmUp); err != nil {
				return fmt.Errorf("%s, round %d: %w", w.name, i, err)
			}
		}
	}
	warmTable(out, ways, rounds)
	return nil
}

func (w *way) measure(ctx context.Context, limit time.Duration, counts bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	took, err := w.start(ctx)
	if err == nil && counts {
		w.samples = append(w.samples, float64(took.Microseconds())/1000)
	}
	return err
}

func warmTable(out io.Writer, ways []*way, rounds int) {
	fmt.Fprintf(out, "%d interleaved rounds, from the request to the first instruction of a static program; ratio of the medians with its bootstrap 95 %% interval\n\n", rounds)
	fmt.Fprintln(out, "| | median ms | p90 ms | ÷ | budget | |\n|---|---|---|---|---|---|")
	byName := map[string]*way{}
	for _, w := range ways {
		byName[w.name] = w
		fmt.Fprintf(out, "| %s | %.3f | %.3f | | | |\n", w.name, pairs.Quantile(w.samples, 0.5), pairs.Quantile(w.samples, 0.9))
		for _, b := range w.budgets {
			r := pairs.Ratio(w.samples, byName[b.peer].samples)
			fmt.Fprintf(out, "| | | | %s: %.3f (%.3f–%.3f) | ≤ %v | %s |\n", b.peer, r.Value, r.Low, r.High, b.most, r.AtMost(b.most))
		}
	}
}

// process starts a program as a process of its own.
func process(args func() []string) func(context.Context) (time.Duration, error) {
	return func(ctx context.Context) (time.Duration, error) {
		a := args()
		cmd := exec.CommandContext(ctx, a[0], a[1:]...)
		var out, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &stderr
		begin, err := stamp.Now()
		if err != nil {
			return 0, err
		}
		if err := cmd.Run(); err != nil {
			return 0, fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
		}
		at, err := stamp.Read(out.Bytes())
		return at - begin, err
	}
}

// atRequest makes a sandbox with a network namespace of its own and starts the
// program in it. What a runner knows of its machine is known before.
func atRequest(scratch, program string) func(context.Context) (time.Duration, error) {
	probe, failed := sandbox.Measure()
	root, err := sandbox.HostRoot([]string{"/usr", "/bin", "/lib", "/lib64", "/sbin", "/etc/alternatives", "/etc/ld.so.cache"})
	failed = errors.Join(failed, err)
	n := 0
	return func(ctx context.Context) (_ time.Duration, err error) {
		if failed != nil {
			return 0, failed
		}
		n++
		id := "warm-" + strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(n)
		begin, err := stamp.Now()
		if err != nil {
			return 0, err
		}
		dir := filepath.Join(scratch, id)
		if err := os.Mkdir(dir, 0o700); err != nil {
			return 0, err
		}
		s, err := sandbox.New(sandbox.Spec{
			ID: id, StateDir: dir, Home: "/home/job", Hostname: "zviz", Root: root, Profile: seccomp.CI(),
			Mounts: []sandbox.Mount{{Source: program, Target: "/stamp", File: true}},
			IDs:    sandbox.MapRange(0x6f000000, 65536, 1000, 1000),
			Limits: sandbox.Limits{MemoryBytes: 1 << 30, Pids: 256},
		}, probe)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, s.Close(), os.RemoveAll(dir)) }()
		var out bytes.Buffer
		p, err := s.Start(ctx, &sandbox.Cmd{Args: []string{"/stamp"}, Dir: "/", Stdout: &out})
		if err != nil {
			return 0, err
		}
		if _, err := p.Wait(); err != nil {
			return 0, err
		}
		at, err := stamp.Read(out.Bytes())
		return at - begin, err
	}
}

// fromPool starts the program as the first step of a job, in a cell that was ready.
func fromPool(state, program string, policy executor.Policy) (_ func(context.Context) (time.Duration, error), done func() error, err error) {
	x, err := executor.New(executor.Config{StateDir: state, Home: "/nonexistent", Environ: []string{"PATH=/usr/bin:/bin"}})
	if err != nil {
		return nil, nil, err
	}
	image, err := os.ReadFile(program)
	if err != nil {
		return nil, nil, err
	}
	pool, err := x.NewPool(executor.CellRequest{Policy: policy}, 4)
	if err != nil {
		return nil, nil, err
	}
	inside := executor.RunnerWork + "/stamp"
	return func(ctx context.Context) (_ time.Duration, err error) {
		for s := pool.State(); s.Ready < s.Size; s = pool.State() {
			if err := errors.Join(s.Err, context.Cause(ctx)); err != nil {
				return 0, err
			}
			time.Sleep(time.Millisecond)
		}
		cell, err := pool.Take(ctx, executor.JobRequest{})
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, cell.Close()) }() //nolint:contextcheck // tear-down outlives the context
		if err := cell.WriteFile(inside, image, 0o755); err != nil {
			return 0, err
		}
		var out bytes.Buffer
		begin, err := stamp.Now()
		if err != nil {
			return 0, err
		}
		res, err := cell.Run(ctx, executor.Step{Args: []string{inside}, Dir: executor.RunnerWork, Stdout: &out})
		if err != nil {
			return 0, err
		}
		if res.ExitCode != 0 {
			return 0, fmt.Errorf("exit code %d, %w", res.ExitCode, res.StartErr)
		}
		at, err := stamp.Read(out.Bytes())
		return at - begin, err
	}, pool.Close, nil
}
