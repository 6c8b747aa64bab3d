// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/sandbox"
)

// TestDiskWatch lets a job fill the disk of the state folder, or of the
// workspace, with bytes or with files: here a small tmpfs.
func TestDiskWatch(t *testing.T) {
	tests := []struct {
		name, folder, script string
		want                 sandbox.Cause
	}{
		{"bytes in the workspace", "work", `trap "" TERM; while :; do head -c 1048576 /dev/zero >> big; sleep 0.01; done`, sandbox.CauseDisk},
		{"bytes in /tmp", "state", `while :; do head -c 1048576 /dev/zero >> /tmp/big; sleep 0.01; done`, sandbox.CauseDisk},
		{"bytes at home", "state", `while :; do head -c 1048576 /dev/zero >> ~/big; sleep 0.01; done`, sandbox.CauseDisk},
		{"files in the workspace", "work", `n=0; while :; do n=$((n+1)); true > f$n || sleep 1; done 2>/dev/null`, sandbox.CauseDisk},
		{"files in /tmp", "state", `cd /tmp; n=0; while :; do n=$((n+1)); true > f$n || sleep 1; done 2>/dev/null`, sandbox.CauseDisk},
		{"bytes in a further mount", "other", `while :; do head -c 1048576 /dev/zero >> /mnt/other/big; sleep 0.01; done`, sandbox.CauseDisk},
		{"half of it", "work", `head -c 33554432 /dev/zero > big; sleep 0.5`, sandbox.CauseExited},
	}
	for i := range 2 * len(tests) {
		tt, profile := tests[i/2], []string{"ci", "hostile"}[i%2]
		t.Run(tt.name+"/"+profile, func(t *testing.T) {
			b := newBench(t)
			other := filepath.Join(filepath.Dir(b.work), "other")
			folder := map[string]string{"work": b.work, "state": b.state, "other": other}[tt.folder]
			if err := os.MkdirAll(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=64m,nr_inodes=4096"); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = syscall.Unmount(folder, syscall.MNT_DETACH) })
			// It would not end by itself, nor on SIGTERM before the grace is over.
			const long, late = 5 * time.Minute, 3 * time.Minute
			policy := executor.Policy{Profile: profile, NoNetwork: true, Limits: sandbox.Limits{MemoryBytes: 256 << 20, Pids: 64, Wall: long}}
			if tt.folder == "other" {
				policy.Mounts = []sandbox.Mount{{Source: other, Target: "/mnt/other", Write: true}}
			}
			_, report, err := b.run(t, executor.Request{Policy: policy, Grace: long}, tt.script)
			if err != nil {
				t.Fatal(err)
			}
			if report.Cause != tt.want {
				t.Errorf("cause %s, want %s", report.Cause, tt.want)
			}
			if d := report.Usage.WallMS; d > late.Milliseconds() {
				t.Errorf("it went on for %d ms", d)
			}
			if tt.folder == "work" {
				_ = os.Remove(filepath.Join(folder, "big"))
			}
		})
	}
}

// TestDiskWatchBegins before the command: who fills the disk at once is ended too.
func TestDiskWatchBegins(t *testing.T) {
	b := newBench(t)
	if err := syscall.Mount("tmpfs", b.work, "tmpfs", 0, "size=64m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(b.work, syscall.MNT_DETACH) })
	r := executor.Request{Policy: executor.Policy{NoNetwork: true, Limits: sandbox.Limits{Wall: 5 * time.Minute}}}
	r.Phase = func(name string) {
		for name == "" { // it runs: we are late
			if _, err := os.Lstat(filepath.Join(b.work, "full")); err == nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
	_, report, err := b.run(t, r, `head -c 66500000 /dev/zero >big; mv big full; sleep 1000`)
	if err != nil {
		t.Fatal(err)
	}
	if report.Cause != sandbox.CauseDisk {
		t.Errorf("cause %s, want %s", report.Cause, sandbox.CauseDisk)
	}
}
