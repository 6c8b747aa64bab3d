// SPDX-License-Identifier: Apache-2.0

// Command inside measures what work costs inside a sandbox against the same work
// outside: file work in the workspace, and system calls.
//
//	go run ./bench/inside -runner bin/zviz-runner -most 15s
//
// Two processes of this program take turns, one of them in a sandbox. Each stops
// its own watch, so neither the start of the sandbox nor the way to it is in a
// figure. See bench/README.md for the method.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/pairs"
)

func main() {
	// What was made is removed when somebody has seen enough.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("inside", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var p plan
	flags.StringVar(&p.runner, "runner", "bin/zviz-runner", "the runner to measure")
	flags.IntVar(&p.rounds, "rounds", 400, "most rounds of one work, at least 30")
	flags.DurationVar(&p.most, "most", 15*time.Second, "begin no further round of one work after so long")
	flags.StringVar(&p.only, "only", "", "only work whose name contains this")
	work := flags.String("work", "", "set by the program itself: take orders for work in this folder")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	var err error
	switch {
	case *work != "":
		err = serve(ctx, *work, stdin, stdout)
	case p.rounds < leastRounds:
		fmt.Fprintf(stderr, "error: fewer than %d rounds say nothing\n", leastRounds)
		return 2
	default:
		err = compare(ctx, p, stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "error: %v\n", err)
		return 1
	}
	return 0
}

// plan is what is measured.
type plan struct {
	runner string
	rounds int
	most   time.Duration
	only   string // part of a name; empty for all
}

const leastRounds = 30

// The budgets: the speed of file work against the same outside, and the time of a
// system call.
const (
	budgetFiles  = 0.97
	budgetCall   = 1.25
	budgetOpened = 1.05
)

func compare(ctx context.Context, p plan, out io.Writer) (err error) {
	// Both work in the same folder of the same disk, one after the other.
	dir, err := os.MkdirTemp("/var/tmp", "zviz-inside-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	workspace := filepath.Join(dir, "work")
	if err := os.Mkdir(workspace, 0o755); err != nil {
		return err
	}
	missing, err := prepare(ctx, workspace)
	if err != nil {
		return err
	}
	if err := give(dir, workspace); err != nil {
		return err
	}
	native, err := startNative(ctx, workspace)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, native.stop()) }()
	inside, err := startInside(ctx, p.runner, workspace, filepath.Join(dir, "state"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, inside.stop()) }()

	if err := compareFiles(native, inside, workspace, missing, p, out); err != nil {
		return err
	}
	return compareCalls(native, inside, p, out)
}

// user owns the workspace and works outside. As root tar and npm do more: they give
// each file to somebody. Inside, the job has the rights of the workspace's owner.
const user = 12345

// give gives the workspace, with all that is in it, to the user; who is no root
// works as himself.
func give(dir, workspace string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	if err := os.Chmod(dir, 0o711); err != nil { // to be passed through
		return err
	}
	return filepath.WalkDir(workspace, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, user, user))
	})
}

func compareFiles(native, inside *worker, workspace string, missing map[string]string, p plan, out io.Writer) error {
	fmt.Fprint(out, "file work in the workspace; speed inside ÷ outside, ratio of the medians with its bootstrap 95 % interval\n\n"+
		"| | rounds | outside ms | inside ms | speed | budget | | CPU time inside ÷ outside |\n|---|---|---|---|---|---|---|---|\n")
	for _, job := range fileWork() {
		if !strings.Contains(job.name, p.only) {
			continue
		}
		if why := missing[job.tool]; why != "" {
			fmt.Fprintf(out, "| %s | – | – | – | – | ≥ %.2f | not measured: %s | – |\n", job.name, budgetFiles, why)
			continue
		}
		t, err := inTurns(native, inside, job.name, p.rounds, p.most, func() error { return syncDisk(workspace) })
		if err != nil {
			return err
		}
		a, b := t.walls()
		r := pairs.Ratio(a, b)
		verdict := r.AtLeast(budgetFiles)
		if len(a) < leastRounds {
			verdict = fmt.Sprintf("undecided: fewer than %d rounds", leastRounds)
		}
		cpuA, cpuB := t.cpus()
		cpu := pairs.Ratio(cpuB, cpuA)
		fmt.Fprintf(out, "| %s | %d | %.2f | %.2f | %.3f (%.3f–%.3f) | ≥ %.2f | %s | %.3f (%.3f–%.3f) |\n", job.name, len(a),
			pairs.Quantile(a, 0.5)/1e6, pairs.Quantile(b, 0.5)/1e6, r.Value, r.Low, r.High, budgetFiles, verdict, cpu.Value, cpu.Low, cpu.High)
	}
	return nil
}

func compareCalls(native, inside *worker, p plan, out io.Writer) error {
	fmt.Fprint(out, "\nsystem calls; time inside ÷ outside\n\n| | rounds | outside ns | inside ns | ratio | budget | |\n|---|---|---|---|---|---|---|\n")
	for _, call := range calls() {
		if !strings.Contains(call.name, p.only) {
			continue
		}
		t, err := inTurns(native, inside, call.name, p.rounds, p.most, func() error { return nil })
		if err != nil {
			return err
		}
		a, b := t.walls()
		r := pairs.Ratio(b, a)
		fmt.Fprintf(out, "| %s | %d | %.1f | %.1f | %.3f (%.3f–%.3f) | ≤ %.2f | %s |\n", call.name, len(a),
			pairs.Quantile(a, 0.5)/float64(call.times), pairs.Quantile(b, 0.5)/float64(call.times), r.Value, r.Low, r.High, call.budget, r.AtMost(call.budget))
	}
	return nil
}

// turns are the costs outside and inside, in pairs.
type turns struct{ outside, inside []cost }

func (t turns) walls() (outside, inside []float64) {
	return t.of(func(c cost) int64 { return c.wall })
}

func (t turns) cpus() (outside, inside []float64) {
	return t.of(func(c cost) int64 { return c.cpu })
}

func (t turns) of(figure func(cost) int64) (outside, inside []float64) {
	for i := range t.outside {
		outside, inside = append(outside, float64(figure(t.outside[i]))), append(inside, float64(figure(t.inside[i])))
	}
	return outside, inside
}

// inTurns has both do a work so often, but begins no round after most. Before each
// one the disk is made quiet. Each round begins with the other one.
func inTurns(native, inside *worker, name string, rounds int, most time.Duration, quiet func() error) (t turns, err error) {
	const warmUp = 2
	begin := time.Now()
	for i := range rounds + warmUp {
		if i > warmUp && time.Since(begin) > most {
			break
		}
		order := []*worker{native, inside}
		if i%2 == 1 {
			order = []*worker{inside, native}
		}
		took := map[*worker]cost{}
		for _, w := range order {
			if err := quiet(); err != nil {
				return t, err
			}
			if took[w], err = w.do(name); err != nil {
				return t, err
			}
		}
		if i >= warmUp {
			t.outside, t.inside = append(t.outside, took[native]), append(t.inside, took[inside])
		}
	}
	return t, nil
}

// syncDisk writes out what the disk of a folder has to write, so that the next
// measure does not pay for the last one.
func syncDisk(dir string) (err error) {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd())))
}
