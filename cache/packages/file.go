// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/cache/store"
)

const factPublished = "published"

// immutable is how long a version's file may be kept.
const immutable = "public, immutable, max-age=31557600"

// knowledge is what the registry's metadata says of a file.
type knowledge struct {
	registry.Version
	found bool // the metadata knows it
}

// file answers with a file of a version.
func (t *transport) file(ctx context.Context, q asked) (*http.Response, error) {
	key := t.key("file", q.base, q.Path(), "")
	e, err := t.pool.files.Get(key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if err == nil {
		return t.fromStore(ctx, q, e)
	}
	if t.c.Offline {
		if err := t.judge(q, knowledge{Version: registry.Version{Version: q.Version, Published: t.longAgo()}}); err != nil {
			return nil, err
		}
		return nil, t.offline("file of " + t.label(q))
	}
	k, err := t.know(ctx, q, true)
	if err != nil {
		return nil, err
	}
	if !k.found && t.c.Rules.Strict() {
		return nil, &refusedError{registry.ReasonUnknown, fmt.Sprintf("the registry's metadata has no %s with the file %s", t.label(q), q.File), http.StatusForbidden}
	}
	if !k.found {
		k.Version.Version = q.Version
	}
	if err := t.judge(q, k); err != nil {
		return nil, err
	}
	want := k.Digests
	if isMetadata(q) {
		want = k.Metadata
	}
	extra, err := t.lockDigests(q, k.Version.Version)
	if err != nil {
		return nil, err
	}
	if err := agree(want, extra); err != nil {
		return nil, t.integrity(q, err)
	}
	if len(want) == 0 {
		return t.unkept(ctx, q, extra, "no digest of it is known")
	}
	return t.fetch(ctx, q, key, k, want, extra)
}

// longAgo is a time that no minimum age hides, for what is judged by name only.
func (t *transport) longAgo() time.Time { return t.c.Now().AddDate(-1000, 0, 0) }

func isMetadata(q asked) bool {
	return q.Ecosystem == registry.PyPI && len(q.File) > len(registry.MetadataSuffix) && q.File[len(q.File)-len(registry.MetadataSuffix):] == registry.MetadataSuffix
}

// judge asks the rules about one file.
func (t *transport) judge(q asked, k knowledge) error {
	if q.Name == "" {
		return nil // a list of Debian's
	}
	if d := t.c.Rules.Judge(t.c.Now(), t.c.Ecosystem, q.Name, k.Version); !d.Allowed() {
		return refuse(d)
	}
	return nil
}

// agree compares what the registry and the lockfile say, where both speak of the
// same algorithm.
func agree(want, lock []store.Digest) error {
	for _, w := range want {
		same := false
		for _, l := range lock {
			if l.Algorithm() != w.Algorithm() {
				continue
			}
			if l == w {
				return nil
			}
			same = true
		}
		if same {
			return fmt.Errorf("the lockfile has another digest (%s) than the registry (%s)", lock[0], w)
		}
	}
	return nil
}

func (t *transport) integrity(q asked, err error) error {
	return &refusedError{registry.ReasonIntegrity, t.label(q) + ": " + err.Error(), http.StatusBadGateway}
}

// fromStore answers with what is there already. The rules hold for it as for what
// comes: a version that was stored without them may be too young.
func (t *transport) fromStore(ctx context.Context, q asked, e *store.Entry) (*http.Response, error) {
	done := false
	defer func() {
		if !done {
			_ = e.Close()
		}
	}()
	k := knowledge{Version: registry.Version{Version: e.Record.Version}, found: true}
	if when, err := time.Parse(time.RFC3339Nano, e.Record.Facts[factPublished]); err == nil {
		k.Published = when
	}
	if k.Published.IsZero() && t.c.Rules.Aged(t.c.Ecosystem, q.Name) && q.Name != "" {
		// It was stored when nobody asked for its age.
		known, err := t.know(ctx, q, false)
		if err != nil {
			return nil, err
		}
		k.Published = known.Published
		if !k.Published.IsZero() {
			facts := maps.Clone(e.Record.Facts)
			if facts == nil {
				facts = map[string]string{}
			}
			facts[factPublished] = k.Published.Format(time.RFC3339Nano)
			_ = t.pool.files.Refresh(e.Record.Key, facts) // asked again next time otherwise
		}
	}
	if err := t.judge(q, k); err != nil {
		return nil, err
	}
	extra, err := t.lockDigests(q, k.Version.Version)
	if err != nil {
		return nil, err
	}
	if err := checkExtra(e.Record.Checked, e.File, e.Record.Size, extra); err != nil {
		return nil, t.integrity(q, err)
	}
	done = true
	ev := t.event(q)
	ev.Version, ev.FromStore, ev.Stored, ev.Digest, ev.Size = k.Version.Version, true, true, digestOf(e.Record), e.Record.Size
	t.c.Observe(ev)
	return content(q.http, fileHeader(e.Record), e, e.Record.Size)
}

// digestOf is the digest that a file is known by: the registry's.
func digestOf(r store.Record) store.Digest {
	if len(r.Checked) > 0 {
		return r.Checked[0]
	}
	return r.SHA256
}

func fileHeader(r store.Record) http.Header {
	media := r.Facts[factType]
	if media == "" {
		media = "application/octet-stream"
	}
	return http.Header{"Content-Type": {media}, "Etag": {`"` + r.SHA256.Value() + `"`}, "Cache-Control": {immutable}}
}

// checkExtra compares a whole file, which has the digests checked, with what the lockfile
// says.
func checkExtra(checked []store.Digest, r io.ReaderAt, size int64, extra []store.Digest) error {
	if len(extra) == 0 || slices.ContainsFunc(extra, func(d store.Digest) bool { return slices.Contains(checked, d) }) {
		return nil
	}
	h := store.NewHasher(extra)
	if _, err := io.Copy(h, io.NewSectionReader(r, 0, size)); err != nil {
		return err
	}
	return h.Check(extra, r, size)
}

// fetch answers from upstream and keeps what was verified.
func (t *transport) fetch(ctx context.Context, q asked, key string, k knowledge, want, extra []store.Digest) (*http.Response, error) {
	f := t.pool.join(ctx, key, func(ctx context.Context, f *flight) error { return t.fly(ctx, f, q, k, want) })
	answered := false
	defer func() {
		if !answered {
			f.leave()
		}
	}()
	select {
	case <-f.start:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	// A part of a file, or one that the lockfile knows by another algorithm, is
	// answered once it is whole.
	f.mu.Lock()
	small := f.size >= 0 && f.size <= tailHeld
	wait := f.ended || small || q.http.Header.Get("Range") != "" || len(extra) > 0 && !slices.ContainsFunc(extra, func(d store.Digest) bool { return slices.Contains(want, d) })
	f.mu.Unlock()
	if wait {
		if err := f.wait(ctx); err != nil {
			return nil, t.flightError(q, err)
		}
		f.mu.Lock()
		unkept := f.unkept
		f.mu.Unlock()
		if unkept == nil {
			e, err := t.pool.files.Get(key)
			if err == nil {
				return t.delivered(q, f, e, extra)
			}
		}
		if f.temp != nil { // verified, but not kept, or evicted already
			if err := checkExtra(want, f.temp, f.temp.Size(), extra); err != nil {
				return nil, t.integrity(q, err)
			}
		}
	}
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	f.mu.Lock()
	size := f.size
	if f.temp == nil {
		f.mu.Unlock()
		return nil, errors.New("it was evicted from the store at this very moment; try again")
	}
	if v := f.header.Get("Content-Type"); v != "" {
		header.Set("Content-Type", clip(v))
	}
	f.mu.Unlock()
	answered = true // the body leaves
	body := &reported{follower: f.follow(ctx), then: func(err error) { t.flown(q, f, k, err) }}
	return respond(q.http, http.StatusOK, header, body, size), nil
}

// delivered answers with a file that a flight has just put into the store.
func (t *transport) delivered(q asked, f *flight, e *store.Entry, extra []store.Digest) (*http.Response, error) {
	if err := checkExtra(e.Record.Checked, e.File, e.Record.Size, extra); err != nil {
		_ = e.Close()
		return nil, t.integrity(q, err)
	}
	ev := t.event(q)
	ev.Version, ev.FromStore, ev.Stored, ev.Digest, ev.Size = e.Record.Version, f.found, true, digestOf(e.Record), e.Record.Size
	t.c.Observe(ev)
	return content(q.http, fileHeader(e.Record), e, e.Record.Size)
}

// flightError makes of a failed fetch what the client is told.
func (t *transport) flightError(q asked, err error) error {
	if mismatch, ok := errors.AsType[*store.MismatchError](err); ok {
		return t.integrity(q, mismatch)
	}
	return err
}

// flown tells how a streamed answer ended.
func (t *transport) flown(q asked, f *flight, k knowledge, err error) {
	ev := t.event(q)
	ev.Version = k.Version.Version
	f.mu.Lock()
	ev.Digest, ev.Size = digestOf(f.record), f.written
	ended, unkept := f.ended && f.err == nil, f.unkept
	f.mu.Unlock()
	switch mismatch, wrong := errors.AsType[*store.MismatchError](err); {
	case wrong:
		ev.Verdict, ev.Reason, ev.Detail = Deny, registry.ReasonIntegrity, t.label(q)+": "+mismatch.Error()
	case err != nil:
		ev.Verdict, ev.Detail = Note, "broke off: "+err.Error()
	case unkept != nil:
		ev.Verdict, ev.Detail = Note, "verified, but not kept: "+unkept.Error()
	case !ended:
		ev.Verdict, ev.Detail = Note, "the job left before the end"
	default:
		ev.Stored = true
	}
	t.c.Observe(ev)
}

// fly fetches a file, verifies it and puts it into the store.
func (t *transport) fly(ctx context.Context, f *flight, q asked, k knowledge, want []store.Digest) error {
	unlock, err := t.pool.files.Lock(ctx, f.key)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := t.pool.files.Look(f.key); err == nil { // another process was faster
		f.found = true
		return nil
	}
	give, err := t.pool.slot(ctx)
	if err != nil {
		return err
	}
	defer give()
	resp, err := t.ask(ctx, q.base, q.Path(), http.Header{"Accept-Encoding": {"identity"}})
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return failed(resp)
	}
	temp, err := t.pool.files.Create(want)
	if errors.Is(err, store.ErrNoSpace) {
		f.unkept = err
		temp, err = t.pool.files.Scratch(want)
	}
	if err != nil {
		return err
	}
	f.begin(temp, resp.ContentLength, resp.Header)
	if err := f.copy(resp.Body); err != nil {
		return err
	}
	if resp.ContentLength >= 0 && temp.Size() != resp.ContentLength {
		return io.ErrUnexpectedEOF
	}
	if err := temp.Verify(want); err != nil {
		return err
	}
	if f.unkept != nil {
		return nil
	}
	facts := map[string]string{factType: clip(resp.Header.Get("Content-Type"))}
	if !k.Published.IsZero() {
		facts[factPublished] = k.Published.Format(time.RFC3339Nano)
	}
	version := k.Version.Version
	if version == "" {
		version = q.Version
	}
	name := q.Name
	if name == "" {
		name = q.Path()
	}
	r, err := temp.Commit(ctx, store.Record{Key: f.key, Group: string(t.c.Ecosystem), Name: name, Version: version, Facts: facts}, want)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.record = r; err != nil {
		f.unkept = err // it is verified: the job gets it
	}
	return nil
}

// reported calls then when a body is closed, with how reading it ended.
type reported struct {
	*follower
	then func(error)
	err  error
}

func (r *reported) Read(p []byte) (int, error) {
	n, err := r.follower.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

func (r *reported) Close() error {
	if r.then != nil {
		r.then(r.err)
		r.then = nil
	}
	return r.follower.Close()
}

// unkept passes on a file that is not stored. If the lockfile says what it must
// be, its end is held back until that is sure.
func (t *transport) unkept(ctx context.Context, q asked, want []store.Digest, why string) (*http.Response, error) {
	header := http.Header{"Accept-Encoding": {"identity"}}
	resp, err := t.ask(ctx, q.base, q.Path(), header)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close() //nolint:errcheck // only read
		return nil, failed(resp)
	}
	if len(want) > 0 {
		temp, err := t.pool.files.Scratch(want)
		if err != nil {
			_ = resp.Body.Close()
			return nil, err
		}
		defer resp.Body.Close() //nolint:errcheck // only read
		if _, err = io.Copy(temp, registry.Bound(resp.Body, fileMost)); err == nil {
			err = temp.Verify(want)
		}
		if err != nil {
			temp.Discard()
			return nil, t.flightError(q, err)
		}
		resp.Body = &scratchBody{io.NewSectionReader(temp, 0, temp.Size()), temp}
		resp.ContentLength = temp.Size()
	}
	ev := t.event(q)
	ev.Verdict, ev.Detail, ev.Size = Note, "not kept: "+why, max(resp.ContentLength, 0)
	t.c.Observe(ev)
	out := http.Header{"Content-Type": {"application/octet-stream"}}
	if v := resp.Header.Get("Content-Type"); v != "" {
		out.Set("Content-Type", v)
	}
	return respond(q.http, http.StatusOK, out, resp.Body, resp.ContentLength), nil
}

// scratchBody is a body that is removed when it was read.
type scratchBody struct {
	io.Reader
	temp *store.Temp
}

func (s *scratchBody) Close() error {
	s.temp.Discard()
	return nil
}
