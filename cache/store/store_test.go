// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func open(tb testing.TB, c Config) *Store {
	tb.Helper()
	if c.Dir == "" {
		c.Dir = filepath.Join(tb.TempDir(), "store")
	}
	if c.MinFree == 0 {
		c.MinFree = -1
	}
	s, err := Open(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func sha256Of(b []byte) Digest {
	h := newHash(SHA256)
	_, _ = h.Write(b)
	return sumOf(SHA256, h)
}

func put(tb testing.TB, s *Store, key string, content []byte, want ...Digest) (Record, error) {
	tb.Helper()
	t, err := s.Create(want)
	if err != nil {
		tb.Fatal(err)
	}
	defer t.Discard()
	if _, err := t.Write(content); err != nil {
		tb.Fatal(err)
	}
	return t.Commit(tb.Context(), Record{Key: key, Group: "test", Name: key, Version: "1"}, want)
}

func get(tb testing.TB, s *Store, key string) ([]byte, error) {
	tb.Helper()
	e, err := s.Get(key)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	b, err := io.ReadAll(e)
	if err != nil {
		tb.Fatal(err)
	}
	return b, nil
}

func TestPutGet(t *testing.T) {
	s := open(t, Config{})
	if _, err := get(t, s, "a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("empty store: %v", err)
	}
	content := []byte("hello")
	r, err := put(t, s, "a", content, sha256Of(content))
	if err != nil {
		t.Fatal(err)
	}
	if r.Size != 5 || r.SHA256 != sha256Of(content) || len(r.Checked) != 1 {
		t.Errorf("record %+v", r)
	}
	if b, err := get(t, s, "a"); err != nil || !bytes.Equal(b, content) {
		t.Errorf("got %q, %v", b, err)
	}
	info, err := os.Stat(filepath.Join(s.Dir(), blobPath(r.SHA256)))
	if err != nil || info.Mode().Perm() != 0o444 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// Other bytes than those that were wanted never become visible, whatever the
// algorithm.
func TestCommitRefusesOtherBytes(t *testing.T) {
	good := []byte("good")
	h := NewHasher([]Digest{"sha512:", "sha1:", "sha384:"})
	_, _ = h.Write(good)
	for _, algorithm := range []string{SHA256, SHA384, SHA512, SHA1} {
		t.Run(algorithm, func(t *testing.T) {
			s := open(t, Config{})
			want := h.Sum(algorithm)
			_, err := put(t, s, "k", []byte("evil"), want)
			if e, ok := errors.AsType[*MismatchError](err); !ok || e.Want[0] != want {
				t.Errorf("error %v", err)
			}
			if _, err := get(t, s, "k"); !errors.Is(err, ErrNotFound) {
				t.Errorf("visible: %v", err)
			}
			if u, err := s.Usage(t.Context()); err != nil || u != (Usage{}) {
				t.Errorf("left %+v, %v", u, err)
			}
			if _, err := put(t, s, "k", good, want); err != nil {
				t.Error(err)
			}
		})
	}
}

// The weaker of two digests says nothing where a stronger one does.
func TestStrongestDecides(t *testing.T) {
	evil := []byte("evil")
	h := NewHasher([]Digest{"sha1:", "sha512:"})
	_, _ = h.Write(evil)
	other := NewHasher([]Digest{"sha512:"})
	_, _ = other.Write([]byte("good"))
	s := open(t, Config{})
	if _, err := put(t, s, "k", evil, h.Sum(SHA1), other.Sum(SHA512)); err == nil {
		t.Error("a matching sha1 let a wrong sha512 pass")
	}
}

func TestDamageIsAMiss(t *testing.T) {
	for _, tt := range []struct {
		name   string
		damage func(path string) error
	}{
		{"flipped bit", func(path string) error { return rewrite(path, []byte("hellp")) }},
		{"truncated", func(path string) error { return rewrite(path, []byte("hel")) }},
		{"empty", func(path string) error { return rewrite(path, nil) }},
		{"gone", os.Remove},
		{"a link to another file", func(path string) error {
			return errors.Join(os.Remove(path), os.Symlink("/etc/passwd", path))
		}},
	} {
		for _, reopen := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s reopen=%v", tt.name, reopen), func(t *testing.T) {
				s := open(t, Config{})
				r, err := put(t, s, "k", []byte("hello"))
				if err != nil {
					t.Fatal(err)
				}
				if err := tt.damage(filepath.Join(s.Dir(), blobPath(r.SHA256))); err != nil {
					t.Fatal(err)
				}
				if reopen {
					s = open(t, Config{Dir: s.Dir()})
				}
				if b, err := get(t, s, "k"); err == nil {
					t.Errorf("served %q", b)
				}
				if _, err := put(t, s, "k", []byte("hello")); err != nil {
					t.Fatal(err)
				}
				if b, err := get(t, s, "k"); err != nil || string(b) != "hello" {
					t.Errorf("after the next put: %q, %v", b, err)
				}
			})
		}
	}
}

func overwrite(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := rewrite(path, b); err != nil {
		t.Fatal(err)
	}
}

func rewrite(path string, b []byte) error {
	return errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, b, 0o600))
}

func TestDamagedRecordIsAMiss(t *testing.T) {
	s := open(t, Config{})
	if _, err := put(t, s, "k", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.Dir(), indexPath("k"))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, path, bytes.Replace(b, []byte(`"name":"k"`), []byte(`"name":"x"`), 1))
	if _, err := get(t, s, "k"); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func TestVerify(t *testing.T) {
	s := open(t, Config{})
	var bad Record
	for i := range 5 {
		r, err := put(t, s, fmt.Sprint("k", i), fmt.Append(nil, "content ", i))
		if err != nil {
			t.Fatal(err)
		}
		if i == 3 {
			bad = r
		}
	}
	v, err := s.Verify(t.Context())
	if err != nil || v.Files != 5 || v.Entries != 5 || len(v.Faults) != 0 {
		t.Errorf("sound store: %+v, %v", v, err)
	}
	path := filepath.Join(s.Dir(), blobPath(bad.SHA256))
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, path, []byte("content X"))
	// Somebody who hides the change by the times is found too.
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	v, err = s.Verify(t.Context())
	if err != nil || len(v.Faults) != 1 || v.Faults[0].Digest != bad.SHA256 || v.Faults[0].Name != "k3@1" {
		t.Errorf("damaged store: %+v, %v", v, err)
	}
	if _, err := os.Stat(filepath.Join(s.Dir(), "quarantine", bad.SHA256.Value())); err != nil {
		t.Error(err)
	}
	if v, err = s.Verify(t.Context()); err != nil || len(v.Faults) != 0 || v.Entries != 4 {
		t.Errorf("second time: %+v, %v", v, err)
	}
	// It is there for people to look at, until they want the place back.
	for _, all := range []bool{false, true} {
		if _, err := s.Prune(t.Context(), 0, all); err != nil {
			t.Fatal(err)
		}
		if left, _ := os.ReadDir(filepath.Join(s.Dir(), "quarantine")); (len(left) == 0) != all {
			t.Errorf("all %v: %d files are in quarantine", all, len(left))
		}
	}
}

func TestPruneByLastUse(t *testing.T) {
	s := open(t, Config{MaxBytes: -1})
	age := func(key string, d time.Duration) {
		when := time.Now().Add(-d)
		if err := os.Chtimes(filepath.Join(s.Dir(), indexPath(key)), when, when); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 6 {
		key := fmt.Sprint("k", i)
		if _, err := put(t, s, key, bytes.Repeat([]byte{byte(i)}, 1000)); err != nil {
			t.Fatal(err)
		}
		age(key, time.Duration(10-i)*time.Hour) // k0 is the oldest
	}
	if _, err := get(t, s, "k0"); err != nil { // a use makes it the youngest
		t.Fatal(err)
	}
	p, err := s.Prune(t.Context(), 3000, false)
	if err != nil || p.Evicted != 3 || p.After != (Usage{3, 3, 3000}) {
		t.Errorf("%+v, %v", p, err)
	}
	for i := range 6 {
		_, err := get(t, s, fmt.Sprint("k", i))
		if want := i == 0 || i > 3; (err == nil) != want {
			t.Errorf("k%d: %v", i, err)
		}
	}
	// All are in use now: nothing goes, and with all everything does.
	if p, err = s.Prune(t.Context(), 0, false); err != nil || p.Evicted != 0 {
		t.Errorf("in use: %+v, %v", p, err)
	}
	if p, err = s.Prune(t.Context(), 0, true); err != nil || p.After != (Usage{}) {
		t.Errorf("all: %+v, %v", p, err)
	}
}

// Two keys of the same content keep it until both are gone.
func TestSharedContent(t *testing.T) {
	s := open(t, Config{MaxBytes: -1})
	for _, key := range []string{"a", "b"} {
		if _, err := put(t, s, key, []byte("same")); err != nil {
			t.Fatal(err)
		}
	}
	if u, err := s.Usage(t.Context()); err != nil || u != (Usage{2, 1, 4}) {
		t.Errorf("%+v, %v", u, err)
	}
	if err := s.Remove("a"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Prune(t.Context(), -1, true); err != nil {
		t.Fatal(err)
	}
	if _, err := get(t, s, "b"); err != nil {
		t.Error(err)
	}
	if err := s.Remove("b"); err != nil {
		t.Fatal(err)
	}
	if p, err := s.Prune(t.Context(), -1, true); err != nil || p.After.Files != 0 {
		t.Errorf("%+v, %v", p, err)
	}
}

// A store that only grows stays near its limit by itself.
func TestQuotaHolds(t *testing.T) {
	s := open(t, Config{MaxBytes: 8 << 20})
	old := time.Now().Add(-time.Hour)
	for i := range 40 {
		key := strconv.Itoa(i)
		if _, err := put(t, s, key, append(bytes.Repeat([]byte{1}, 1<<20), byte(i))); err != nil {
			t.Fatal(err)
		}
		_ = os.Chtimes(filepath.Join(s.Dir(), indexPath(key)), old, old)
		s.work.Wait()
	}
	u, err := s.Usage(t.Context())
	if err != nil || u.Bytes > 10<<20 || u.Bytes < 4<<20 {
		t.Errorf("%+v, %v", u, err)
	}
}

func TestMinFree(t *testing.T) {
	left, err := freeBytes(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for free, scratch := range map[int64]bool{2 * left: true, 8 * left: false} {
		s := open(t, Config{MinFree: free})
		if _, err := s.Create(nil); !errors.Is(err, ErrNoSpace) {
			t.Errorf("%v", err)
		}
		temp, err := s.Scratch(nil)
		if (err == nil) != scratch || err != nil && !errors.Is(err, ErrNoSpace) {
			t.Errorf("%d of %d stay free: %v", free, left, err)
		}
		if err == nil {
			temp.Discard()
		}
	}
}

func TestOpenRefusesWhatOthersWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(Config{Dir: dir}); err == nil {
		s.Close()
		t.Error("opened a folder that all may write to")
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(Config{Dir: link}); err == nil {
		s.Close()
		t.Error("followed a link")
	}
}

// One holder at a time, in this process too, and a waiter can give up.
func TestLock(t *testing.T) {
	s := open(t, Config{})
	held, most := 0, 0
	var mu sync.Mutex
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 20 {
				unlock, err := s.Lock(t.Context(), "k")
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				held++
				most = max(most, held)
				mu.Unlock()
				mu.Lock()
				held--
				mu.Unlock()
				unlock()
			}
		})
	}
	group.Wait()
	if most != 1 {
		t.Errorf("%d held the lock at once", most)
	}
	unlock, err := s.Lock(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, errors.New("enough"))
	defer cancel()
	if _, err := s.Lock(ctx, "k"); err == nil || err.Error() != "enough" {
		t.Errorf("%v", err)
	}
}

// A process that was stopped while it holds the gate does not stop the others.
func TestStuckGate(t *testing.T) {
	s := open(t, Config{})
	s.wait = 20 * time.Millisecond
	other := open(t, Config{Dir: s.Dir()})
	unlock, err := other.gate(true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := put(t, s, "k", []byte("x")); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("%v", err)
	}
	unlock()
	if _, err := put(t, s, "k", []byte("x")); err != nil {
		t.Error(err)
	}
}

// What is committed again while Prune looks stays, though it was to go.
func TestCommitDuringPrune(t *testing.T) {
	s := open(t, Config{MaxBytes: -1})
	other := open(t, Config{Dir: s.Dir(), MaxBytes: -1})
	var group sync.WaitGroup
	stop := make(chan struct{})
	group.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := other.Prune(t.Context(), 0, true); err != nil {
				t.Error(err)
				return
			}
		}
	})
	served := 0
	for i := range 300 {
		if _, err := put(t, s, strconv.Itoa(i%3), []byte("same")); err != nil {
			t.Fatal(err)
		}
		if b, err := get(t, s, strconv.Itoa(i%3)); err == nil {
			served++
			if string(b) != "same" {
				t.Errorf("%q", b)
			}
		}
	}
	close(stop)
	group.Wait()
	if v, err := s.Verify(t.Context()); err != nil || len(v.Faults) != 0 {
		t.Errorf("%+v, %v", v, err)
	}
	t.Logf("%d of 300 were there right after", served)
}

// TestCrash kills a process that writes, again and again. What it leaves is a
// right entry or none, and no temporary file stays.
func TestCrash(t *testing.T) {
	if dir := os.Getenv("ZVIZ_STORE_WRITER"); dir != "" {
		write(t, dir)
		return
	}
	dir := filepath.Join(t.TempDir(), "store")
	for round := range 30 {
		cmd, wrote := startWriter(t, dir)
		if round%2 == 0 { // else it may be killed as it begins
			wrote()
		}
		time.Sleep(time.Duration(10+round*5) * time.Millisecond)
		cmd.Process.Kill()
		_ = cmd.Wait()
	}
	old := time.Now().Add(-time.Hour)
	temps, _ := filepath.Glob(filepath.Join(dir, "tmp", "*"))
	for _, name := range temps {
		_ = os.Chtimes(name, old, old)
	}
	s := open(t, Config{Dir: dir})
	if left, _ := filepath.Glob(filepath.Join(dir, "tmp", "*")); len(left) != 0 {
		t.Errorf("temporary files stay: %q", left)
	}
	n := 0
	if err := s.Records(t.Context(), func(r Record) bool {
		n++
		b, err := get(t, s, r.Key)
		if err != nil || !bytes.HasPrefix(b, []byte(r.Key+" ")) || len(b) != len(r.Key)+1+50_000 {
			t.Errorf("%s: %d bytes, %v", r.Key, len(b), err)
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Verify(t.Context()); err != nil || len(v.Faults) != 0 {
		t.Errorf("%+v, %v", v, err)
	}
	if n == 0 {
		t.Error("nothing was written: the test says nothing")
	}
	t.Logf("%d entries, %d temporary files left by the kills", n, len(temps))
}

// startWriter starts a process that writes without end; wrote waits for its first entry.
func startWriter(t *testing.T, dir string) (cmd *exec.Cmd, wrote func()) {
	t.Helper()
	cmd = exec.Command(os.Args[0], "-test.run=^TestCrash$")
	cmd.Env = append(os.Environ(), "ZVIZ_STORE_WRITER="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, func() {
		t.Helper()
		if _, err := io.ReadFull(out, make([]byte, len(firstWritten))); err != nil {
			t.Fatalf("the writer ended: %v", err)
		}
	}
}

const firstWritten = "written\n"

func write(t *testing.T, dir string) {
	t.Helper()
	s, err := Open(Config{Dir: dir, MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	said := false
	for i := 0; ; i++ {
		key := fmt.Sprintf("%d-%d", os.Getpid(), i)
		_, err := put(t, s, key, []byte(key+" "+strings.Repeat("x", 50_000)))
		if err == nil && !said {
			_, _ = os.Stdout.WriteString(firstWritten)
			said = true
		}
	}
}

// Several processes write and evict at the same time; nobody reads wrong bytes.
func TestProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	for range 2 {
		cmd, wrote := startWriter(t, dir)
		defer func() { _ = cmd.Wait() }()
		defer cmd.Process.Kill()
		wrote()
	}
	s := open(t, Config{Dir: dir})
	read, evicted := 0, 0
	for begun, i := time.Now(), 0; i < 30 || evicted == 0 && time.Since(begun) < time.Minute; i++ {
		if err := s.Records(t.Context(), func(r Record) bool {
			b, err := get(t, s, r.Key)
			if err == nil && !bytes.HasPrefix(b, []byte(r.Key+" ")) {
				t.Errorf("%s: wrong bytes", r.Key)
			}
			read++
			return read%50 != 0
		}); err != nil {
			t.Fatal(err)
		}
		p, err := s.Prune(t.Context(), 100_000, true)
		if err != nil {
			t.Fatal(err)
		}
		evicted += p.Evicted
		time.Sleep(20 * time.Millisecond)
	}
	if read == 0 || evicted == 0 {
		t.Errorf("read %d, evicted %d: the test says nothing", read, evicted)
	}
}

func BenchmarkGet(b *testing.B) {
	s := open(b, Config{})
	if _, err := put(b, s, "k", bytes.Repeat([]byte("x"), 40_000)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := get(b, s, "k"); err != nil {
			b.Fatal(err)
		}
	}
}
