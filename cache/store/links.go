// SPDX-License-Identifier: Apache-2.0

package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"
)

// Links is a folder of hard links to content, for one job to see by names of its own.
// Its owner sees to it that nothing is written through a link: the bytes are the store's.
// They stay readable when the entry is evicted. It is not safe for concurrent use.
type Links struct {
	s     *Store
	name  string
	lock  *os.File
	dirs  map[string]bool
	links map[Digest]string // one name of each content
}

// NewLinks makes an empty folder. What a killed process leaves of it the next Open
// removes.
func (s *Store) NewLinks() (*Links, error) {
	l := &Links{s: s, name: "links/" + rand.Text(), dirs: map[string]bool{".": true}, links: map[Digest]string{}}
	// The job passes through it, not through the folders above.
	if err := s.root.MkdirAll(l.name, 0o700); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	f, err := s.root.Open(l.name)
	if err == nil && !tryLock(f, true) {
		err = errors.Join(errors.New("a new folder is locked"), f.Close())
	}
	if err == nil {
		l.lock, err = f, s.root.Chmod(l.name, 0o755)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: %w", err), s.root.RemoveAll(l.name))
	}
	return l, nil
}

// Dir returns where it is.
func (l *Links) Dir() string { return filepath.Join(l.s.dir, l.name) }

// Add links the content of an entry under a relative, clean path. ErrNotFound says that
// it cannot be had: evicted meanwhile, or linked as often as the file system allows.
func (l *Links) Add(e *Entry, name string) error {
	if !filepath.IsLocal(name) || path.Clean(name) != name {
		return fmt.Errorf("bug: link %q is no clean path", name)
	}
	if err := l.mkdir(path.Dir(name)); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	d := e.Record.SHA256
	before, err := e.Stat()
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	// Paths of ours, which nobody else can change.
	full := filepath.Join(l.Dir(), name)
	switch err := os.Link(filepath.Join(l.s.dir, blobPath(d)), full); {
	case errors.Is(err, fs.ErrExist):
		return nil
	case errors.Is(err, fs.ErrNotExist), tooManyLinks(err):
		return ErrNotFound
	case err != nil:
		return fmt.Errorf("store: %w", err)
	}
	// What was hashed must be what is linked: it may have been replaced in between.
	if linked, err := os.Lstat(full); err != nil || !os.SameFile(before, linked) {
		return errors.Join(ErrNotFound, err, os.Remove(full))
	}
	l.links[d] = name
	l.s.relinked(d, identify(before), e.Stat)
	return nil
}

// Write makes a file of the folder's own, with the path as for Add.
func (l *Links) Write(name string, data []byte) error {
	if !filepath.IsLocal(name) || path.Clean(name) != name {
		return fmt.Errorf("bug: file %q is no clean path", name)
	}
	if err := l.mkdir(path.Dir(name)); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := os.WriteFile(filepath.Join(l.Dir(), name), data, 0o644); err != nil { //nolint:gosec // a job reads it
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// mkdir makes a directory once.
func (l *Links) mkdir(dir string) error {
	if l.dirs[dir] {
		return nil
	}
	if err := l.mkdir(path.Dir(dir)); err != nil {
		return err
	}
	l.dirs[dir] = true
	return os.Mkdir(filepath.Join(l.Dir(), dir), 0o755) //nolint:gosec // a job passes through
}

// relinked keeps trust in content whose time of change is new because a name of it came
// or went: nothing else may have changed meanwhile.
func (s *Store) relinked(d Digest, before identity, stat func() (fs.FileInfo, error)) {
	s.mu.Lock()
	known := s.trusted[d] == before
	s.mu.Unlock()
	info, err := stat()
	if err != nil || !known {
		return
	}
	after := identify(info)
	if after.ctime = before.ctime; after == before {
		s.trust(d, identify(info))
	}
}

// Close removes the folder. The content stays.
func (l *Links) Close() error {
	var errs []error
	for d, name := range l.links {
		full := filepath.Join(l.Dir(), name)
		before, err := os.Lstat(full)
		if err != nil {
			continue // RemoveAll finds out
		}
		if err := os.Remove(full); err == nil {
			l.s.relinked(d, identify(before), func() (fs.FileInfo, error) { return os.Lstat(filepath.Join(l.s.dir, blobPath(d))) })
		}
	}
	errs = append(errs, os.RemoveAll(l.Dir()), l.lock.Close())
	return errors.Join(errs...)
}

// sweepLinks removes what dead processes left.
func (s *Store) sweepLinks() {
	entries, err := fs.ReadDir(s.root.FS(), "links")
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < time.Minute {
			continue // it may not be locked yet
		}
		name := path.Join("links", e.Name())
		f, err := s.root.Open(name)
		if err != nil {
			continue
		}
		if tryLock(f, true) {
			_ = s.root.RemoveAll(name)
		}
		_ = f.Close()
	}
}
