// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zviz/run/sandbox"
)

func park(t *testing.T) *sandbox.Sandbox {
	t.Helper()
	s, probe := newSpec(t)
	s.ID = strings.ReplaceAll(s.ID, "_", "-")
	sb, err := sandbox.New(s, probe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sb.Close(); err != nil {
			t.Error(err)
		}
		if left := sb.Processes(); len(left) > 0 {
			t.Errorf("left %v", left)
		}
	})
	if err := sb.Park(t.Context()); err != nil {
		t.Fatal(err)
	}
	return sb
}

func TestParked(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	tests := []struct {
		name string
		cmd  sandbox.Cmd
		out  string
		code int
	}{
		{"runs in its directory with its environment", sandbox.Cmd{Args: []string{"sh", "-c", `echo "$1 $A $PWD $$"; exit 7`, "x", "a b"}, Env: []string{"A=1"}}, "a b 1 /tmp 2\n", 7},
		{"no input", sandbox.Cmd{Args: []string{"cat"}}, "", 0},
		{"input", sandbox.Cmd{Args: []string{"cat"}, Stdin: strings.NewReader("in\n")}, "in\n", 0},
		{"not found", sandbox.Cmd{Args: []string{"no-such-command"}}, "", 127},
		{"a large command", sandbox.Cmd{Args: []string{"sh", "-c", `echo ${#A} ${#1}`, "x", long}, Env: []string{"A=" + long}}, "100000 100000\n", 0},
		{"descriptors", sandbox.Cmd{Args: []string{"sh", "-c", "ls /proc/self/fd | tr '\\n' ' '"}}, "0 1 2 3 ", 0}, // 3 is that of ls
		{"every layer", sandbox.Cmd{Args: []string{"grep", "-E", "^(NoNewPrivs|Seccomp|CapBnd):", "/proc/self/status"}}, "CapBnd:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n", 0},
		// One stream: two have no order between them.
		{"files stay protected", sandbox.Cmd{Args: []string{"sh", "-c", "exec 2>&1; cat /proc/1/environ || echo refused"}}, "cat: /proc/1/environ: Permission denied\nrefused\n", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sb := park(t)
			var out bytes.Buffer
			cmd := tt.cmd
			cmd.Dir, cmd.Stdout, cmd.Stderr = "/tmp", &out, &out
			cmd.Env = append([]string{"PATH=/usr/bin:/bin"}, cmd.Env...)
			p, err := sb.Start(t.Context(), &cmd)
			if err != nil {
				t.Fatal(err)
			}
			res, err := p.Wait()
			if err != nil || res.ExitCode != tt.code || out.String() != tt.out {
				t.Errorf("got %q %d (%v), want %q %d", out.String(), res.ExitCode, err, tt.out, tt.code)
			}
		})
	}
}

func TestParkedRefusedCallsAreNamed(t *testing.T) {
	sb := park(t)
	p, err := sb.Start(t.Context(), &sandbox.Cmd{Args: []string{"unshare", "-U", "true"}, Env: []string{"PATH=/usr/bin:/bin"}, Dir: "/"})
	if err != nil {
		t.Fatal(err)
	}
	res, err := p.Wait()
	if err != nil || len(res.Denials) != 1 || res.Denials[0].Syscall != "unshare" {
		t.Errorf("got %+v (%v)", res.Denials, err)
	}
}

func TestParkedDirectoryMissing(t *testing.T) {
	sb := park(t)
	p, err := sb.Start(t.Context(), &sandbox.Cmd{Args: []string{"true"}, Env: []string{"PATH=/usr/bin"}, Dir: "/tmp/none"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = p.Wait(); !errors.Is(err, syscall.ENOENT) || !strings.Contains(err.Error(), "working directory /tmp/none") {
		t.Errorf("got %v", err)
	}
}

func TestParkedIsKilled(t *testing.T) {
	sb := park(t)
	pids := sb.Processes()
	if len(pids) != 1 {
		t.Fatalf("processes %v, want one", pids)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for len(sb.Processes()) > 0 {
		time.Sleep(time.Millisecond)
	}
	_, err := sb.Start(t.Context(), &sandbox.Cmd{Args: []string{"true"}, Dir: "/"})
	var layer *sandbox.LayerError
	if !errors.As(err, &layer) || layer.Layer != sandbox.LayerPID {
		t.Errorf("got %v, want an error of process 1", err)
	}
}

func TestParkedIsCancelled(t *testing.T) {
	sb := park(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sb.Start(ctx, &sandbox.Cmd{Args: []string{"true"}, Dir: "/"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// What waits has nothing of the runner's: its memory is its own, and no descriptor
// but its pipes and the file is open.
func TestParkedHoldsNothing(t *testing.T) {
	sb := park(t)
	dir := fmt.Sprintf("/proc/%d/fd", sb.Processes()[0])
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		to, _ := os.Readlink(dir + "/" + e.Name())
		kind, _, _ := strings.Cut(to, ":")
		names = append(names, e.Name()+" "+kind)
	}
	if got, want := strings.Join(names, ", "), "0 pipe, 1 pipe, 2 pipe, 3 pipe, 4 pipe, 8 /memfd"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
