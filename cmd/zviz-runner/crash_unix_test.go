// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main_test

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zviz/run/internal/testenv"
)

// startRunner starts exec of a shell script and returns when the script printed
// "up".
func startRunner(t *testing.T, state, work, script string, flags ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Args = append(append([]string{"zviz-runner", "exec"}, flags...), "--", "sh", "-c", script)
	cmd.Dir = work
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=/nonexistent", "ZVIZ_STATE_DIR=" + state}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "up\n" {
		t.Fatalf("got %q %v", line, err)
	}
	return cmd
}

// groupProcesses returns the pids in the control groups of all jobs of a state folder.
func groupProcesses(t *testing.T, state string) (pids []int, groups []string) {
	t.Helper()
	jobs, err := os.ReadDir(filepath.Join(state, "jobs"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, j := range jobs {
		found, err := filepath.Glob("/sys/fs/cgroup/*/zviz-" + j.Name())
		if err != nil {
			t.Fatal(err)
		}
		root, _ := filepath.Glob("/sys/fs/cgroup/zviz-" + j.Name())
		for _, g := range append(found, root...) {
			groups = append(groups, g)
			b, err := os.ReadFile(filepath.Join(g, "cgroup.procs"))
			if err != nil {
				continue
			}
			for f := range strings.FieldsSeq(string(b)) {
				if pid, err := strconv.Atoi(f); err == nil {
					pids = append(pids, pid)
				}
			}
		}
	}
	return pids, groups
}

// eventually waits for something that the kernel does by itself; the bound only
// keeps a failing test from hanging.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 6000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("never happened: %s", what)
}

// After kill -9 of the runner nothing of the job lives on, and the next start
// removes what is left on disk and in the control groups.
func TestRunnerIsKilled(t *testing.T) {
	testenv.NeedRoot(t)
	state, work := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(work, "kept"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := startRunner(t, state, work, "trap '' TERM HUP INT; setsid sleep 300 & (sleep 300 &) ; echo up; wait; sleep 300")
	pids, groups := groupProcesses(t, state)
	if len(pids) < 3 || len(groups) == 0 {
		t.Fatalf("pids %v, groups %v", pids, groups)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	eventually(t, "the job's processes end with the runner", func() bool {
		for _, pid := range pids {
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
				return false
			}
		}
		return true
	})
	next := startRunner(t, state, work, "echo up")
	if err := next.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, left := groupProcesses(t, state); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	jobs, err := os.ReadDir(filepath.Join(state, "jobs"))
	if err != nil || len(jobs) != 0 {
		t.Errorf("left: %v %v", jobs, err)
	}
	for _, g := range groups {
		if _, err := os.Stat(g); err == nil {
			t.Errorf("left: %s", g)
		}
	}
	if b, err := os.ReadFile(filepath.Join(work, "kept")); err != nil || string(b) != "mine" {
		t.Errorf("the user's file: %q %v", b, err)
	}
}

// What a killed runner could not make harmless, the next start does, wherever it
// runs: set-ID bits that its job set, in a workspace whose name is no text, and in a
// further mount. What the job did not set stays.
func TestRunnerIsKilledSetID(t *testing.T) {
	testenv.NeedRoot(t)
	state, other, mounted := t.TempDir(), t.TempDir(), t.TempDir()
	work := filepath.Join(t.TempDir(), "w\xff\nx")
	if err := os.Mkdir(work, 0o755); err != nil {
		t.Fatal(err)
	}
	const set = fs.ModeSetuid | 0o755
	outside := filepath.Join(t.TempDir(), "outside")
	for _, f := range []string{filepath.Join(work, "old"), outside} {
		if err := os.WriteFile(f, []byte("mine"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(f, set); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(60 * time.Millisecond) // older than the run by more than the kernel's clock lags
	cmd := startRunner(t, state, work, `cp /bin/true s; chmod 6755 s; mkdir -p a/b; cp s a/b/t; chmod 4755 a/b/t
cp s /mnt/m/u; chmod 4755 /mnt/m/u; ln -s `+outside+` link; echo up; sleep 300`, "--no-network", "--mount", mounted+":/mnt/m:rw")
	if err := os.Chmod(outside, set); err != nil { // as new as what the job made
		t.Fatal(err)
	}
	made := []string{filepath.Join(work, "s"), filepath.Join(work, "a/b/t"), filepath.Join(mounted, "u")}
	for _, f := range made {
		if st, err := os.Lstat(f); err != nil || st.Mode()&fs.ModeSetuid == 0 {
			t.Fatalf("the job did not make it: %s %v", f, err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	next := startRunner(t, state, other, "echo up", "--no-network")
	if err := next.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, f := range made {
		if st, err := os.Lstat(f); err != nil || st.Mode() != 0o755 {
			t.Errorf("%s: %v %v", f, st.Mode(), err)
		}
	}
	for _, f := range []string{filepath.Join(work, "old"), outside} {
		if st, err := os.Lstat(f); err != nil || st.Mode() != set {
			t.Errorf("%s: %v %v", f, st.Mode(), err)
		}
	}
	if jobs, err := os.ReadDir(filepath.Join(state, "jobs")); err != nil || len(jobs) != 0 {
		t.Errorf("left: %v %v", jobs, err)
	}
}

// A first Ctrl-C ends everything, also what ignores signals, and says 130.
func TestInterrupt(t *testing.T) {
	testenv.NeedRoot(t)
	for sig, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		t.Run(sig.String(), func(t *testing.T) {
			// What is caught here is not ignored there, although whoever started us ignores it:
			// a shell in whose background we are.
			caught := make(chan os.Signal, 1)
			signal.Notify(caught, sig)
			defer signal.Stop(caught)
			state, work := t.TempDir(), t.TempDir()
			cmd := startRunner(t, state, work, "trap '' INT TERM; echo up; sleep 300")
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			err := cmd.Wait()
			if e, ok := errors.AsType[*exec.ExitError](err); !ok || e.ExitCode() != code {
				t.Errorf("got %v, want exit code %d", err, code)
			}
			jobs, err := os.ReadDir(filepath.Join(state, "jobs"))
			if err != nil || len(jobs) != 0 {
				t.Errorf("left: %v %v", jobs, err)
			}
		})
	}
}
