// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// oursExit is the runner's exit code for every error of its own.
const oursExit = 125

// sweeper puts a fault in the way of each system call of a short job's runner, one
// by one.
type sweeper struct {
	*site
	out    io.Writer
	most   int // of each kind
	faults int
	round  int
}

// everyCall prints the figures and returns how many things were left or lost.
func everyCall(ctx context.Context, s *site, most int, out io.Writer) (int, error) {
	w := &sweeper{site: s, out: out, most: most}
	for _, network := range []bool{false, true} {
		if err := w.sweep(ctx, network, 0); err != nil {
			return w.faults, err
		}
		// What a disk, a table of files or the kernel's memory says when it is full.
		for _, errno := range []syscall.Errno{unix.ENOSPC, unix.EMFILE, unix.ENOMEM} {
			err := w.sweep(ctx, network, errno)
			if errors.Is(err, errTooOld) {
				fmt.Fprintf(out, "left out: %v\n", err)
				break
			}
			if err != nil {
				return w.faults, err
			}
		}
	}
	fmt.Fprintf(out, "%d faults: processes, control groups, job folders, mounts or namespaces left, files lost or changed, set-ID bits left, errors without a word\n", w.faults)
	return w.faults, nil
}

// sweep is one pass with one kind of fault; errno 0 is a kill.
func (w *sweeper) sweep(ctx context.Context, network bool, errno syscall.Errno) error {
	begin := time.Now()
	whole, err := w.run(ctx, network, fault{errno: errno})
	if err != nil {
		return err
	}
	if !whole.status.Exited() || whole.status.ExitStatus() != 0 || whole.stderr != "" {
		return fmt.Errorf("without a fault it ended with %v: %s", whole.status, whole.stderr)
	}
	rounds := whole.calls
	if w.most > 0 {
		rounds = min(rounds, w.most)
	}
	var at [stages]int
	var early, refused, went, leftJobs, leftGroups int
	for n := range rounds {
		f := fault{at: 1 + n*whole.calls/rounds, errno: errno}
		o, err := w.run(ctx, network, f)
		if err != nil {
			return err
		}
		_, problems := w.awaitDeath()
		switch {
		case o.hung:
			problems = append(problems, "it hung")
		case o.call == "":
			early++ // the order of threads differs from run to run
		case errno == 0:
			at[o.stage]++
		default:
			at[o.stage]++
			problems = append(problems, judge(o)...)
			if o.status.Exited() && o.status.ExitStatus() == 0 {
				went++
			} else {
				refused++
			}
		}
		jobs, groups := w.left()
		leftJobs += len(jobs)
		leftGroups += len(groups)
		if err := w.age(jobs); err != nil {
			return err
		}
		w.round++
		if err := w.again(ctx, w.round); err != nil {
			problems = append(problems, "the next start: "+err.Error())
		}
		for _, p := range w.inspect() {
			// A bit whose removal is made to fail stays; the report lists it.
			if errno == 0 || o.stage != tearDown || !strings.HasPrefix(p, "set in the workspace") {
				problems = append(problems, p)
			}
		}
		for _, p := range problems {
			w.faults++
			fmt.Fprintf(w.out, "fault at call %d, %s, %s: %s\n", f.at, o.call, o.stage, p)
		}
		if len(problems) > 0 && w.faults > 20 {
			return errors.New("too many faults")
		}
	}
	kind, net := "killed", "without a network"
	if errno != 0 {
		kind = "failed with " + unix.ErrnoName(errno)
	}
	if network {
		net = "with a network"
	}
	fmt.Fprintf(w.out, "%s at %d of %d calls, %s, in %v\n", kind, rounds, whole.calls, net, time.Since(begin).Round(time.Second))
	for s := range stages {
		fmt.Fprintf(w.out, "  %4d %s\n", at[s], s)
	}
	if early > 0 {
		fmt.Fprintf(w.out, "  %4d it had ended\n", early)
	}
	if errno != 0 {
		fmt.Fprintf(w.out, "  %d refused or ended with an error, %d did without the call\n", refused, went)
	}
	fmt.Fprintf(w.out, "  left for the next start: %d job folders, %d control groups\n", leftJobs, leftGroups)
	return nil
}

// run is one traced run of a job that writes, sets a set-ID bit and leaves a
// process behind.
func (w *sweeper) run(ctx context.Context, network bool, f fault) (outcome, error) {
	for _, name := range []string{"first", "last", "set"} {
		if err := os.Remove(filepath.Join(w.workspace, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return outcome{}, err
		}
	}
	cmd, _ := w.command(ctx, network, "setsid sleep 300 & echo 1 >first; cp /bin/true set; chmod 6755 set; echo 1 >last")
	return traceRun(cmd.Dir, cmd.Env, append([]string{w.runner}, cmd.Args[1:]...), f)
}

// judge says what is wrong with how a runner took a failing call: it goes on
// without, or it says so and ends with the exit code of its own errors.
func judge(o outcome) (problems []string) {
	switch {
	case strings.Contains(o.stderr, "goroutine ") || strings.Contains(o.stderr, "bug:"):
		problems = append(problems, "it took it for a bug: "+o.stderr)
	case !o.status.Exited():
		problems = append(problems, fmt.Sprintf("it ended by %v: %s", o.status.Signal(), o.stderr))
	case o.status.ExitStatus() == oursExit && !strings.Contains(o.stderr, "error: "):
		problems = append(problems, "it failed without a word: "+o.stderr)
	case o.status.ExitStatus() != 0 && o.status.ExitStatus() != oursExit:
		problems = append(problems, fmt.Sprintf("exit code %d: %s", o.status.ExitStatus(), o.stderr))
	}
	return problems
}
