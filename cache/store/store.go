// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"time"
)

// ErrNotFound says that a key has no entry, or none that can be trusted.
var ErrNotFound = errors.New("not in the store")

// touchAfter is how old a last use becomes before it is written again.
const touchAfter = 10 * time.Minute

// Config says where a store is and how large it may become.
type Config struct {
	Dir      string // absolute; made if it is not there
	MaxBytes int64  // of content; 0 means DefaultMaxBytes, negative no limit
	MinFree  int64  // bytes the disk keeps free: below it nothing of Create is stored, below a quarter nothing; 0 means DefaultMinFree, negative no limit
}

// The defaults of Config.
const (
	DefaultMaxBytes int64 = 20 << 30
	DefaultMinFree  int64 = 1 << 30
)

// Store is a folder of files by content. It is safe for concurrent use, also by
// several processes.
type Store struct {
	dir  string
	root *os.Root
	max  int64
	free int64
	wait time.Duration // for the gate

	buffers sync.Pool // of *[64 << 10]byte, for hashing

	mu      sync.Mutex
	trusted map[Digest]identity // hashed by this process
	written int64               // since the last prune
	pruning bool
	work    sync.WaitGroup
	closed  bool
}

// trustedMost bounds what is remembered of files that were hashed; more of them
// are hashed again.
const trustedMost = 100_000

// Open makes or opens a store. It refuses a folder that others could write to.
func Open(c Config) (*Store, error) {
	if !filepath.IsAbs(c.Dir) {
		return nil, fmt.Errorf("store %q: want an absolute path", c.Dir)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	info, err := os.Lstat(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := ours(info); err != nil {
		return nil, fmt.Errorf("store %s: %w", c.Dir, err)
	}
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	for _, d := range []string{"blobs/sha256", "index", "tmp", "locks", "quarantine", "links"} {
		if err := root.MkdirAll(d, 0o700); err != nil {
			return nil, errors.Join(fmt.Errorf("store %s: %w", c.Dir, err), root.Close())
		}
	}
	s := &Store{dir: c.Dir, root: root, max: c.MaxBytes, free: c.MinFree, wait: gateWait, trusted: map[Digest]identity{}}
	s.buffers.New = func() any { return new([64 << 10]byte) }
	if s.max == 0 {
		s.max = DefaultMaxBytes
	}
	if s.free == 0 {
		s.free = DefaultMinFree
	}
	s.sweep()
	return s, nil
}

// Dir returns where the store is.
func (s *Store) Dir() string { return s.dir }

// Close waits for what runs in the background.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.work.Wait()
	return s.root.Close()
}

// Entry is a record with its bytes.
type Entry struct {
	Record Record
	*os.File
}

// Get opens the content of a key. The caller closes it. It stays readable when
// the entry is evicted meanwhile.
func (s *Store) Get(key string) (*Entry, error) {
	r, err := s.Look(key)
	if err != nil {
		return nil, err
	}
	return s.Open(r)
}

// Open is Get for who has looked already: the content is that of the record.
func (s *Store) Open(r Record) (*Entry, error) {
	f, err := s.openBlob(r.SHA256, r.Size)
	if err != nil {
		if errors.Is(err, ErrNotFound) {
			_ = s.root.Remove(indexPath(r.Key)) // it leads nowhere; somebody else may have removed it
		}
		return nil, err
	}
	s.touch(r)
	return &Entry{Record: r, File: f}, nil
}

// Look returns the record of a key without opening its content.
func (s *Store) Look(key string) (Record, error) {
	name := indexPath(key)
	r, err := s.readRecord(name)
	switch {
	case errors.Is(err, errBadRecord):
		_ = s.root.Remove(name)
		return Record{}, ErrNotFound
	case errors.Is(err, fs.ErrNotExist):
		return Record{}, ErrNotFound
	case err != nil:
		return Record{}, fmt.Errorf("store: %w", err)
	case r.Key != key:
		return Record{}, ErrNotFound
	}
	return r, nil
}

func (s *Store) readRecord(name string) (Record, error) {
	f, err := s.root.Open(name)
	if err != nil {
		return Record{}, err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return Record{}, err
	}
	b, err := io.ReadAll(io.LimitReader(f, recordMost+1))
	if err != nil {
		return Record{}, err
	}
	r, err := decodeRecord(b)
	r.Used = info.ModTime()
	return r, err
}

// touch notes a use.
func (s *Store) touch(r Record) {
	if now := time.Now(); now.Sub(r.Used) > touchAfter || r.Used.After(now.Add(touchAfter)) {
		_ = s.root.Chtimes(indexPath(r.Key), now, now) // it may have been evicted
	}
}

// Content opens content by its digest and size, under whatever key it is.
func (s *Store) Content(d Digest, size int64) (*os.File, error) { return s.openBlob(d, size) }

// openBlob opens content and makes sure that it is what its name says.
func (s *Store) openBlob(d Digest, size int64) (*os.File, error) {
	f, err := s.root.Open(blobPath(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	ok, err := s.check(f, d, size)
	if err == nil && ok {
		return f, nil
	}
	_ = f.Close()
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", d, err)
	}
	s.quarantine(d)
	return nil, ErrNotFound
}

// check hashes a file unless this process did already and it has not changed.
func (s *Store) check(f *os.File, d Digest, size int64) (bool, error) {
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() || info.Size() != size {
		return false, nil
	}
	now := identify(info)
	s.mu.Lock()
	known := s.trusted[d] == now
	s.mu.Unlock()
	if known {
		return true, nil
	}
	h := newHash(SHA256)
	b := s.buffers.Get().(*[64 << 10]byte)                  //nolint:forcetypeassert // New has made it
	_, err = io.CopyBuffer(h, struct{ io.Reader }{f}, b[:]) // a File would bring a buffer of its own
	s.buffers.Put(b)
	if err != nil {
		return false, err
	}
	if sumOf(SHA256, h) != d {
		return false, nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	s.trust(d, now)
	return true, nil
}

func (s *Store) trust(d Digest, id identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.trusted) >= trustedMost {
		clear(s.trusted)
	}
	s.trusted[d] = id
}

// quarantine takes content out of service but keeps it for people to look at.
func (s *Store) quarantine(d Digest) {
	if err := s.root.Rename(blobPath(d), "quarantine/"+d.Value()); err != nil {
		_ = s.root.Remove(blobPath(d))
	}
}

// Remove takes a key away; its content goes with the next Prune.
func (s *Store) Remove(key string) error {
	if err := s.root.Remove(indexPath(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// Records calls each with every record until it returns false.
func (s *Store) Records(ctx context.Context, each func(Record) bool) error {
	return s.files(ctx, "index", func(name string, _ fs.DirEntry) error {
		r, err := s.readRecord(name)
		if err != nil || indexPath(r.Key) != name {
			if errors.Is(err, errBadRecord) || err == nil {
				_ = s.root.Remove(name)
			}
			return nil // an entry that cannot be read is no entry
		}
		if !each(r) {
			return fs.SkipAll
		}
		return nil
	})
}

// sweep removes what dead writers left.
func (s *Store) sweep() {
	s.sweepLinks()
	entries, err := fs.ReadDir(s.root.FS(), "tmp")
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < time.Minute {
			continue // it may not be locked yet
		}
		name := path.Join("tmp", e.Name())
		f, err := s.root.Open(name)
		if err != nil {
			continue
		}
		if tryLock(f, true) {
			_ = s.root.Remove(name)
		}
		_ = f.Close()
	}
}
