// SPDX-License-Identifier: Apache-2.0

//go:build linux

package executor

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox/cgroup"
)

func TestSlotsAreNotShared(t *testing.T) {
	state, err := prepareState(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	var jobs []*jobState
	for range 5 {
		j, err := newJob(state, jobFile{})
		if err != nil {
			t.Fatal(err)
		}
		if seen[j.Slot] {
			t.Fatalf("slot %d is given twice", j.Slot)
		}
		seen[j.Slot] = true
		jobs = append(jobs, j)
	}
	// The ids of a dead job whose folder could not be removed stay taken.
	dead := jobs[0]
	dead.close()
	j, err := newJob(state, jobFile{})
	if err != nil {
		t.Fatal(err)
	}
	if j.Slot == dead.Slot {
		t.Error("the slot of a dead job is given again while its folder is there")
	}
	for _, j := range append(jobs[1:], j) {
		if err := j.remove(); err != nil {
			t.Error(err)
		}
	}
}

func TestSweep(t *testing.T) {
	state, err := prepareState(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "mine")
	if err := os.WriteFile(outside, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	alive, err := newJob(state, jobFile{})
	if err != nil {
		t.Fatal(err)
	}
	dead, err := newJob(state, jobFile{})
	if err != nil {
		t.Fatal(err)
	}
	// What a job may leave to hurt who cleans up.
	deep := filepath.Join(dead.Dir, strings.Repeat("d/", 500))
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(outside), filepath.Join(dead.Dir, "link")); err != nil {
		t.Fatal(err)
	}
	dead.close()
	if err := sweep(t.Context(), state, cgroup.Hierarchies{}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dead.Dir); err == nil {
		t.Error("the dead job is still there")
	}
	if _, err := os.Stat(alive.Dir); err != nil {
		t.Error("the running job is gone")
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error("a link was followed")
	}
	if err := alive.remove(); err != nil {
		t.Fatal(err)
	}
}

// TestSweepOtherTimes: a folder that has no name yet may be another runner's that
// just starts, unless it is old. One from the future is no young one.
func TestSweepOtherTimes(t *testing.T) {
	state, err := prepareState(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{".young": true, ".old": false, ".future": false, "named-old": false, "named-future": false}
	for name, age := range map[string]time.Duration{".young": 0, ".old": time.Hour, ".future": -time.Hour, "named-old": time.Hour, "named-future": -time.Hour} {
		dir := filepath.Join(state, "jobs", name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(-age)
		if err := os.Chtimes(dir, when, when); err != nil {
			t.Fatal(err)
		}
	}
	if err := sweep(t.Context(), state, cgroup.Hierarchies{}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	for name, stays := range want {
		if _, err := os.Lstat(filepath.Join(state, "jobs", name)); (err == nil) != stays {
			t.Errorf("%s: stays %v, want %v", name, err == nil, stays)
		}
	}
}

func TestClockSince(t *testing.T) {
	const second = int64(time.Second)
	began := clock{Wall: 1000 * second, Up: 50 * second, Boot: "a"}
	for _, tt := range []struct {
		name string
		now  clock
		want int64
	}{
		{"nothing happened", clock{Wall: 1010 * second, Up: 60 * second, Boot: "a"}, 1000 * second},
		{"set back by 300 s", clock{Wall: 710 * second, Up: 60 * second, Boot: "a"}, 700 * second},
		{"set forward by 300 s", clock{Wall: 1310 * second, Up: 60 * second, Boot: "a"}, 1000 * second},
		{"started again", clock{Wall: 1100 * second, Up: 3 * second, Boot: "b"}, 1000 * second},
		{"nobody knows which start", clock{Wall: 710 * second, Up: 60 * second}, 1000 * second},
	} {
		if got := began.since(tt.now); got != tt.want-kernelLag {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want-kernelLag)
		}
	}
	// Both clocks run, and one second of theirs is one of ours.
	a := readClock()
	time.Sleep(10 * time.Millisecond)
	if b := readClock(); b.Wall <= a.Wall || b.Up <= a.Up || b.Boot != a.Boot || a.Boot == "" {
		t.Errorf("got %+v, then %+v", a, b)
	}
}

func TestStateOfSomebodyElse(t *testing.T) {
	if os.Geteuid() != 0 {
		testenv.Missing(t, "needs root: a folder of another user")
	}
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if _, err := prepareState(dir); err == nil || !strings.Contains(err.Error(), "belongs to uid 12345") {
		t.Errorf("got %v", err)
	}
}
