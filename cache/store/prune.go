// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"time"
)

// recent entries and content are never evicted: somebody is using them.
const recent = 10 * time.Minute

// Usage says what a store holds.
type Usage struct {
	Entries int   `json:"entries"`
	Files   int   `json:"files"`
	Bytes   int64 `json:"bytes"`
}

// Pruned says what Prune did.
type Pruned struct {
	Before  Usage `json:"before"`
	After   Usage `json:"after"`
	Evicted int   `json:"evicted"` // entries
}

// Prune evicts the entries that were not used for longest until the content
// takes no more than maxBytes (negative: no limit), and removes content that no
// entry names. What was used in the last ten minutes stays, unless all is set; then
// what is in quarantine goes too.
func (s *Store) Prune(ctx context.Context, maxBytes int64, all bool) (Pruned, error) {
	s.sweep()
	if all {
		s.release()
	}
	now := time.Now()
	var records []Record
	users := map[Digest]int{}
	if err := s.Records(ctx, func(r Record) bool {
		records = append(records, Record{Key: r.Key, SHA256: r.SHA256, Size: r.Size, Used: r.Used})
		users[r.SHA256]++
		return true
	}); err != nil {
		return Pruned{}, err
	}
	p := Pruned{}
	sizes := map[Digest]int64{}
	fresh := func(t time.Time) bool { return !all && now.Sub(t) < recent }
	if err := s.blobs(ctx, func(d Digest, info fs.FileInfo) {
		sizes[d] = info.Size()
		p.Before.Files++
		p.Before.Bytes += info.Size()
	}); err != nil {
		return Pruned{}, err
	}
	// Looking takes long in a large store, so commits go on meanwhile. What they
	// touched since is left alone.
	unlock, err := s.gate(true)
	if err != nil {
		return Pruned{}, err
	}
	defer unlock()
	remove := func(d Digest) {
		info, err := s.root.Stat(blobPath(d))
		if err == nil && !info.ModTime().Before(now) || errors.Is(err, fs.ErrNotExist) {
			return
		}
		if s.root.Remove(blobPath(d)) == nil {
			delete(sizes, d)
		}
	}
	for d := range sizes {
		if users[d] != 0 {
			continue
		}
		if info, err := s.root.Stat(blobPath(d)); err == nil && !fresh(info.ModTime()) {
			remove(d)
		}
	}
	p.Before.Entries, p.After.Entries = len(records), len(records)
	for _, n := range sizes {
		p.After.Files++
		p.After.Bytes += n
	}
	slices.SortFunc(records, func(a, b Record) int { return a.Used.Compare(b.Used) })
	for _, r := range records {
		_, have := sizes[r.SHA256]
		if have && (maxBytes < 0 || p.After.Bytes <= maxBytes || fresh(r.Used)) {
			continue
		}
		if info, err := s.root.Stat(indexPath(r.Key)); err == nil && info.ModTime().After(r.Used) && !all {
			continue // used since
		}
		if err := s.Remove(r.Key); err != nil {
			return p, err
		}
		p.Evicted++
		p.After.Entries--
		if users[r.SHA256]--; have && users[r.SHA256] == 0 {
			n := sizes[r.SHA256]
			if remove(r.SHA256); len(sizes) < p.After.Files {
				p.After.Files--
				p.After.Bytes -= n
			}
		}
	}
	return p, nil
}

// release removes what is in quarantine: nothing uses it.
func (s *Store) release() {
	entries, err := fs.ReadDir(s.root.FS(), "quarantine")
	if err != nil {
		return
	}
	for _, e := range entries {
		_ = s.root.Remove("quarantine/" + e.Name()) // the next one does
	}
}

// Usage counts without changing anything.
func (s *Store) Usage(ctx context.Context) (Usage, error) {
	var u Usage
	if err := s.Records(ctx, func(Record) bool { u.Entries++; return true }); err != nil {
		return Usage{}, err
	}
	err := s.blobs(ctx, func(_ Digest, info fs.FileInfo) {
		u.Files++
		u.Bytes += info.Size()
	})
	return u, err
}

// blobs calls each with every file of content.
func (s *Store) blobs(ctx context.Context, each func(Digest, fs.FileInfo)) error {
	return s.files(ctx, "blobs/sha256", func(name string, e fs.DirEntry) error {
		d, err := ParseDigest(SHA256 + ":" + path.Base(name))
		if err != nil {
			return nil //nolint:nilerr // nothing of ours
		}
		info, err := e.Info()
		if err == nil {
			each(d, info)
		}
		return nil
	})
}

// files calls each with every file below dir until it returns fs.SkipAll. What
// somebody else removes in the meantime is passed over.
func (s *Store) files(ctx context.Context, dir string, each func(name string, e fs.DirEntry) error) error {
	return fs.WalkDir(s.root.FS(), dir, func(name string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case e.IsDir():
			return nil
		}
		return each(name, e)
	})
}

// grew prunes in the background when enough was written since the last time.
// Between two prunes a store is at most that much above its limit.
func (s *Store) grew(ctx context.Context, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written += n
	if s.max < 0 || s.closed || s.pruning || s.written < max(s.max/32, 1<<20) {
		return
	}
	s.written, s.pruning = 0, true
	s.work.Go(func() {
		// Below the limit, so that not every file evicts one.
		_, _ = s.Prune(context.WithoutCancel(ctx), s.max-s.max/16, false) // what it could not do the next one does
		s.mu.Lock()
		s.pruning = false
		s.mu.Unlock()
	})
}

// Fault is an entry that Verify found to be wrong.
type Fault struct {
	Digest Digest `json:"digest"`
	Why    string `json:"why"`
	Name   string `json:"name,omitempty"` // NAME@VERSION of the entries that have it
}

// Verified says what Verify found.
type Verified struct {
	Usage
	Faults []Fault `json:"faults"`
}

// Verify reads and hashes all content. What does not match is moved to
// quarantine, and its entries are removed: the next use fetches it anew.
func (s *Store) Verify(ctx context.Context) (Verified, error) {
	v := Verified{Faults: []Fault{}}
	names := map[Digest][]Record{}
	if err := s.Records(ctx, func(r Record) bool {
		names[r.SHA256] = append(names[r.SHA256], Record{Key: r.Key, Name: r.Name, Version: r.Version, Size: r.Size})
		v.Entries++
		return true
	}); err != nil {
		return v, err
	}
	fault := func(d Digest, why string) {
		f := Fault{Digest: d, Why: why}
		for _, r := range names[d] {
			if f.Name == "" && r.Name != "" {
				f.Name = r.Name + "@" + r.Version
			}
			_ = s.root.Remove(indexPath(r.Key))
		}
		v.Faults = append(v.Faults, f)
	}
	err := s.blobs(ctx, func(d Digest, info fs.FileInfo) {
		v.Files++
		v.Bytes += info.Size()
		f, err := s.root.Open(blobPath(d))
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				fault(d, err.Error())
			}
			delete(names, d)
			return
		}
		defer f.Close() //nolint:errcheck // only read
		s.mu.Lock()
		delete(s.trusted, d)
		s.mu.Unlock()
		if ok, err := s.check(f, d, info.Size()); err != nil {
			fault(d, err.Error())
		} else if !ok {
			s.quarantine(d)
			fault(d, "content does not match its digest")
		} else if i := slices.IndexFunc(names[d], func(r Record) bool { return r.Size != info.Size() }); i >= 0 {
			fault(d, "an entry says another size")
		}
		delete(names, d)
	})
	if err != nil {
		return v, err
	}
	for d := range names {
		// Committed since, or evicted; only what is still missing is a fault.
		if _, err := s.root.Stat(blobPath(d)); errors.Is(err, fs.ErrNotExist) {
			fault(d, "content is missing")
		}
	}
	slices.SortFunc(v.Faults, func(a, b Fault) int { return cmp.Compare(a.Digest, b.Digest) })
	return v, nil
}
