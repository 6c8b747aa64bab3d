// SPDX-License-Identifier: Apache-2.0

// Command inside measures what work costs inside a sandbox against the same work
// outside: file work in the workspace, and system calls.
//
//	go run ./bench/inside -runner bin/zviz-runner -rounds 30
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
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/pairs"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("inside", flag.ContinueOnError)
	flags.SetOutput(stderr)
	runner := flags.String("runner", "bin/zviz-runner", "the runner to measure")
	rounds := flags.Int("rounds", 30, "rounds of file work, at least 30; of system calls there are ten times as many")
	most := flags.Duration("most", 2*time.Minute, "begin no further work after so long, once it has 30 rounds")
	work := flags.String("work", "", "set by the program itself: take orders for work in this folder")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	var err error
	switch {
	case *work != "":
		err = serve(ctx, *work, stdin, stdout)
	case *rounds < leastRounds:
		fmt.Fprintf(stderr, "error: fewer than %d rounds say nothing\n", leastRounds)
		return 2
	default:
		err = compare(ctx, *runner, *rounds, *most, stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "error: %v\n", err)
		return 1
	}
	return 0
}

const leastRounds = 30

// The budgets: the speed of file work against the same outside, and the time of a
// system call.
const (
	budgetFiles  = 0.97
	budgetCall   = 1.25
	budgetOpened = 1.05
)

func compare(ctx context.Context, runner string, rounds int, most time.Duration, out io.Writer) (err error) {
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
	native, err := startNative(ctx, workspace)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, native.stop()) }()
	inside, err := startInside(ctx, runner, workspace, filepath.Join(dir, "state"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, inside.stop()) }()

	fmt.Fprint(out, "file work in the workspace; speed inside ÷ outside, ratio of the medians with its bootstrap 95 % interval\n\n"+
		"| | outside ms | inside ms | speed | budget | |\n|---|---|---|---|---|---|\n")
	deadline := time.Now().Add(most)
	for _, job := range fileWork() {
		if why := missing[job.tool]; why != "" {
			fmt.Fprintf(out, "| %s | – | – | – | ≥ %.2f | not measured: %s |\n", job.name, budgetFiles, why)
			continue
		}
		a, b, err := inTurns(native, inside, job.name, rounds, deadline, func() error { return syncDisk(workspace) })
		if err != nil {
			return err
		}
		r := pairs.Ratio(a, b)
		fmt.Fprintf(out, "| %s | %.2f | %.2f | %.3f (%.3f–%.3f) | ≥ %.2f | %s |\n", job.name,
			pairs.Quantile(a, 0.5)/1e6, pairs.Quantile(b, 0.5)/1e6, r.Value, r.Low, r.High, budgetFiles, r.AtLeast(budgetFiles))
	}

	fmt.Fprint(out, "\nsystem calls; time inside ÷ outside\n\n| | outside ns | inside ns | ratio | budget | |\n|---|---|---|---|---|---|\n")
	for _, call := range calls() {
		a, b, err := inTurns(native, inside, call.name, 10*rounds, time.Time{}, func() error { return nil })
		if err != nil {
			return err
		}
		r := pairs.Ratio(b, a)
		fmt.Fprintf(out, "| %s | %.1f | %.1f | %.3f (%.3f–%.3f) | ≤ %.2f | %s |\n", call.name,
			pairs.Quantile(a, 0.5)/float64(call.times), pairs.Quantile(b, 0.5)/float64(call.times), r.Value, r.Low, r.High, call.budget, r.AtMost(call.budget))
	}
	return nil
}

// inTurns has both do a work so often and returns the times, ns. Before each one the
// disk is made quiet. Each round begins with the other one.
func inTurns(native, inside *worker, name string, rounds int, deadline time.Time, quiet func() error) (a, b []float64, err error) {
	const warmUp = 2
	for i := range rounds + warmUp {
		if i >= leastRounds+warmUp && !deadline.IsZero() && time.Now().After(deadline) {
			break
		}
		order := []*worker{native, inside}
		if i%2 == 1 {
			order = []*worker{inside, native}
		}
		took := map[*worker]float64{}
		for _, w := range order {
			if err := quiet(); err != nil {
				return nil, nil, err
			}
			if took[w], err = w.do(name); err != nil {
				return nil, nil, err
			}
		}
		if i >= warmUp {
			a, b = append(a, took[native]), append(b, took[inside])
		}
	}
	return a, b, nil
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
