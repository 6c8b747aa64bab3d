// SPDX-License-Identifier: Apache-2.0

package results

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// upload is an artifact on its way. Blocks come in any order and at the same time; a
// list then says of which the blob is made, and in which order.
type upload struct {
	id   string
	job  *Job
	name string

	mu        sync.Mutex // taken before that of the run
	mediaType string
	dropped   bool
	taken     int64 // bytes that the run has counted
	blocks    int   // that the run has counted
	spool     *spool
	blob      *blob
}

// spool is the file of blocks that no list has named yet. Each has a place of its own,
// so that they can be written at the same time.
type spool struct {
	file    *os.File
	name    string
	end     int64
	counted int64 // bytes that the run has counted for it
	blocks  map[string]extent
	writes  int  // under way
	gone    bool // the last write closes it
}

type extent struct{ from, size int64 }

// blob is what a list has made.
type blob struct {
	file    *os.File
	name    string // empty: it is in the folder
	size    int64
	counted int64 // bytes that the run has counted for it
	digest  string
	blocks  map[string]extent
}

var (
	errGone      = errors.New("there is no such upload, or it has ended")
	errBlockList = errors.New("the list names a block that was not uploaded")
	errBlocks    = fmt.Errorf("%w: too many blocks", errTooMuch)
)

func newUpload(j *Job, name, mediaType string) *upload {
	return &upload{id: rand.Text(), job: j, name: name, mediaType: mediaType}
}

// take counts bytes in, of those that will be written. The caller holds mu.
func (u *upload) take(n, written int64) error {
	if u.dropped {
		return errGone
	}
	if err := u.job.run.take(n, written); err != nil {
		return err
	}
	u.taken += n
	return nil
}

func (u *upload) give(n int64) {
	if u.dropped {
		return // all was given
	}
	u.job.run.give(n)
	u.taken -= n
}

// countBlock counts a block in.
func (u *upload) countBlock() error {
	r := u.job.run
	r.mu.Lock()
	defer r.mu.Unlock()
	if u.blocks >= blocksMost || r.blocks >= allBlocksMost {
		return errBlocks
	}
	r.blocks++
	u.blocks++
	return nil
}

// put stores a block. One of the same id takes the place of what was before.
func (u *upload) put(id string, size int64, body io.Reader) error {
	s, at, err := u.begin(size)
	if err != nil {
		return err
	}
	_, err = io.CopyN(io.NewOffsetWriter(s.file, at.from), body, size)
	u.mu.Lock()
	defer u.mu.Unlock()
	s.writes--
	switch {
	case s != u.spool || u.dropped:
		s.closeIfIdle()
		return errGone
	case err != nil:
		if s.end == at.from+size { // else its place is lost until the end
			s.end = at.from
			s.counted -= size
			u.give(size)
		}
		return err
	}
	s.blocks[id] = at
	return nil
}

// begin gives a block its place.
func (u *upload) begin(size int64) (*spool, extent, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.dropped {
		return nil, extent{}, errGone
	}
	if err := u.countBlock(); err != nil {
		return nil, extent{}, err
	}
	if err := u.take(size, size); err != nil {
		return nil, extent{}, err
	}
	if u.spool == nil {
		f, name, err := u.job.run.tempFile()
		if err != nil {
			u.give(size)
			return nil, extent{}, err
		}
		u.spool = &spool{file: f, name: name, blocks: map[string]extent{}}
	}
	s := u.spool
	at := extent{s.end, size}
	s.end += size
	s.counted += size
	s.writes++
	return s, at, nil
}

// place is where a block of a list is.
type place struct {
	file *os.File
	extent
}

// find returns the places of the blocks of a list. The caller holds mu.
func (u *upload) find(list []blockRef) (places []place, total int64, err error) {
	for _, b := range list {
		var at place
		ok := false
		if u.spool != nil && b.from != committed {
			at.file = u.spool.file
			at.extent, ok = u.spool.blocks[b.id]
		}
		if !ok && u.blob != nil && b.from != uncommitted {
			at.file = u.blob.file
			at.extent, ok = u.blob.blocks[b.id]
		}
		if !ok {
			return nil, 0, errBlockList
		}
		places = append(places, at)
		total += at.size
	}
	return places, total, nil
}

// inOrder reports whether the spool is the blob as it is.
func (u *upload) inOrder(places []place) bool {
	if u.spool == nil || u.spool.writes > 0 {
		return false
	}
	end := int64(0)
	for _, p := range places {
		if p.file != u.spool.file || p.from != end {
			return false
		}
		end += p.size
	}
	return end == u.spool.end
}

// commit makes the blob that a list says. Blocks that it does not name are gone.
func (u *upload) commit(list []blockRef, mediaType string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.dropped {
		return errGone
	}
	places, total, err := u.find(list)
	if err != nil {
		return err
	}
	next := &blob{size: total, counted: total, blocks: map[string]extent{}}
	sum, out := sha256.New(), io.Discard
	whole := u.inOrder(places)
	if whole {
		next.file, next.name = u.spool.file, u.spool.name
	} else {
		// It takes the place of what is there, and so of what is counted for that.
		next.counted = max(total-u.counted(), 0)
		if err := u.take(next.counted, total); err != nil {
			return err
		}
		if next.file, next.name, err = u.job.run.tempFile(); err != nil {
			u.give(next.counted)
			return err
		}
		out = next.file
	}
	buf := make([]byte, 256<<10)
	at := int64(0)
	for i, p := range places {
		n, err := io.CopyBuffer(io.MultiWriter(sum, out), io.NewSectionReader(p.file, p.from, p.size), buf)
		if err == nil && n != p.size {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			if !whole {
				u.discard(next)
			}
			return err
		}
		next.blocks[list[i].id] = extent{at, n}
		at += n
	}
	next.digest = digestPrefix + hex.EncodeToString(sum.Sum(nil))
	if whole {
		u.spool = nil
	} else {
		u.hand(next)
	}
	u.become(next, mediaType)
	return nil
}

// putBlob stores a blob that comes in one piece.
func (u *upload) putBlob(size int64, body io.Reader, mediaType string) error {
	u.mu.Lock()
	err := u.take(size, size)
	u.mu.Unlock()
	if err != nil {
		return err
	}
	next := &blob{size: size, counted: size}
	if next.file, next.name, err = u.job.run.tempFile(); err == nil {
		sum := sha256.New()
		_, err = io.CopyN(io.MultiWriter(sum, next.file), body, size)
		next.digest = digestPrefix + hex.EncodeToString(sum.Sum(nil))
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if err == nil && u.dropped {
		err = errGone
	}
	if err != nil {
		u.discard(next)
		return err
	}
	u.become(next, mediaType)
	return nil
}

// counted is what is counted for what the next blob will take the place of.
func (u *upload) counted() int64 {
	n := int64(0)
	if u.spool != nil {
		n += u.spool.counted
	}
	if u.blob != nil {
		n += u.blob.counted
	}
	return n
}

// hand counts for a blob what was counted for those that it takes the place of, as far
// as it needs that.
func (u *upload) hand(next *blob) {
	from := func(n *int64) {
		part := min(*n, next.size-next.counted)
		*n -= part
		next.counted += part
	}
	if u.spool != nil {
		from(&u.spool.counted)
	}
	if u.blob != nil {
		from(&u.blob.counted)
	}
}

// become puts a blob in the place of the one before, and of the spool.
func (u *upload) become(next *blob, mediaType string) {
	u.discard(u.blob)
	u.dropSpool()
	u.blob = next
	if mediaType != "" {
		u.mediaType = mediaType
	}
}

// discard removes a blob; nil is none.
func (u *upload) discard(b *blob) {
	if b == nil {
		return
	}
	u.give(b.counted)
	u.job.run.unlink(b.file, b.name)
}

func (u *upload) dropSpool() {
	if u.spool == nil {
		return
	}
	s := u.spool
	u.spool = nil
	u.give(s.counted)
	u.job.run.remove(s.name)
	s.gone = true
	s.closeIfIdle()
}

// closeIfIdle closes a spool that is gone when nobody writes to it any more.
func (s *spool) closeIfIdle() {
	if s.gone && s.writes == 0 {
		_ = s.file.Close()
	}
}

// drop ends an upload; what it stored is gone.
func (u *upload) drop() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.dropped {
		return
	}
	r := u.job.run
	r.mu.Lock()
	r.used -= u.taken
	r.blocks -= u.blocks
	r.mu.Unlock()
	u.end()
}

// end removes its files. What it has counted was given back.
func (u *upload) end() {
	u.dropped = true
	u.taken, u.blocks = 0, 0
	u.discard(u.blob)
	u.blob = nil
	u.dropSpool()
}

// unlink closes a file, and removes it if it has a name.
func (r *Run) unlink(f *os.File, name string) {
	if f != nil {
		_ = f.Close()
	}
	r.remove(name)
}

// remove removes a file of ours. What is left goes with the folder of temporary files.
func (r *Run) remove(name string) {
	if name != "" {
		_ = r.root.Remove(name)
	}
}

// drop ends uploads.
func (r *Run) drop(which func(*upload) bool) {
	var list []*upload
	r.mu.Lock()
	for id, u := range r.uploads {
		if which(u) {
			list = append(list, u)
			delete(r.uploads, id)
		}
	}
	r.mu.Unlock()
	for _, u := range list {
		u.drop()
	}
}
