// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path"
	"time"
)

// ErrNoSpace says that nothing is stored because the disk is nearly full.
var ErrNoSpace = errors.New("the disk is nearly full")

// Temp is content on its way into the store. One goroutine writes it; ReadAt may
// be called by others meanwhile. It ends with Commit or Discard.
type Temp struct {
	s    *Store
	file *os.File
	name string
	hash *Hasher
	size int64
	stay int64 // bytes of the disk that stay free
	left int64 // until the disk is looked at again
	done bool
}

// lookEvery is after how many bytes the disk is looked at again.
const lookEvery = 64 << 20

// Create begins a file; the digests are those that Commit will be asked for.
func (s *Store) Create(want []Digest) (*Temp, error) { return s.create(want, s.free) }

// Scratch is Create also when the disk is nearly full, for what is small or goes again:
// it leaves a quarter of what is to stay free.
func (s *Store) Scratch(want []Digest) (*Temp, error) { return s.create(want, s.free/4) }

// room reports whether the disk has more than what is to stay free.
func (s *Store) room(stay int64) error {
	if stay <= 0 {
		return nil
	}
	if left, err := freeBytes(s.dir); err == nil && left < stay {
		return fmt.Errorf("store %s: %w: %d bytes are left, %d stay free", s.dir, ErrNoSpace, left, stay)
	}
	return nil
}

func (s *Store) create(want []Digest, stay int64) (*Temp, error) {
	if err := s.room(stay); err != nil {
		return nil, err
	}
	name := "tmp/" + rand.Text()
	f, err := s.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	t := &Temp{s: s, file: f, name: name, hash: NewHasher(want), stay: stay}
	if !tryLock(f, true) {
		t.Discard()
		return nil, errors.New("store: a new file is locked")
	}
	return t, nil
}

func (t *Temp) Write(p []byte) (int, error) {
	if t.left -= int64(len(p)); t.left < 0 {
		t.left = lookEvery
		if t.size > 0 { // create has looked
			if err := t.s.room(t.stay); err != nil {
				return 0, err
			}
		}
	}
	n, err := t.file.Write(p)
	_, _ = t.hash.Write(p[:n])
	t.size += int64(n)
	return n, err
}

// ReadAt reads what was written.
func (t *Temp) ReadAt(p []byte, off int64) (int, error) { return t.file.ReadAt(p, off) }

// Size returns how much was written, bytes.
func (t *Temp) Size() int64 { return t.size }

// SHA256 returns the digest of what was written so far.
func (t *Temp) SHA256() Digest { return t.hash.Sum(SHA256) }

// Verify compares what was written with the strongest digest; see Hasher.Check.
func (t *Temp) Verify(want []Digest) error { return t.hash.Check(want, t.file, t.size) }

// Commit puts the content into the store under the key of the record, in the
// place of what the key had. With digests it verifies first. Key, Group, Name,
// Version and Facts are the caller's; the rest is filled in. Temp is ended, and
// its descriptor stays open for who reads until Discard.
func (t *Temp) Commit(ctx context.Context, r Record, want []Digest) (Record, error) {
	if len(want) > 0 {
		if err := t.Verify(want); err != nil {
			return Record{}, err
		}
	}
	r.Size, r.SHA256, r.Checked, r.Stored = t.size, t.SHA256(), strongest(want), time.Now().UTC()
	head, err := r.encode()
	if err != nil {
		return Record{}, fmt.Errorf("store: %w", err)
	}
	if err := t.file.Chmod(0o444); err != nil {
		return Record{}, fmt.Errorf("store: %w", err)
	}
	if err := t.file.Sync(); err != nil {
		return Record{}, fmt.Errorf("store: %w", err)
	}
	// Not while something is evicted: it could be the content that we found to be
	// there already.
	unlock, err := t.s.gate(false)
	if err != nil {
		return Record{}, err
	}
	defer unlock()
	// Behind the gate: it tells Prune that this is not what it saw before.
	if now := time.Now(); t.s.root.Chtimes(t.name, now, now) != nil {
		return Record{}, fmt.Errorf("store: %s is gone", t.name)
	}
	blob := blobPath(r.SHA256)
	if err := t.s.move(t.name, blob); err != nil {
		return Record{}, err
	}
	t.done = true
	if err := t.s.writeRecord(indexPath(r.Key), head); err != nil {
		return Record{}, err
	}
	if info, err := t.file.Stat(); err == nil {
		t.s.trust(r.SHA256, identify(info)) // its bytes went through our hash
	}
	t.s.grew(ctx, t.size)
	r.Used = r.Stored
	return r, nil
}

// Discard ends it and closes the descriptor; after Commit it leaves the entry.
func (t *Temp) Discard() {
	if !t.done {
		_ = t.s.root.Remove(t.name)
	}
	_ = t.file.Close()
}

// Refresh says that the content of a key has been found to be current, and
// replaces its facts.
func (s *Store) Refresh(key string, facts map[string]string) error {
	r, err := s.Look(key)
	if err != nil {
		return err
	}
	r.Stored, r.Facts = time.Now().UTC(), facts
	b, err := r.encode()
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return s.writeRecord(indexPath(key), b)
}

// move renames into a folder that may not be there yet.
func (s *Store) move(from, to string) error {
	err := s.root.Rename(from, to)
	if errors.Is(err, os.ErrNotExist) {
		if err = s.root.MkdirAll(path.Dir(to), 0o700); err == nil {
			err = s.root.Rename(from, to)
		}
	}
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// writeRecord replaces a record at once. It is not synchronised: after a power
// loss its own checksum tells whether it is whole.
func (s *Store) writeRecord(name string, b []byte) error {
	temp := "tmp/" + rand.Text()
	if err := s.root.WriteFile(temp, b, 0o600); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := s.move(temp, name); err != nil {
		_ = s.root.Remove(temp)
		return err
	}
	return nil
}
