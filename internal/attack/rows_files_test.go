// SPDX-License-Identifier: Apache-2.0

//go:build linux

package attack_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/attack"
	"github.com/zviz/run/internal/testenv"
)

// profiles under which every row is stopped.
func profiles() []string { return []string{"ci", "hostile"} }

func (r rig) execIn(t *testing.T, dir, profile string, flags ...string) (string, int) {
	t.Helper()
	out, code := r.command(t, dir, r.runner, append([]string{"exec", "--profile", profile, "--no-network", "--pids", "64", "--timeout", "20s"}, flags...)...)
	record(t, profile, flags, out)
	return out, code
}

// command returns both streams and the exit code.
func (r rig) command(t *testing.T, dir, name string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "timeout", append([]string{"-k", "1", "40", name}, args...)...)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run() // the code says it
	return strings.TrimSpace(out.String()), cmd.ProcessState.ExitCode()
}

// TestFileRows makes the rows of these classes that TestAttempts makes under
// hostile only under ci.
func TestFileRows(t *testing.T) {
	r := newRig(t)
	for _, a := range attempts() {
		class, _, _ := strings.Cut(a.ID, "-")
		if a.Allowed || a.Control == attack.ByTest || !slices.Contains([]string{"fs", "ws", "proc"}, class) {
			continue
		}
		t.Run(a.ID, func(t *testing.T) {
			got, _ := r.execIn(t, r.workspace, "ci", "--", "./attack", a.ID)
			judge(t, a, "ci", "ci", got)
		})
	}
}

// TestByTest makes the attempts that need something beside them: each first on a
// copy, where it must succeed.
func TestByTest(t *testing.T) {
	r := newRig(t)
	git := testenv.NeedTool(t, "git")
	const isolated = `exec unshare --mount --pid --fork --kill-child --mount-proc --ipc --net -- sh -ec "$@"`
	for _, a := range attempts() {
		if a.Control != attack.ByTest || hostJudges(a.ID) {
			continue
		}
		// Each place: what is outside, what is a workspace, and the script that tries.
		place := func(t *testing.T) (work, input string) {
			t.Helper()
			base := r.folder(t)
			work, input = filepath.Join(base, "work"), filepath.Join(base, "in")
			script := `mkdir work in in/dir && echo original >in/file && chmod 0666 in/file && cp "$1" work/attack && cd work && "$2" init -q`
			if out, code := r.command(t, base, "sh", "-ec", script, "sh", r.program, git); code != 0 {
				t.Fatal(out)
			}
			r.own(t, base)
			return work, input
		}
		outside, inside := "./attack "+a.ID, []string{"./attack", a.ID}
		switch a.ID {
		case "fs-24":
			// Not the shell, before it is one; and it ends when its program is held.
			outside = `cp /bin/sleep runner; ./runner 60 & pid=$!; until readlink /proc/$pid/exe | grep -q runner; do sleep 0.01; done
				{ until readlink /proc/[0-9]*/fd/* 2>/dev/null | grep -q '/runner$'; do sleep 0.01; done; kill $pid; } & ./attack fs-24 $pid`
		case "fs-16-output":
			outside = `./attack fs-16-output >log; cat log`
		case "proc-07-ipc":
			outside = `./attack proc-07-ipc plant >/dev/null; ./attack proc-07-ipc`
		case "fs-26", "fs-27", "fs-32", "ws-07":
			outside += " ../in/file"
			inside = append(inside, "/mnt/in/file")
		case "fs-31":
			outside += " ../in/dir"
			inside = append(inside, "/mnt/in/dir")
		case "proc-06":
			outside = `MARK=zviz-mark-77 sleep 60 & until tr '\0' '\n' </proc/$!/environ | grep -qx MARK=zviz-mark-77; do sleep 0.01; done; ./attack proc-06 MARK=zviz-mark-77`
			inside = append(inside, "MARK=zviz-mark-77")
		case "proc-07":
			outside = `mount -t tmpfs none /dev/shm; : >/dev/shm/zviz-mark; ./attack proc-07 /dev/shm/zviz-mark`
			inside = append(inside, "/dev/shm/zviz-mark")
		}
		t.Run(a.ID, func(t *testing.T) {
			work, _ := place(t)
			if got, _ := r.command(t, work, "sh", "-ec", isolated, "sh", outside); !strings.HasPrefix(got, "ESCAPED ") {
				t.Fatalf("%s, without the sandbox: got %q: the attempt proves nothing", a.What, got)
			}
			for _, profile := range profiles() {
				work, input := place(t)
				before := digest(t, r.binary)
				switch a.ID {
				case "proc-06":
					other := exec.CommandContext(t.Context(), r.runner, "exec", "--no-network", "--timeout", "20s", "-e", "MARK=zviz-mark-77", "-C", filepath.Dir(work)+"/in/dir", "--", "sleep", "15")
					if err := other.Start(); err != nil {
						t.Fatal(err)
					}
					defer func() { _ = other.Process.Signal(os.Interrupt); _ = other.Wait() }()
					time.Sleep(300 * time.Millisecond)
				case "proc-07-ipc":
					id, err := unix.SysvShmGet(attack.SegmentKey, 4096, unix.IPC_CREAT|0o666)
					if err != nil {
						t.Fatal(err)
					}
					defer func() { _, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) }()
				case "proc-07":
					if out, code := r.execIn(t, work, profile, "--", "sh", "-c", ": >/dev/shm/zviz-mark"); code != 0 {
						t.Fatal(out)
					}
				}
				got, _ := r.execIn(t, work, profile, append([]string{"--mount", input + ":/mnt/in", "--"}, inside...)...)
				judge(t, a, profile, profile, got)
				if text, err := os.ReadFile(filepath.Join(input, "file")); err != nil || string(text) != "original\n" {
					t.Errorf("%s: the input is %q %v", profile, text, err)
				}
				if digest(t, r.binary) != before {
					t.Errorf("%s: the runner's program changed", profile)
				}
				if exists(filepath.Join(work, ".git/hooks/post-checkout")) {
					t.Errorf("%s: a hook was planted", profile)
				}
			}
		})
	}
}

func digest(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
