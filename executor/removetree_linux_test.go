// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/testenv"
)

// bury makes a directory that is as deep as wanted, from the bottom upwards, with
// a file at the bottom and an empty directory beside each level.
func bury(t *testing.T, where string, levels int) {
	t.Helper()
	dir, above := filepath.Join(where, "d"), filepath.Join(where, "above")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o400); err != nil {
		t.Fatal(err)
	}
	for range levels {
		for _, err := range []error{
			os.Mkdir(above, 0o700), os.Mkdir(filepath.Join(above, "e"), 0), os.Rename(dir, filepath.Join(above, "d")), os.Rename(above, dir),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestRemoveTreeHoldsFewDirectories removes a tree that is deeper than this
// process may open files.
func TestRemoveTreeHoldsFewDirectories(t *testing.T) {
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	few := unix.Rlimit{Cur: min(old.Cur, 256), Max: old.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &old) })
	dir := filepath.Join(t.TempDir(), "job")
	bury(t, dir, 1000)
	for i := range 3 { // names that the removal would give
		if err := os.Mkdir(filepath.Join(dir, fmt.Sprintf(".removed-%d", i)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(dir); err == nil {
		t.Fatal("os.RemoveAll can do it too: the test proves nothing")
	}
	if err := removeTree(dir, jobLock); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(dir); err == nil {
		t.Error("it is still there")
	}
}

// TestRemoveTreeTakesTheLockLast: what cannot be removed keeps its lock, and so
// the job its ids.
func TestRemoveTreeTakesTheLockLast(t *testing.T) {
	if os.Geteuid() != 0 {
		testenv.Missing(t, "needs root: a mount")
	}
	dir := t.TempDir()
	held := filepath.Join(dir, "a", "held")
	if err := os.MkdirAll(held, 0o700); err != nil {
		t.Fatal(err)
	}
	lock, err := tryLock(filepath.Join(dir, jobLock))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Mount("none", held, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(held, 0) })
	inside := filepath.Join(held, "canary")
	if err := os.WriteFile(inside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := removeTree(dir, jobLock); err == nil || !strings.Contains(err.Error(), "held") {
		t.Errorf("got %v, want an error that names the mount", err)
	}
	for _, kept := range []string{inside, filepath.Join(dir, jobLock)} {
		if _, err := os.Lstat(kept); err != nil {
			t.Error(err)
		}
	}
}

// TestSweepOfOneThatIsRemoved: the sweeps of other runners leave it alone.
func TestSweepOfOneThatIsRemoved(t *testing.T) {
	dir := t.TempDir()
	if _, err := lockExisting(filepath.Join(dir, jobLock)); err == nil {
		t.Error("a folder without its lock was locked")
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
		t.Errorf("got %v %v", list, err)
	}
}
