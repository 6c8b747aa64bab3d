// SPDX-License-Identifier: Apache-2.0

package folders_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zviz/run/cache/folders"
)

func open(t *testing.T, dir string) *folders.Folders {
	t.Helper()
	f, err := folders.Open(dir, "entries")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestKeep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a/b")
	f := open(t, dir)
	temp, err := f.Temp()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Root.Mkdir(temp.Name+"/entry", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := f.Write(temp.Name+"/entry/file", []byte("text")); err != nil {
		t.Fatal(err)
	}
	if err := f.Keep(temp.Name+"/entry", "entries/x/y"); err != nil {
		t.Fatal(err)
	}
	temp.Discard()
	if b, err := os.ReadFile(filepath.Join(dir, "entries/x/y/file")); err != nil || string(b) != "text" {
		t.Errorf("%q %v", b, err)
	}
	for range 2 { // what is not there is removed already
		if err := f.Remove("entries/x/y"); err != nil {
			t.Error(err)
		}
	}
	if left := append(names(t, filepath.Join(dir, "tmp")), names(t, filepath.Join(dir, "entries/x"))...); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestSweep removes what nobody holds, and nothing else.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	held, err := open(t, dir).Temp()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Discard()
	tmp := filepath.Join(dir, "tmp")
	for _, d := range []string{"dead/sub", "young", "old"} { // as a runner that was killed leaves them
		if err := os.MkdirAll(filepath.Join(tmp, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"dead.lock", "lonely.lock", "note"} {
		if err := os.WriteFile(filepath.Join(tmp, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-2 * time.Hour)
	for _, file := range []string{"old", "dead"} {
		if err := os.Chtimes(filepath.Join(tmp, file), long, long); err != nil {
			t.Fatal(err)
		}
	}
	open(t, dir)
	base := strings.TrimPrefix(held.Name, "tmp/")
	want := map[string]bool{base: true, base + ".lock": true, "young": true, "note": true}
	got := names(t, tmp)
	for _, n := range got {
		if !want[n] {
			t.Errorf("%s is left", n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%v", got)
	}
}

// TestLock: one alone or several together, also when the lock's file goes meanwhile.
func TestLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	var alone, users int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 8 {
		f := open(t, dir)
		wg.Go(func() {
			for range 20 {
				lock, err := f.Lock(t.Context(), "key", i == 0)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if i == 0 {
					alone++
				} else {
					users++
				}
				if alone > 0 && (users > 0 || alone > 1) {
					t.Errorf("%d alone and %d others", alone, users)
				}
				mu.Unlock()
				mu.Lock()
				if i == 0 {
					alone--
				} else {
					users--
				}
				mu.Unlock()
				if i == 0 {
					err = f.Forget("key", lock)
				} else {
					err = lock.Close()
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	f := open(t, dir)
	first, err := f.Lock(t.Context(), "key", false)
	if err != nil {
		t.Fatal(err)
	}
	second, err := f.TryLock("key", false)
	if second == nil || err != nil {
		t.Fatal(second, err)
	}
	if lock, err := f.TryLock("key", true); lock != nil || err != nil {
		t.Error(lock, err)
	}
	if lock, err := f.TryLock("other", true); lock == nil || err != nil {
		t.Error(lock, err)
	} else {
		lock.Close()
	}
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	if _, err := f.Lock(ctx, "key", true); !errors.Is(err, stop) {
		t.Error(err)
	}
	first.Close()
	second.Close()
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, file, link, "relative"} {
		if f, err := folders.Open(d); err == nil {
			f.Close()
			t.Errorf("%s is taken", d)
		}
	}
}
