// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// phase is where a job was when its runner was killed.
type phase int

const (
	starting phase = iota
	running
	ending
	over
	phases
)

func (p phase) String() string {
	return [...]string{"while it started", "while the job ran", "after the job's last line", "too late: it had ended"}[p]
}

// moment is when the runner is killed: some time after its start, or after the
// job's last line.
type moment struct {
	delay     time.Duration
	afterLast bool
}

func (m moment) String() string {
	since := "the start"
	if m.afterLast {
		since = "the job's last line"
	}
	return m.delay.Round(10*time.Microsecond).String() + " after " + since
}

// site is the machine of one runner: its state and a workspace with files of a
// user's.
type site struct {
	runner, state, workspace string

	files  map[string]string // of the user: what is in them
	mounts string            // before the first kill

	mu  sync.Mutex
	ids map[string]bool // of all jobs that were ever seen in the state folder
}

// furnish makes the user's workspace. It belongs to an ordinary user.
func (s *site) furnish() error {
	const user = 1000
	s.files = map[string]string{
		"kept": "mine\n", "src/deep/main.c": "int main(void) { return 0; }\n", ".git/config": "[core]\n", "empty": "",
		"large": strings.Repeat("0123456789abcdef", 8<<10),
	}
	for name, text := range s.files {
		path := filepath.Join(s.workspace, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { // a workspace
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil { // a user's file
			return err
		}
	}
	return filepath.WalkDir(s.workspace, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, user, user))
	})
}

func (s *site) command(ctx context.Context, network bool, script string) (*exec.Cmd, *bytes.Buffer) {
	args := []string{"exec", "--quiet"}
	if !network {
		args = append(args, "--no-network")
	}
	cmd := exec.CommandContext(ctx, s.runner, append(args, "--", "sh", "-c", script)...)
	cmd.Dir = s.workspace
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=/nonexistent", "ZVIZ_STATE_DIR=" + s.state}
	// A file, not a pipe: Wait would wait for whoever holds the other end.
	var problem bytes.Buffer
	cmd.WaitDelay = 5 * time.Second
	cmd.Stderr = &problem
	return cmd, &problem
}

// kill starts a job that writes in the workspace and kills its runner after a
// while. The job leaves processes that would live on.
func (s *site) kill(ctx context.Context, n int, m moment, network bool) (phase, error) {
	for _, name := range []string{"first", "last"} {
		if err := os.Remove(filepath.Join(s.workspace, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
	}
	script := fmt.Sprintf(`trap '' TERM HUP INT
setsid sleep 300 & (sleep 300 &)
echo %[1]d >first
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do echo %[1]d >result.new; mv result.new result; sleep 0.005; done
echo %[1]d >last`, n)
	within, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("timed out"))
	defer cancel()
	cmd, problem := s.command(within, network, script)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	for m.afterLast && !exists(filepath.Join(s.workspace, "last")) && within.Err() == nil {
		time.Sleep(100 * time.Microsecond)
	}
	time.Sleep(m.delay)
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return 0, err
	}
	err := cmd.Wait()
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case !ok || !status.Signaled():
		if err != nil {
			return over, fmt.Errorf("round %d: the runner failed by itself: %w\n%s", n, err, problem.Bytes())
		}
		return over, nil
	case exists(filepath.Join(s.workspace, "last")):
		return ending, nil
	case exists(filepath.Join(s.workspace, "first")):
		return running, nil
	default:
		return starting, nil
	}
}

// again runs a job to its end.
func (s *site) again(ctx context.Context, n int) error {
	within, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("timed out"))
	defer cancel()
	cmd, problem := s.command(within, n%2 == 0, fmt.Sprintf("echo %d >again", n))
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", errors.Join(err, context.Cause(within)), problem.Bytes())
	}
	text, err := os.ReadFile(filepath.Join(s.workspace, "again"))
	if err != nil {
		return err
	}
	if got := strings.TrimSpace(string(text)); got != strconv.Itoa(n) {
		return fmt.Errorf("it wrote %q, want %d", got, n)
	}
	return nil
}

// awaitDeath waits until nobody is here but us, process 1 included.
func (s *site) awaitDeath() (time.Duration, []string) {
	begin := time.Now()
	for {
		alive := others()
		if len(alive) == 0 {
			return time.Since(begin), nil
		}
		if time.Since(begin) > 5*time.Second {
			return time.Since(begin), alive
		}
		time.Sleep(time.Millisecond)
	}
}

// others describes every process that is neither us nor the shell that is
// process 1; a dead one that nobody has reaped yet does not count.
func others() []string {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return []string{err.Error()}
	}
	var found []string
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == 1 || pid == os.Getpid() {
			continue
		}
		status, err := os.ReadFile(filepath.Join("/proc", e.Name(), "status"))
		if err != nil || bytes.Contains(status, []byte("State:\tZ")) || bytes.Contains(status, []byte("State:\tX")) {
			continue
		}
		name, _, _ := strings.Cut(string(status), "\n")
		found = append(found, fmt.Sprintf("process %d is alive: %s", pid, name))
	}
	return found
}

// watchJobs notes the identifier of each job for as long as it runs.
func (s *site) watchJobs() (stop func()) {
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(2 * time.Millisecond):
				s.jobs()
			}
		}
	})
	return func() { close(done); wait.Wait() }
}

// jobs returns the folders of jobs, also those that have no name yet.
func (s *site) jobs() []string {
	entries, err := os.ReadDir(filepath.Join(s.state, "jobs"))
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		s.ids[strings.TrimPrefix(e.Name(), ".")] = true
	}
	return names
}

// left returns the folders and the control groups of all jobs that were seen.
func (s *site) left() (jobs, groups []string) {
	jobs = s.jobs()
	for _, pattern := range []string{"/sys/fs/cgroup/zviz-*", "/sys/fs/cgroup/*/zviz-*", "/sys/fs/cgroup/*/*/zviz-*", "/sys/fs/cgroup/*/*/*/zviz-*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			continue
		}
		s.mu.Lock()
		for _, g := range found {
			if s.ids[strings.TrimPrefix(filepath.Base(g), "zviz-")] {
				groups = append(groups, g)
			}
		}
		s.mu.Unlock()
	}
	return jobs, groups
}

// age makes folders that have no name yet look old enough to be swept: a runner
// lets young ones be, since they may be another's that just starts.
func (s *site) age(jobs []string) error {
	old := time.Now().Add(-time.Hour)
	for _, name := range jobs {
		if !strings.HasPrefix(name, ".") {
			continue
		}
		if err := os.Chtimes(filepath.Join(s.state, "jobs", name), old, old); err != nil {
			return err
		}
	}
	return nil
}

// inspect returns what is wrong after the next start.
func (s *site) inspect() (problems []string) {
	// The last job's control group may still be about to go.
	problems = append(problems, others()...)
	jobs, groups := s.left()
	for _, j := range jobs {
		problems = append(problems, "job folder left: "+j)
	}
	for _, g := range groups {
		problems = append(problems, "control group left: "+g)
		s.mu.Lock()
		delete(s.ids, strings.TrimPrefix(filepath.Base(g), "zviz-")) // said once
		s.mu.Unlock()
	}
	now, err := mounts()
	if err != nil {
		problems = append(problems, err.Error())
	} else if now != s.mounts {
		problems = append(problems, "mounts differ:\n"+now)
	}
	return append(problems, s.lost()...)
}

// mounts are those of our namespace. A network namespace that nobody is in can
// only be held by one of them, since all processes are gone.
func mounts() (string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	return string(text), err
}

// lost returns which of the user's files are not as they were.
func (s *site) lost() (problems []string) {
	for name, want := range s.files {
		path := filepath.Join(s.workspace, name)
		text, err := os.ReadFile(path)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		st, err := os.Lstat(path)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		sys, ok := st.Sys().(*syscall.Stat_t)
		if string(text) != want || st.Mode() != 0o640 || !ok || sys.Uid != 1000 || sys.Gid != 1000 {
			problems = append(problems, fmt.Sprintf("%s is changed: %d bytes, mode %v", name, len(text), st.Mode()))
		}
	}
	// What jobs wrote belongs to the user, and nothing else is there.
	known := []string{"kept", "src", ".git", "empty", "large", "first", "last", "result", "result.new", "again", "set"}
	entries, err := os.ReadDir(s.workspace)
	if err != nil {
		return append(problems, err.Error())
	}
	for _, e := range entries {
		st, err := e.Info()
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		if sys, ok := st.Sys().(*syscall.Stat_t); !ok || sys.Uid != 1000 || !slices.Contains(known, e.Name()) {
			problems = append(problems, e.Name()+" in the workspace is not the user's")
		}
		if st.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
			problems = append(problems, fmt.Sprintf("%s in the workspace is %v", e.Name(), st.Mode()))
		}
	}
	return problems
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
