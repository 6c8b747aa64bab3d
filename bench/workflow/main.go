// SPDX-License-Identifier: Apache-2.0

// Command workflow measures how long `zviz-runner run` takes for workflows that do
// nearly nothing, beside act, and whether each job and each step costs the same however
// many there are.
//
//	go run ./bench/workflow -runner bin/zviz-runner
//
// See bench/README.md for the method.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// options are those of the command line.
type options struct {
	runner, act string
	rounds      int
	most        time.Duration
	limit       time.Duration
	only        string
}

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("workflow", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var o options
	flags.StringVar(&o.runner, "runner", "bin/zviz-runner", "the runner to measure")
	flags.StringVar(&o.act, "act", "act", "the act beside it: a path, or a name in PATH")
	flags.IntVar(&o.rounds, "rounds", 40, "rounds of each work")
	flags.DurationVar(&o.most, "most", 30*time.Second, "for one work; what has fewer than thirty rounds by then is undecided")
	flags.DurationVar(&o.limit, "timeout", 5*time.Minute, "for one run")
	flags.StringVar(&o.only, "only", "", "only works whose name holds this, and the memory if it is 'memory'")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if o.rounds < enough {
		fmt.Fprintf(stderr, "error: fewer than %d rounds say nothing\n", enough)
		return 2
	}
	if err := measure(context.Background(), o, stdout); err != nil {
		fmt.Fprintf(stderr, "error: %v\n", err)
		return 1
	}
	return 0
}

func measure(ctx context.Context, o options, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p, err := newPlace(ctx, dir)
	if err != nil {
		return err
	}
	tools, err := findTools(o)
	if err != nil {
		return err
	}
	works := works()
	for i := range works {
		w := &works[i]
		if !strings.Contains(w.name, o.only) {
			continue
		}
		if err := w.measure(ctx, p, tools, o); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	report(out, works, tools)
	if o.only == "" || o.only == "memory" {
		return memory(ctx, p, tools[0], o, out)
	}
	return nil
}
