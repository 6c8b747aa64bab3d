// SPDX-License-Identifier: Apache-2.0

// Command start measures how long a sandbox takes to run /bin/true, from the
// start of the process to its end, beside other tools that are installed.
//
//	go run ./bench/start -runner bin/zviz-runner -rounds 40
//
// See bench/README.md for the method.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/zviz/run/internal/pairs"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("start", flag.ContinueOnError)
	flags.SetOutput(stderr)
	runner := flags.String("runner", "bin/zviz-runner", "the runner to measure")
	rounds := flags.Int("rounds", 40, "rounds; each one starts every peer once")
	limit := flags.Duration("timeout", 20*time.Second, "for one start")
	warm := flags.Bool("warm", false, "measure the start inside a runner that runs already, up to the first instruction of the command")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *rounds < 30 {
		fmt.Fprintln(stderr, "error: fewer than 30 rounds say nothing")
		return 2
	}
	measure := compare
	if *warm {
		measure = compareWarm
	}
	if err := measure(context.Background(), *runner, *rounds, *limit, stdout); err != nil {
		fmt.Fprintf(stderr, "error: %v\n", err)
		return 1
	}
	return 0
}

func compare(ctx context.Context, runner string, rounds int, limit time.Duration, out io.Writer) (err error) {
	scratch, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer func() {
		detachLeft(scratch)
		_ = os.RemoveAll(scratch) // a leftover in the temporary folder
	}()

	all, err := peers(runner, scratch)
	if err != nil {
		return err
	}
	var ready []*peer
	for _, p := range all {
		if p.missing == "" {
			if _, err := p.start(ctx, scratch, limit); err != nil {
				p.missing = err.Error()
			}
		}
		if p.missing == "" {
			ready = append(ready, p)
		} else if p.ours {
			return fmt.Errorf("%s: %s", p.name, p.missing)
		}
	}

	const warmUp = 3
	for i := range rounds + warmUp {
		// Each round starts at another peer, so that none always follows the same one.
		for j := range ready {
			p := ready[(i+j)%len(ready)]
			s, err := p.start(ctx, scratch, limit)
			if err != nil {
				return fmt.Errorf("%s, round %d: %w", p.name, i, err)
			}
			if i >= warmUp {
				p.samples = append(p.samples, s)
			}
		}
	}
	table(out, all, rounds)
	verdicts(out, all)
	return nil
}

func table(out io.Writer, all []*peer, rounds int) {
	base := all[0]
	fmt.Fprintf(out, "%d interleaved rounds of /bin/true; ratio of the medians with its bootstrap 95 %% interval\n\n", rounds)
	fmt.Fprintln(out, "| | median ms | p90 ms | CPU ms | "+base.name+" ÷ it |")
	fmt.Fprintln(out, "|---|---|---|---|---|")
	for _, p := range all {
		if p.missing != "" {
			fmt.Fprintf(out, "| %s | – | – | – | not measured: %s |\n", p.name, p.missing)
			continue
		}
		ratio := "1"
		if p != base {
			r := pairs.Ratio(walls(base.samples), walls(p.samples))
			ratio = fmt.Sprintf("%.2f (%.2f–%.2f)", r.Value, r.Low, r.High)
		}
		w := walls(p.samples)
		fmt.Fprintf(out, "| %s | %.2f | %.2f | %.2f | %s |\n", p.name, pairs.Quantile(w, 0.5), pairs.Quantile(w, 0.9), pairs.Quantile(cpus(p.samples), 0.5), ratio)
	}
}

// verdicts says of each budget whether it is met.
func verdicts(out io.Writer, all []*peer) {
	fmt.Fprintln(out, "\n| | ÷ | ratio | budget | |\n|---|---|---|---|---|")
	for _, p := range all {
		for _, b := range p.budgets {
			i := slices.IndexFunc(all, func(q *peer) bool { return q.name == b.peer })
			if i < 0 || all[i].missing != "" {
				fmt.Fprintf(out, "| %s | %s | – | ≤ %v | not measured |\n", p.name, b.peer, b.most)
				continue
			}
			r := pairs.Ratio(walls(p.samples), walls(all[i].samples))
			fmt.Fprintf(out, "| %s | %s | %.2f (%.2f–%.2f) | ≤ %v | %s |\n", p.name, b.peer, r.Value, r.Low, r.High, b.most, r.AtMost(b.most))
		}
	}
}

func walls(samples []sample) []float64 {
	ms := make([]float64, 0, len(samples))
	for _, s := range samples {
		ms = append(ms, float64(s.wall.Microseconds())/1000)
	}
	return ms
}

func cpus(samples []sample) []float64 {
	ms := make([]float64, 0, len(samples))
	for _, s := range samples {
		ms = append(ms, float64(s.cpu.Microseconds())/1000)
	}
	return ms
}
