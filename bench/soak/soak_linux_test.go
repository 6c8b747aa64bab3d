// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox/cgroup"
)

// A short form; `make soak` runs ten thousand.
func TestSoak(t *testing.T) {
	testenv.NeedRoot(t)
	testenv.NeedTool(t, "unshare")
	testenv.NeedLandlock(t, 2)
	runner := testenv.Build(t, "github.com/zviz/run/cmd/zviz-runner")
	program := testenv.Build(t, "github.com/zviz/run/bench/soak")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "-runner", runner, "-runs", "300", "-networks", "40", "-binary", "10", "-at-once", "20", "-bursts", "3").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// TestGrowthIsSeen leaks one of each kind and wants it told.
func TestGrowthIsSeen(t *testing.T) {
	const isolated = "SOAK_TEST_ISOLATED"
	testenv.NeedRoot(t)
	if os.Getenv(isolated) == "" {
		// Other people's processes come and go.
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), testenv.NeedTool(t, "unshare"), "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--", self, "-test.run", "^TestGrowthIsSeen$")
		cmd.Env = append(os.Environ(), isolated+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	s, err := newSite(t.TempDir(), "/bin/true", 1)
	if err != nil {
		t.Fatal(err)
	}
	jobs := filepath.Join(s.dir, "state", "jobs")
	if err := os.MkdirAll(jobs, 0o700); err != nil {
		t.Fatal(err)
	}
	hold := make(chan struct{})
	defer close(hold)
	var kept []byte
	for name, leak := range map[string]func(t *testing.T){
		"descriptors": func(t *testing.T) {
			f, err := os.Open("/dev/null")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = f.Close() })
		},
		"goroutines": func(*testing.T) { go func() { <-hold }() },
		"threads": func(*testing.T) {
			for range 64 { // more than may be idle
				go func() {
					runtime.LockOSThread()
					<-hold
				}()
			}
		},
		"heap, bytes": func(*testing.T) { kept = make([]byte, 8*mib) },
		"mappings": func(t *testing.T) {
			for i := range 100 {
				// Of two kinds in turn: neighbours of the same kind are one mapping.
				m, err := unix.Mmap(-1, 0, os.Getpagesize(), []int{unix.PROT_NONE, unix.PROT_READ}[i%2], unix.MAP_ANON|unix.MAP_PRIVATE)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = unix.Munmap(m) })
			}
		},
		"namespaces": func(t *testing.T) {
			made := make(chan error)
			go func() {
				runtime.LockOSThread() // the thread ends with us
				made <- unix.Unshare(unix.CLONE_NEWUTS)
				<-hold
			}()
			if err := <-made; err != nil {
				t.Fatal(err)
			}
		},
		"processes": func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "sleep", "60")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		},
		"control groups": func(t *testing.T) {
			h, err := cgroup.Find("/proc")
			if err != nil {
				t.Fatal(err)
			}
			s.note("5oak5oak5oak")
			dir := filepath.Join(h.V2, cgroup.Prefix+"5oak5oak5oak")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Remove(dir) })
		},
		"job folders": func(t *testing.T) {
			if err := os.Mkdir(filepath.Join(jobs, "x"), 0o700); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			base, err := s.measure()
			if err != nil {
				t.Fatal(err)
			}
			leak(t)
			time.Sleep(50 * time.Millisecond) // threads take a moment to begin
			now, err := s.measure()
			if err != nil {
				t.Fatal(err)
			}
			if grown := strings.Join(grew(base, now, 0), "\n"); !strings.Contains(grown, name+": ") {
				t.Errorf("not seen:\n%s\n%s", grown, growth(base, now, 1))
			}
		})
	}
	runtime.KeepAlive(kept)
}
