// SPDX-License-Identifier: Apache-2.0

//go:build linux

package executor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
		j, err := newJob(state)
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
	j, err := newJob(state)
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
	alive, err := newJob(state)
	if err != nil {
		t.Fatal(err)
	}
	dead, err := newJob(state)
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
	if err := sweep(state, cgroup.Hierarchies{}); err != nil {
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

func TestStateOfSomebodyElse(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: a folder of another user")
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
