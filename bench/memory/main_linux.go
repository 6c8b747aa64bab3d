// SPDX-License-Identifier: Apache-2.0

// Command memory measures what one more sandbox costs in a runner that has a
// hundred, of its own memory and of the kernel's, and what a runner at rest has.
//
//	go run ./bench/memory -rounds 5
//
// It is the runner itself: it runs its sandboxes with package executor, as
// zviz-runner does. See bench/README.md for the method. Needs root.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// What was made is removed when somebody has seen enough.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("memory", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var p plan
	flags.StringVar(&p.runner, "runner", "bin/zviz-runner", "the runner, of which one process with one job is measured")
	flags.IntVar(&p.rounds, "rounds", 5, "how often each kind is opened and closed")
	flags.IntVar(&p.few, "few", 50, "sandboxes at the first measure of a round")
	flags.IntVar(&p.many, "many", 100, "sandboxes at the second")
	flags.BoolVar(&p.slabs, "slabs", false, "show which caches of the kernel grow")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if p.rounds < 3 || p.few < 1 || p.many <= p.few {
		fmt.Fprintln(stderr, "error: want at least three rounds, and 0 < few < many")
		return 2
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(stderr, "error: only root sees the memory of process 1 of a sandbox")
		return 2
	}
	if err := p.measure(ctx, stdout); err != nil {
		fmt.Fprintf(stderr, "error: %v\n", err)
		return 1
	}
	return 0
}
