// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/pairs"
)

// plan is what is measured.
type plan struct {
	runner            string
	rounds, few, many int
	slabs             bool
}

// The budgets, in MB of a million bytes.
const (
	budgetOffline = 0.4
	budgetNetwork = 0.6
	budgetIdle    = 12
)

// kind is a way to have a command that sleeps.
type kind struct {
	name   string
	budget float64 // MB of one more, without the command's own; 0 for none
	open   func(context.Context, int) (func() error, error)

	slopes []reading // of each round: what one more has
	caches []map[string]int64
}

func (p plan) measure(ctx context.Context, out io.Writer) (err error) {
	idle, err := pss(os.Getpid())
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("/var/tmp", "zviz-memory-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	f := &field{dir: dir}
	if f.x, err = executor.New(executor.Config{StateDir: filepath.Join(dir, "state"), Home: "/nonexistent", Environ: []string{"PATH=/usr/bin:/bin"}}); err != nil {
		return err
	}
	kinds := []*kind{
		{name: "the command alone", open: f.native},
		{name: "without a network", budget: budgetOffline, open: f.sandboxes(false)},
		{name: "with its network", budget: budgetNetwork, open: f.sandboxes(true)},
	}
	// What is made once and kept is made before: threads, caches, slots of ids.
	for _, k := range kinds {
		stop, err := k.open(ctx, p.many)
		if err == nil {
			err = stop()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	for i := range p.rounds {
		for j := range kinds {
			k := kinds[(i+j)%len(kinds)]
			if err := p.round(ctx, k); err != nil {
				return fmt.Errorf("%s, round %d: %w", k.name, i, err)
			}
		}
	}
	one, err := f.process(ctx, p.runner)
	if err != nil {
		return err
	}
	p.print(out, kinds)
	verdict := func(bytes int64) string {
		v := float64(bytes) / 1e6
		return pairs.Interval{Low: v, High: v}.AtMost(budgetIdle)
	}
	fmt.Fprintf(out, "\nrunner at rest, PSS: %.1f MB before its first sandbox (this program, which links what a runner does), budget ≤ %d: %s;\n"+
		"zviz-runner exec with its one command running: %.1f MB: %s\n", float64(idle)/1e6, budgetIdle, verdict(idle), float64(one)/1e6, verdict(one))
	return nil
}

// round opens few, then as many more as make many, and takes the difference.
func (p plan) round(ctx context.Context, k *kind) (err error) {
	var stops []func() error
	defer func() {
		for _, stop := range slices.Backward(stops) {
			err = errors.Join(err, stop())
		}
		if err == nil {
			_, err = settled()
		}
	}()
	var at [2]reading
	var caches [2]map[string]int64
	for i, n := range []int{p.few, p.many - p.few} {
		stop, err := k.open(ctx, n)
		if err != nil {
			return err
		}
		stops = append(stops, stop)
		if at[i], err = settled(); err != nil {
			return err
		}
		if caches[i], err = slabs(); err != nil {
			return err
		}
	}
	n := float64(p.many - p.few)
	slope, grown := reading{}, map[string]int64{}
	for name := range at[1] {
		slope[name] = (at[1][name] - at[0][name]) / n
	}
	for name := range caches[1] {
		grown[name] = (caches[1][name] - caches[0][name]) / int64(n)
	}
	k.slopes, k.caches = append(k.slopes, slope), append(k.caches, grown)
	return nil
}

// settled reads when what was let go has gone.
func settled() (reading, error) {
	const step, limit, still = 200 * time.Millisecond, 3 * time.Second, 128 << 10
	// The second collection frees what finalizers of the first let go.
	runtime.GC()
	debug.FreeOSMemory()
	for begin, last := time.Now(), 0.0; ; time.Sleep(step) {
		r, err := read()
		if err != nil {
			return nil, err
		}
		now := r[slabUnre] + r[files] // namespaces go in the kernel's own time
		if diff := now - last; diff > -still && diff < still || time.Since(begin) > limit {
			return r, nil
		}
		last = now
	}
}

// of is a figure of one more, each round's.
func (k *kind) of(name string) []float64 {
	var values []float64
	for _, s := range k.slopes {
		values = append(values, s[name]/1e6)
	}
	return values
}

func (p plan) print(out io.Writer, kinds []*kind) {
	fmt.Fprintf(out, "memory of one more at %d to %d of them, MB; median of %d rounds with its bootstrap 95 %% interval\n\n", p.few, p.many, p.rounds)
	fmt.Fprint(out, "| |")
	for _, k := range kinds {
		fmt.Fprintf(out, " %s |", k.name)
	}
	fmt.Fprintln(out, "\n|---|---|---|---|")
	for _, name := range parts() {
		fmt.Fprintf(out, "| %s |", name)
		for _, k := range kinds {
			fmt.Fprintf(out, " %.3f |", pairs.Median(k.of(name)).Value)
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "| %s |", used)
	for _, k := range kinds {
		m := pairs.Median(k.of(used))
		fmt.Fprintf(out, " %.3f (%.3f–%.3f) |", m.Value, m.Low, m.High)
	}
	fmt.Fprint(out, "\n| of it the sandbox's: less the command alone |")
	// The median: the command's few pages are not paired with anything.
	alone := pairs.Median(kinds[0].of(used)).Value
	for _, k := range kinds {
		if k.budget == 0 {
			fmt.Fprint(out, " |")
			continue
		}
		own := k.of(used)
		for i := range own {
			own[i] -= alone
		}
		m := pairs.Median(own)
		fmt.Fprintf(out, " %.3f (%.3f–%.3f), budget ≤ %.1f: %s |", m.Value, m.Low, m.High, k.budget, m.AtMost(k.budget))
	}
	fmt.Fprintln(out)
	if !p.slabs {
		return
	}
	for _, k := range kinds {
		grown := map[string]float64{}
		for name := range k.caches[0] {
			var values []float64
			for _, c := range k.caches {
				values = append(values, float64(c[name]))
			}
			grown[name] = pairs.Quantile(values, 0.5)
		}
		names := slices.SortedFunc(maps.Keys(grown), func(a, b string) int { return int(grown[b] - grown[a]) })
		fmt.Fprintf(out, "\ncaches of the kernel, bytes of one more, %s:\n", k.name)
		for _, name := range names[:min(25, len(names))] {
			fmt.Fprintf(out, "  %-28s %8.0f\n", name, grown[name])
		}
	}
}
