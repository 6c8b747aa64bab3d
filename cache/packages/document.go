// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/cache/store"
)

// The facts of a stored document.
const (
	factETag     = "etag"
	factType     = "type"
	factEncoding = "encoding"
)

// wanted is a document of a registry.
type wanted struct {
	base   *url.URL
	path   string
	accept string // what we ask for, not what the job does
	name   string // for the list of entries
	ttl    time.Duration
}

// document is one that is in the store. The caller closes it.
type document struct {
	*store.Entry
	fresh bool // upstream was asked just now
	stale string
}

// plain returns the content from its beginning, unpacked and bounded.
func (d *document) plain() (io.Reader, error) {
	if _, err := d.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if d.Record.Facts[factEncoding] != "gzip" {
		return registry.Bound(d.Entry, registry.DocumentMost), nil
	}
	z, err := gzip.NewReader(d.Entry)
	if err != nil {
		return nil, err
	}
	return registry.Bound(z, registry.DocumentMost), nil
}

func (d *document) mediaType() string {
	media, _, _ := strings.Cut(d.Record.Facts[factType], ";")
	return strings.TrimSpace(media)
}

// document returns metadata that is recent enough, from the store or upstream.
func (t *transport) document(ctx context.Context, w wanted) (*document, error) {
	key := t.key("document", w.base, w.path, w.accept)
	if d, err := t.stored(key, w.ttl); err == nil || t.c.Offline {
		if err != nil {
			return nil, t.offline("metadata of " + label(w))
		}
		return d, nil
	}
	err := t.pool.once(ctx, key, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Minute, errors.New("the registry took too long"))
		defer cancel()
		return t.refresh(ctx, key, w)
	})
	if err != nil {
		up, answered := errors.AsType[*upstreamError](err)
		if answered && up.status < 500 && up.status != http.StatusTooManyRequests {
			return nil, err
		}
		d, old := t.stored(key, staleMost)
		if old != nil {
			return nil, err
		}
		d.stale = fmt.Sprintf("the registry failed (%v); metadata of %s ago was used", err, registry.Days(t.c.Now().Sub(d.Record.Stored)))
		return d, nil
	}
	e, err := t.pool.files.Get(key)
	if err != nil {
		return nil, fmt.Errorf("metadata that was just stored: %w", err)
	}
	return &document{Entry: e, fresh: true}, nil
}

func label(w wanted) string {
	if w.name != "" {
		return w.name
	}
	return w.path
}

// stored returns a document if it is not too old. Offline no age is too old.
func (t *transport) stored(key string, ttl time.Duration) (*document, error) {
	e, err := t.pool.files.Get(key)
	if err != nil {
		return nil, err
	}
	if age := t.c.Now().Sub(e.Record.Stored); !t.c.Offline && (age > ttl || age < -ttl) {
		_ = e.Close()
		return nil, store.ErrNotFound
	}
	return &document{Entry: e}, nil
}

// refresh asks upstream, on condition that it has something newer.
func (t *transport) refresh(ctx context.Context, key string, w wanted) error {
	unlock, err := t.pool.files.Lock(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()
	if d, err := t.stored(key, w.ttl); err == nil { // another process was faster
		return d.Close()
	}
	give, err := t.pool.slot(ctx)
	if err != nil {
		return err
	}
	defer give()
	header := http.Header{"Accept-Encoding": {"gzip"}}
	if w.accept != "" {
		header.Set("Accept", w.accept)
	}
	old, err := t.pool.files.Look(key)
	if err == nil && old.Facts[factETag] != "" {
		header.Set("If-None-Match", old.Facts[factETag])
	}
	resp, err := t.ask(ctx, w.base, w.path, header)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		if header.Get("If-None-Match") != "" {
			return t.pool.files.Refresh(key, old.Facts)
		}
		fallthrough
	default:
		return failed(resp)
	}
	facts := map[string]string{factETag: clip(resp.Header.Get("Etag")), factType: clip(resp.Header.Get("Content-Type"))}
	switch encoding := resp.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		facts[factEncoding] = encoding
	default:
		return fmt.Errorf("the registry answered with an encoding that was not asked for: %.40q", encoding)
	}
	temp, err := t.pool.files.Scratch(nil)
	if err != nil {
		return err
	}
	defer temp.Discard()
	n, err := io.Copy(temp, registry.Bound(resp.Body, registry.DocumentMost))
	if err != nil {
		return err
	}
	if resp.ContentLength >= 0 && n != resp.ContentLength {
		return io.ErrUnexpectedEOF
	}
	_, err = temp.Commit(ctx, store.Record{Key: key, Group: string(t.c.Ecosystem), Name: label(w), Version: "metadata", Facts: facts}, nil)
	return err
}

// ask sends a request of our own. Nothing of the job's is in it.
func (t *transport) ask(ctx context.Context, base *url.URL, path string, header http.Header) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base.String()+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header = header
	r.Header.Set("User-Agent", "zviz-runner")
	resp, err := t.next.RoundTrip(r)
	for hops := 0; err == nil && t.c.Follow != nil && hops < redirectsMost && redirects(resp.StatusCode); hops++ {
		to, bad := resp.Location()
		if bad != nil || to.Scheme != "https" && to.Scheme != r.URL.Scheme || to.User != nil {
			break // also from https to http
		}
		_ = resp.Body.Close()
		r = r.Clone(ctx)
		r.URL, r.Host = to, ""
		resp, err = t.c.Follow.RoundTrip(r)
	}
	return resp, err
}

// redirectsMost bounds how often one request is sent elsewhere.
const redirectsMost = 5

func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	default:
		return false
	}
}

// failed takes over an answer that is no success.
func failed(resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 16<<10)) // what there is of it is for people
	if resp.Header.Get("Content-Encoding") == "gzip" {
		if z, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, _ = io.ReadAll(io.LimitReader(z, 16<<10))
		}
	}
	if resp.StatusCode < 200 || resp.StatusCode < 400 && !redirects(resp.StatusCode) {
		return &upstreamError{http.StatusBadGateway, http.Header{}, fmt.Appendf(nil, "the registry answered %d to a plain request\n", resp.StatusCode)}
	}
	return &upstreamError{resp.StatusCode, resp.Header, body}
}

// clip bounds a header of upstream that is kept.
func clip(s string) string {
	if len(s) > 256 {
		return ""
	}
	return s
}

func bytesBody(b []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(b)) }

// streamed answers with what write makes, without keeping it whole. The document
// is closed when that is done or the client has left.
func streamed(q asked, header http.Header, d *document, write func(io.Writer) error) *http.Response {
	if match := q.http.Header.Get("If-None-Match"); match != "" && matches(match, header.Get("Etag")) {
		_ = d.Close()
		return respond(q.http, http.StatusNotModified, header, nil, 0)
	}
	if q.http.Method == http.MethodHead {
		_ = d.Close()
		return respond(q.http, http.StatusOK, header, nil, -1)
	}
	r, w := io.Pipe()
	go func() {
		w.CloseWithError(write(w)) // an error breaks the answer off
		_ = d.Close()
	}()
	return respond(q.http, http.StatusOK, header, r, -1)
}

// whole answers with a document as it is.
func (t *transport) whole(q asked, d *document) (*http.Response, error) {
	if _, err := d.Seek(0, io.SeekStart); err != nil {
		_ = d.Close()
		return nil, err
	}
	header := http.Header{"Etag": {`"` + d.Record.SHA256.Value() + `"`}}
	if v := d.Record.Facts[factType]; v != "" {
		header.Set("Content-Type", v)
	}
	if d.Record.Facts[factEncoding] == "gzip" {
		header.Set("Vary", "Accept-Encoding")
		if !strings.Contains(q.http.Header.Get("Accept-Encoding"), "gzip") {
			return streamed(q, header, d, func(w io.Writer) error {
				r, err := d.plain()
				if err != nil {
					return err
				}
				_, err = io.Copy(w, r)
				return err
			}), nil
		}
		header.Set("Content-Encoding", "gzip")
	}
	return content(q.http, header, d.Entry, d.Record.Size)
}

// plain answers with a document that no rule is about.
func (t *transport) plain(ctx context.Context, q asked) (*http.Response, error) {
	ttl := documentTTL
	if q.Kind == registry.Release {
		ttl = releaseTTL
	}
	d, err := t.document(ctx, wanted{base: q.base, path: q.Path(), name: q.Path(), ttl: ttl})
	if t.c.Offline && err != nil && t.otherRelease(q) {
		return nil, &upstreamError{status: http.StatusNotFound}
	}
	if err != nil {
		return nil, err
	}
	if q.Kind == registry.Release {
		t.learnApt(q)
	}
	t.observe(q, d, nil)
	return t.whole(q, d)
}

// hiddenText is "2 versions of left are hidden: 1.1.0, 1.2.0".
func hiddenText(name string, hidden []Hidden) string {
	const most = 3
	var versions []string
	for _, h := range hidden[max(0, len(hidden)-most):] { // the newest, which a resolver would take
		versions = append(versions, h.Version)
	}
	text := fmt.Sprintf("%d versions of %s are hidden: ", len(hidden), name)
	switch {
	case len(hidden) == 1:
		text = fmt.Sprintf("1 version of %s is hidden: ", name)
	case len(hidden) > most:
		text += "the last are "
	}
	return text + strings.Join(versions, ", ")
}

// observe tells of metadata that is served.
func (t *transport) observe(q asked, d *document, hidden []Hidden) {
	ev := t.event(q)
	ev.FromStore, ev.Stored, ev.Size, ev.Hidden = !d.fresh, true, d.Record.Size, hidden
	switch {
	case len(hidden) > 0:
		ev.Verdict, ev.Reason = Note, hidden[0].Reason
		ev.Detail = hiddenText(q.Name, hidden)
	case d.stale != "":
		ev.Verdict, ev.Detail = Note, d.stale
	}
	t.c.Observe(ev)
}
