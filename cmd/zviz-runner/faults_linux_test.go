// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zviz/run/internal/testenv"
)

// machine is a place in which something has run out for the runner, not for the test.
type machine struct {
	runner, state, work string
}

func newMachine(t *testing.T) machine {
	t.Helper()
	testenv.NeedRoot(t)
	m := machine{runner: testenv.Build(t, "github.com/zviz/run/cmd/zviz-runner"), state: filepath.Join(t.TempDir(), "state"), work: t.TempDir()}
	if err := os.MkdirAll(m.state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.work, "kept"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

// exec runs a shell script that prepares the fault and ends in: exec "$@".
func (m machine) exec(t *testing.T, prepare string, flags ...string) (code int, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("hung"))
	defer cancel()
	args := append([]string{"-c", prepare + "\nexec \"$@\"", "sh", m.runner, "exec"}, flags...)
	cmd := exec.CommandContext(ctx, "sh", append(args, "--", "sh", "-c", "echo made >made; (sleep 300 &); echo ran")...)
	cmd.Dir = m.work
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/nonexistent", "ZVIZ_STATE_DIR=" + m.state}
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stderr = &out
	err := cmd.Run()
	if context.Cause(ctx) != nil {
		t.Fatalf("%v\n%s", context.Cause(ctx), out.String())
	}
	if e, ok := errors.AsType[*exec.ExitError](err); ok && !e.Exited() {
		t.Fatalf("%v\n%s", err, out.String())
	} else if err != nil && !ok {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

// clean checks that the next start works and leaves nothing of anybody's.
func (m machine) clean(t *testing.T) {
	t.Helper()
	_, groups := groupProcesses(t, m.state)
	// One whose runner died before it had its lock is left alone for a minute: it may
	// be about to get it.
	young, err := filepath.Glob(filepath.Join(m.state, "jobs", ".*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range young {
		if err := os.Chtimes(dir, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
			t.Error(err)
		}
	}
	if code, stderr := m.exec(t, "", "--no-network"); code != 0 {
		t.Errorf("the next start: %d %s", code, stderr)
	}
	for _, g := range groups {
		if _, err := os.Stat(g); err == nil {
			t.Errorf("left: %s", g)
		}
	}
	m.kept(t)
}

// kept checks that no folder of a job is left and no file of the user's is lost.
func (m machine) kept(t *testing.T) {
	t.Helper()
	if jobs, err := os.ReadDir(filepath.Join(m.state, "jobs")); err != nil && !errors.Is(err, os.ErrNotExist) || len(jobs) != 0 {
		t.Errorf("left: %v %v", jobs, err)
	}
	if b, err := os.ReadFile(filepath.Join(m.work, "kept")); err != nil || string(b) != "mine" {
		t.Errorf("the user's file: %q %v", b, err)
	}
}

// TestFaultDisk: the disk of the state folder is full, has no inode left or cannot be
// written. The command does not run, and the error says where and what to do.
func TestFaultDisk(t *testing.T) {
	testenv.NeedTool(t, "unshare")
	const fill = `mkdir -p "$ZVIZ_STATE_DIR/jobs" "$ZVIZ_STATE_DIR/slots"; `
	for _, tt := range []struct {
		name, options, then, want, fix string
	}{
		{"no space", "size=64k", fill + `cat /dev/zero 2>/dev/null >"$ZVIZ_STATE_DIR/fill"`, "no space left on device", "free space there"},
		{"no inode", "nr_inodes=4", fill, "no space left on device", "free space there"},
		{"an inode too few", "nr_inodes=7", fill, "no space left on device", "free space there"},
		{"read-only", "size=64k", fill + `mount -o remount,ro "$ZVIZ_STATE_DIR"`, "read-only file system", "name a folder of yours"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine(t)
			// The mount is in a namespace of its own, and ends with the runner. What is left
			// in it is looked at before that.
			prepare := fmt.Sprintf(`if [ -z "$own" ]; then own=1 exec unshare --mount sh -c '
mount -t tmpfs -o %s tmpfs "$ZVIZ_STATE_DIR"
%s
"$@"; code=$?
ls -A "$ZVIZ_STATE_DIR/jobs" | sed "s/^/left: /" >&2
exit $code' sh "$@"; fi`, tt.options, tt.then)
			code, stderr := m.exec(t, prepare, "--no-network")
			if code != 125 || !strings.Contains(stderr, "error: state folder "+m.state) || !strings.Contains(stderr, tt.want) || !strings.Contains(stderr, "fix: ") || !strings.Contains(stderr, tt.fix) {
				t.Errorf("got %d %s", code, stderr)
			}
			if strings.Contains(stderr, "left: ") {
				t.Error(stderr)
			}
			if _, err := os.Lstat(filepath.Join(m.work, "made")); err == nil {
				t.Error("the command ran")
			}
			m.kept(t)
			m.clean(t)
		})
	}
}

// judge checks that a runner which lacks something either did its work or said what
// it lacks.
func judge(t *testing.T, code int, stderr string, lacks ...string) (ran bool) {
	t.Helper()
	if code == 0 {
		return true
	}
	if code != 125 || !strings.Contains(stderr, "error: ") || !strings.Contains(stderr, "fix: ") || strings.Contains(stderr, "--allow-missing") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	for _, l := range lacks {
		if strings.Contains(stderr, l) {
			return false
		}
	}
	t.Errorf("it does not say what it lacks: %s", stderr)
	return false
}

// TestFaultOpenFiles: with few descriptors the runner works or says so; 128 are enough.
func TestFaultOpenFiles(t *testing.T) {
	m := newMachine(t)
	for _, n := range []int{8, 12, 20, 32, 40, 48, 52, 56, 60, 64, 128} {
		for _, flags := range [][]string{{"--no-network"}, {}} {
			code, stderr := m.exec(t, fmt.Sprintf("ulimit -n %d", n), flags...)
			t.Logf("%d descriptors %v: %d %s", n, flags, code, strings.TrimSpace(stderr))
			if ran := judge(t, code, stderr, "too many open files"); n == 128 && !ran {
				t.Errorf("128 are not enough: %s", stderr)
			}
			m.kept(t)
		}
	}
	m.clean(t)
}

// TestFaultPids: no more processes can be made at any moment of the start. A thread
// that the Go runtime cannot make ends the runner at once, by its own words.
func TestFaultPids(t *testing.T) {
	m := newMachine(t)
	dir := fmt.Sprintf("/sys/fs/cgroup/pids/zviz-test-%d", os.Getpid())
	if err := os.Mkdir(dir, 0o755); err != nil {
		testenv.Missing(t, "needs the pids controller in a v1 hierarchy: %v", err)
	}
	t.Cleanup(func() {
		eventually(t, "the group is empty", func() bool { return os.Remove(dir) == nil })
	})
	ran := 0
	for n := 1; n <= 16; n++ {
		if err := os.WriteFile(filepath.Join(dir, "pids.max"), []byte(strconv.Itoa(n)), 0); err != nil {
			t.Fatal(err)
		}
		code, stderr := m.exec(t, `echo $$ >`+dir+"/cgroup.procs", "--no-network")
		first, _, _ := strings.Cut(strings.TrimSpace(stderr), "\n")
		t.Logf("%d processes: %d %s", n, code, first)
		switch {
		case strings.Contains(stderr, "failed to create new OS thread") && code != 0:
		case strings.Contains(stderr, "at the limit of processes") && strings.Contains(stderr, "sh: 1: Cannot fork"): // the command's own
		case judge(t, code, stderr, "resource temporarily unavailable"):
			ran++
		}
		m.clean(t) // the runtime's own end is one without tear-down
	}
	if ran == 0 {
		t.Error("16 processes are not enough")
	}
}
