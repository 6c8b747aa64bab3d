// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// link links what a key has.
func link(t *testing.T, s *Store, l *Links, key, name string) error {
	t.Helper()
	e, err := s.Get(key)
	if err != nil {
		return err
	}
	err = l.Add(e, name)
	return errors.Join(err, e.Close())
}

// stored puts a text.
func stored(t *testing.T, s *Store, key, text string) Record {
	t.Helper()
	r, err := put(t, s, key, []byte(text))
	if err != nil {
		t.Error(err)
	}
	return r
}

// TestLinks: what is linked stays readable when it is evicted, and nothing is left.
func TestLinks(t *testing.T) {
	s := open(t, Config{})
	stored(t, s, "a", "content of a")
	stored(t, s, "b", "content of b")
	l, err := s.NewLinks()
	if err != nil {
		t.Fatal(err)
	}
	for key, name := range map[string]string{"a": "x/y/a", "b": "x/y/b"} {
		if err := link(t, s, l, key, name); err != nil {
			t.Fatal(err)
		}
		if err := link(t, s, l, key, name); err != nil {
			t.Errorf("a second time: %v", err)
		}
	}
	for _, name := range []string{"../out", "/abs", "x//y", "x/../y"} {
		if err := link(t, s, l, "a", name); err == nil {
			t.Errorf("%q was linked", name)
		}
	}
	if _, err := s.Prune(t.Context(), 0, true); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get("a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("not evicted: %v", err)
	}
	if b, err := os.ReadFile(filepath.Join(l.Dir(), "x/y/a")); err != nil || string(b) != "content of a" {
		t.Errorf("%q, %v", b, err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(filepath.Join(s.Dir(), "links")); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// TestLinksGone: content that vanished or was replaced between the look and the link is
// not linked.
func TestLinksGone(t *testing.T) {
	s := open(t, Config{})
	r := stored(t, s, "a", "content of a")
	l, err := s.NewLinks()
	if err != nil {
		t.Fatal(err)
	}
	e, err := s.Get("a")
	if err != nil {
		t.Fatal(err)
	}
	blob := filepath.Join(s.Dir(), blobPath(r.SHA256))
	if err := os.Remove(blob); err != nil {
		t.Fatal(err)
	}
	if err := l.Add(e, "a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("gone: %v", err)
	}
	if err := os.WriteFile(blob, []byte("something else"), 0o444); err != nil {
		t.Fatal(err)
	}
	if err := l.Add(e, "a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("replaced: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(l.Dir(), "a")); err == nil {
		t.Error("what replaced it is linked")
	}
	if err := errors.Join(e.Close(), l.Close()); err != nil {
		t.Error(err)
	}
}

// TestLinksKeepTrust: a link that comes and goes costs no second hashing, and does not
// hide a change.
func TestLinksKeepTrust(t *testing.T) {
	s := open(t, Config{})
	r := stored(t, s, "a", "content of a")
	known := func() bool {
		info, err := os.Lstat(filepath.Join(s.Dir(), blobPath(r.SHA256)))
		if err != nil {
			t.Fatal(err)
		}
		return s.trusted[r.SHA256] == identify(info)
	}
	l, err := s.NewLinks()
	if err != nil {
		t.Fatal(err)
	}
	if err := link(t, s, l, "a", "a"); err != nil || !known() {
		t.Errorf("%v, known %v", err, known())
	}
	if err := l.Close(); err != nil || !known() {
		t.Errorf("closed: %v, known %v", err, known())
	}
	if l, err = s.NewLinks(); err != nil {
		t.Fatal(err)
	}
	if err := link(t, s, l, "a", "a"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(l.Dir(), "a"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(l.Dir(), "a"), []byte("Content of a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get("a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("changed content is served: %v", err)
	}
}

// TestLinksOfTheDead: the next Open removes what nobody holds, and nothing else.
func TestLinksOfTheDead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := open(t, Config{Dir: dir})
	stored(t, s, "a", "content of a")
	var all []*Links
	for range 3 {
		l, err := s.NewLinks()
		if err != nil {
			t.Fatal(err)
		}
		if err := link(t, s, l, "a", "d/a"); err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	old := time.Now().Add(-time.Hour)
	for _, l := range all[:2] {
		if err := os.Chtimes(l.Dir(), old, old); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range all[1:] {
		if err := l.lock.Close(); err != nil { // as the kernel does when a process dies
			t.Fatal(err)
		}
	}
	open(t, Config{Dir: dir})
	for i, want := range []bool{true, false, true} { // held, dead, too young to tell
		if _, err := os.Lstat(filepath.Join(all[i].Dir(), "d/a")); (err == nil) != want {
			t.Errorf("%d: %v", i, err)
		}
	}
	if err := all[0].Close(); err != nil {
		t.Error(err)
	}
}

// TestLinksBesideEviction links while other runners evict and store: each link is whole.
func TestLinksBesideEviction(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s, other := open(t, Config{Dir: dir}), open(t, Config{Dir: dir})
	const n = 20
	text := func(i int) string { return fmt.Sprintf("content of %d", i) }
	for i := range n {
		stored(t, s, strconv.Itoa(i), text(i))
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := other.Prune(t.Context(), 0, true); err != nil {
				t.Error(err)
				return
			}
			stored(t, other, strconv.Itoa(i%n), text(i%n))
		}
	})
	linked := 0
	for range 20 {
		l, err := s.NewLinks()
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			stored(t, s, strconv.Itoa(i), text(i))
			name := "d/" + strconv.Itoa(i)
			switch err := link(t, s, l, strconv.Itoa(i), name); {
			case errors.Is(err, ErrNotFound):
			case err != nil:
				t.Error(err)
			default:
				linked++
				if b, err := os.ReadFile(filepath.Join(l.Dir(), name)); err != nil || string(b) != text(i) {
					t.Errorf("%q, %v", b, err)
				}
			}
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	if linked == 0 {
		t.Error("nothing was linked")
	}
}
