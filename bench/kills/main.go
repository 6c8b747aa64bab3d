// SPDX-License-Identifier: Apache-2.0

// Command kills kills the runner with SIGKILL at random moments of a short job's
// life, starts it again, and looks for what was left.
//
//	go run ./bench/kills -runner bin/zviz-runner -rounds 200
//	go run ./bench/kills -runner bin/zviz-runner -every-call -rounds 0
//
// With -every-call the moments are not random: a job is run once for each system
// call that its runner makes and that changes anything, and the runner is killed
// instead of that call (ptrace(2)). Then again with the call failing as if a disk,
// the table of files or the table of processes were full: the runner must say so
// or do without.
//
// It exits 1 if anything was. All of it runs in pid, mount, net and ipc
// namespaces of its own: whatever process, mount or namespace is found there
// afterwards was left by the runner. Needs root and unshare(1).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

func main() {
	os.Exit(run(context.Background(), os.Args, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("kills", flag.ContinueOnError)
	flags.SetOutput(stderr)
	runner := flags.String("runner", "bin/zviz-runner", "the runner to kill")
	rounds := flags.Int("rounds", 200, "how often")
	seed := flags.Uint64("seed", 1, "of the moments")
	every := flags.Bool("every-call", false, "kill at each system call of the runner, and make each fail; rounds bounds how many of each kind, 0 is all")
	longest := flags.Duration("longest", 150*time.Millisecond, "the latest moment")
	isolated := flags.Bool("isolated", false, "set by the program itself")
	if err := flags.Parse(args[1:]); err != nil {
		return 2
	}
	if !*isolated {
		return isolate(ctx, args[1:], stdout, stderr)
	}
	path, err := filepath.Abs(*runner)
	if err != nil {
		fmt.Fprintf(stderr, "error: %v\n", err)
		return 2
	}
	faults, err := onSite(ctx, path, func(s *site) (int, error) {
		if *every {
			return everyCall(ctx, s, *rounds, stdout)
		}
		// moments to kill at are no secret
		return killAll(ctx, s, *rounds, *longest, rand.New(rand.NewPCG(*seed, 0)), stdout)
	})
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

// onSite makes a site and calls do.
func onSite(ctx context.Context, runner string, do func(*site) (int, error)) (faults int, err error) {
	dir, err := os.MkdirTemp("/var/tmp", "zviz-kills-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s := &site{runner: runner, state: filepath.Join(dir, "state"), workspace: filepath.Join(dir, "ws"), ids: map[string]bool{}}
	if err := s.furnish(); err != nil {
		return 0, err
	}
	// Once without a kill: it must work at all, and the mounts of before are known.
	if err := s.again(ctx, 0); err != nil {
		return 0, err
	}
	if s.mounts, err = mounts(); err != nil {
		return 0, err
	}
	stop := s.watchJobs()
	defer stop()
	return do(s)
}

// killAll prints the figures and returns how many things were left or lost.
func killAll(ctx context.Context, s *site, rounds int, longest time.Duration, random *rand.Rand, out io.Writer) (faults int, err error) {
	var moments [phases]int
	var leftJobs, leftGroups int
	var slowestDeath, slowestStart time.Duration
	begin := time.Now()
	for n := 1; n <= rounds; n++ {
		// Two of four fall anywhere, one into the start, one into the tear-down.
		m := moment{delay: time.Duration(random.Int64N(int64(longest)))}
		switch n % 4 {
		case 1:
			m.delay /= 6
		case 3:
			m = moment{afterLast: true, delay: m.delay / 15}
		}
		at, err := s.kill(ctx, n, m, random.IntN(2) == 0)
		if err != nil {
			return faults, err
		}
		moments[at]++
		died, problems := s.awaitDeath()
		slowestDeath = max(slowestDeath, died)
		jobs, groups := s.left()
		leftJobs += len(jobs)
		leftGroups += len(groups)
		if err := s.age(jobs); err != nil {
			return faults, err
		}
		started := time.Now()
		if err := s.again(ctx, n); err != nil {
			problems = append(problems, "the next start: "+err.Error())
		}
		slowestStart = max(slowestStart, time.Since(started))
		problems = append(problems, s.inspect()...)
		if len(problems) > 0 {
			rounds = n // the next ones would find the same again
		}
		for _, p := range problems {
			faults++
			fmt.Fprintf(out, "round %d, killed %s, %s: %s\n", n, m, at, p)
		}
	}
	fmt.Fprintf(out, "%d kills in %v, spread over %v, half of the jobs with a network\n", rounds, time.Since(begin).Round(time.Second), longest)
	for at := range phases {
		fmt.Fprintf(out, "  %4d %s\n", moments[at], at)
	}
	fmt.Fprintf(out, "the dead runners left %d job folders and %d control groups for the next start\n", leftJobs, leftGroups)
	fmt.Fprintf(out, "slowest end of a job's last process after the kill: %v; slowest next start with its job: %v\n", slowestDeath.Round(time.Millisecond), slowestStart.Round(time.Millisecond))
	fmt.Fprintf(out, "%d faults: processes, control groups, job folders, mounts or namespaces left, files lost or changed\n", faults)
	return faults, nil
}
