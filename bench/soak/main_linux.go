// SPDX-License-Identifier: Apache-2.0

// Command soak runs many sandboxes in one process, one after another and many at
// once, and looks for what grows: descriptors, goroutines, threads, mappings,
// memory, processes, namespaces, control groups, mounts, state folders.
//
//	go run ./bench/soak -runner bin/zviz-runner -runs 10000
//
// Each job must end with its own result: some exit, some are killed, cancelled or
// never start, some have a network. It exits 1 if anything grew or a result was
// another one.
//
// All of it runs in pid, mount, net and ipc namespaces of its own, so that what is
// counted there is nobody else's. What only the kernel as a whole can tell (slab)
// is printed and not judged: other people's work is in it. Needs root and
// unshare(1).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/zviz/run/executor"
)

func main() {
	os.Exit(run(context.Background(), os.Args, os.Stdout, os.Stderr))
}

// plan says how many of each.
type plan struct {
	runs, networks, binary, atOnce, bursts int
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var p plan
	runner := flags.String("runner", "bin/zviz-runner", "the runner, for the runs that are processes")
	flags.IntVar(&p.runs, "runs", 10000, "one after another, without a network")
	flags.IntVar(&p.networks, "networks", 1000, "one after another, each with a network")
	flags.IntVar(&p.binary, "binary", 300, "one after another, each a process of the runner")
	flags.IntVar(&p.atOnce, "at-once", 100, "how many at the same time")
	flags.IntVar(&p.bursts, "bursts", 5, "how often so many at the same time")
	isolated := flags.Bool("isolated", false, "set by the program itself")
	if err := flags.Parse(args[1:]); err != nil {
		return 2
	}
	if !*isolated {
		return isolate(ctx, args[1:], stdout, stderr)
	}
	faults, err := soak(ctx, p, *runner, stdout)
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "error: %v\n", err)
		return 2
	case faults > 0:
		return 1
	default:
		return 0
	}
}

// isolate starts this program again in namespaces of its own. The shell is
// process 1 there and reaps what has lost its parent.
func isolate(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintf(stderr, "error: %v\n", err)
		return 2
	}
	const script = `ip link set lo up 2>/dev/null || true; "$0" -isolated "$@"; exit $?`
	cmd := exec.CommandContext(ctx, "unshare", append([]string{
		"--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--net", "--ipc", "--", "sh", "-c", script, self,
	}, args...)...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err = cmd.Run()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(e.ExitCode(), 1)
	}
	if err != nil {
		fmt.Fprintf(stderr, "error: %v\n", err)
		return 2
	}
	return 0
}

// soak runs all of the plan and returns how many things grew or went wrong.
func soak(ctx context.Context, p plan, runner string, out io.Writer) (faults int, err error) {
	dir, err := os.MkdirTemp("/var/tmp", "zviz-soak-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := newSite(dir, runner, p.atOnce)
	if err != nil {
		return 0, err
	}
	tell := func(wrong []string) {
		for _, w := range wrong {
			fmt.Fprintln(out, "WRONG:", w)
		}
		faults += len(wrong)
	}

	// What is made once and kept is made before the first measure: threads as many
	// as jobs at once need, caches, the state folder.
	tell(s.burst(ctx, p.atOnce, 0))
	tell(s.series(ctx, 20, all(), nil))
	tell(s.processes(ctx, min(p.binary, 1)))
	base, err := s.measure()
	if err != nil {
		return faults, err
	}

	for _, part := range []struct {
		name  string
		count int
		run   func() []string
		slack int64 // threads more that may wait for work
	}{
		{"one after another", p.runs, func() []string {
			var took []time.Duration
			wrong := s.series(ctx, p.runs, offline(), &took)
			fmt.Fprint(out, constancy(took))
			return wrong
		}, 0},
		{"one after another, with a network", p.networks, func() []string {
			var took []time.Duration
			wrong := s.series(ctx, p.networks, networked(), &took)
			fmt.Fprint(out, constancy(took))
			return wrong
		}, 0},
		{fmt.Sprintf("%d at once, of every kind", p.atOnce), p.atOnce * p.bursts, func() (wrong []string) {
			for i := range p.bursts {
				wrong = append(wrong, s.burst(ctx, p.atOnce, (i+1)*p.atOnce)...)
			}
			return wrong
		}, int64(p.atOnce)},
		{"each a process of the runner", p.binary, func() []string { return s.processes(ctx, p.binary) }, 0},
	} {
		fmt.Fprintf(out, "\n%s: %d\n", part.name, part.count)
		begin := time.Now()
		tell(part.run())
		now, grown, err := s.settle(base, part.slack)
		if err != nil {
			return faults, err
		}
		fmt.Fprintf(out, "  %.1f s\n%s", time.Since(begin).Seconds(), growth(base, now, part.count))
		tell(grown)
		base = now
	}
	fmt.Fprintf(out, "\n%d faults\n", faults)
	return faults, nil
}

// constancy tells what a run costs at the end against the beginning: of the first
// and the last thousand, or tenth, the medians.
func constancy(took []time.Duration) string {
	n := min(1000, len(took)/10)
	if n == 0 {
		return ""
	}
	first, last := median(took[:n]), median(took[len(took)-n:])
	return fmt.Sprintf("  a run takes %.1f ms (first %d), %.1f ms (last %d): ratio %.2f\n", ms(first), n, ms(last), n, float64(last)/float64(first))
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// series runs jobs of the kinds in turn, one after another.
func (s *site) series(ctx context.Context, count int, kinds []kind, took *[]time.Duration) (wrong []string) {
	for n := range count {
		begin := time.Now()
		if err := s.job(ctx, 0, n, kinds[n%len(kinds)]); err != nil {
			wrong = append(wrong, err.Error())
		}
		if took != nil {
			*took = append(*took, time.Since(begin))
		}
	}
	return wrong
}

// burst runs jobs of all kinds at the same time; first is the number of the first.
func (s *site) burst(ctx context.Context, count, first int) (wrong []string) {
	kinds := all()
	var mu sync.Mutex
	var wait sync.WaitGroup
	for i := range count {
		wait.Go(func() {
			if err := s.job(ctx, i, first+i, kinds[i%len(kinds)]); err != nil {
				mu.Lock()
				wrong = append(wrong, "at once: "+err.Error())
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return wrong
}

// processes runs jobs with the runner's program.
func (s *site) processes(ctx context.Context, count int) (wrong []string) {
	for n := range count {
		file := filepath.Join(s.dir, "report.json")
		cmd := exec.CommandContext(ctx, s.runner, "exec", "--quiet", "--no-network", "--report", file, "--", "sh", "-c", fmt.Sprintf("echo %d; exit %d", n, n%100))
		cmd.Dir = s.workspaces[0]
		cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=/nonexistent", "ZVIZ_STATE_DIR=" + filepath.Join(s.dir, "state")}
		out, _ := cmd.CombinedOutput() // the code is looked at below
		if got, want := fmt.Sprintf("%s%d", out, cmd.ProcessState.ExitCode()), fmt.Sprintf("%d\n%d", n, n%100); got != want {
			wrong = append(wrong, fmt.Sprintf("process %d: got %q, want %q", n, got, want))
		}
		var r executor.Report
		text, err := os.ReadFile(file)
		if err := errors.Join(err, json.Unmarshal(text, &r)); err != nil {
			wrong = append(wrong, fmt.Sprintf("process %d: %v", n, err))
		}
		s.note(r.ID)
	}
	return wrong
}
