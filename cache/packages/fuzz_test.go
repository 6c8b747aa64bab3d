// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/cache/store"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// FuzzNoWayRound: with a rule in force, no path brings out a version that it
// hides, from an upstream that reads paths as kindly as it can: unescaped twice,
// cleaned, without case, without what follows ';'.
func FuzzNoWayRound(f *testing.F) {
	for _, p := range []string{
		"x", "x/1.2.0", "x/latest", "x/-/x-1.2.0.tgz", "x/-/x-1.1.0.tgz", "./x/-/x-1.2.0.tgz", "x/%2e/-/x-1.2.0.tgz", "X/-/X-1.2.0.TGZ",
		"x%2f-%2fx-1.2.0.tgz", "x/-/x-1.2.0.tgz;y", "y/-/../../x/-/x-1.2.0.tgz", "x/-/x-1%2e2.0.tgz", "x%252f-%252fx-1.2.0.tgz", "-/package/x/dist-tags",
		"x?version=1.2.0", "@a/x/-/x-1.2.0.tgz", "x/-/@a/x-1.2.0.tgz", "x/-/x-1.2.0.tgz/", "x/-/x-v1.2.0.tgz",
	} {
		f.Add("prefix/"+p, registry.NPMAbbreviated)
	}
	f.Add("%70refix/x/-/x-1.2.0.tgz", "")
	f.Add("y/../prefix/x/-/x-1.2.0.tgz", "")
	f.Add("/prefix/x", "")
	files, err := store.Open(store.Config{Dir: filepath.Join(f.TempDir(), "store"), MinFree: -1})
	if err != nil {
		f.Fatal(err)
	}
	pool := New(files)
	n := &npmRegistry{shortOK: true}
	n.add("x", "1.1.0", 100*day, nil)
	evil := n.add("x", "1.2.0", day, nil)
	next := roundTripper(func(r *http.Request) (*http.Response, error) {
		p := r.URL.Path
		for range 2 {
			if q, err := url.PathUnescape(p); err == nil {
				p = q
			}
		}
		p, _, _ = strings.Cut(strings.ToLower(path.Clean(p)), ";")
		if strings.HasSuffix(p, "1.2.0.tgz") {
			p = "/prefix/x/-/x-1.2.0.tgz"
		}
		if p == "/prefix/x/1.2.0" {
			return respond(r, 200, http.Header{}, bytesBody([]byte(`{"name":"x","version":"1.2.0"}`)), -1), nil
		}
		rec := &recorder{header: http.Header{}}
		clean := r.Clone(r.Context())
		clean.URL = &url.URL{Path: p}
		n.ServeHTTP(rec, clean)
		if rec.status == 0 {
			rec.status = 200
		}
		return respond(r, rec.status, rec.header, bytesBody(rec.body.Bytes()), int64(rec.body.Len())), nil
	})
	// It is warm in the store.
	warm, err := pool.Transport(next, Config{Ecosystem: registry.NPM, Base: npmBase})
	if err != nil {
		f.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodGet, tgz("x", "1.2.0"), nil)
	if err != nil {
		f.Fatal(err)
	}
	resp, err := warm.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		f.Fatalf("%v %v", resp, err)
	}
	if b, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(b, evil.tarball) {
		f.Fatal("the control does not get it")
	}
	resp.Body.Close()
	ruled, err := pool.Transport(next, Config{Ecosystem: registry.NPM, Base: npmBase, Rules: registry.Rules{MinReleaseAge: 7 * day}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, p, accept string) {
		u, err := url.Parse("http://npm.test/" + p)
		if err != nil || u.Host != "npm.test" {
			return
		}
		r := (&http.Request{Method: http.MethodGet, URL: u, Header: http.Header{"Accept": {accept}}}).WithContext(t.Context())
		resp, err := ruled.RoundTrip(r)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			return
		}
		if bytes.Contains(b, evil.tarball) || resp.StatusCode == http.StatusOK && bytes.Contains(b, []byte("1.2.0")) {
			t.Errorf("%q: %d %.200q", p, resp.StatusCode, b)
		}
	})
}

// recorder is what npmRegistry writes to.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }

// FuzzRange: whatever range is asked for, what comes is that part of the file.
func FuzzRange(f *testing.F) {
	f.Add("bytes=0-1", "")
	f.Add("bytes=5-", "x")
	f.Add("bytes=-5", "")
	f.Add("bytes=99999999999999999999-", "")
	file := []byte("0123456789")
	f.Fuzz(func(t *testing.T, spec, ifRange string) {
		r := &http.Request{Method: http.MethodGet, Header: http.Header{"Range": {spec}}}
		if ifRange != "" {
			r.Header.Set("If-Range", ifRange)
		}
		resp, err := content(r, http.Header{}, nopSeeker{bytes.NewReader(file)}, int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || int64(len(b)) != resp.ContentLength || !bytes.Contains(file, b) {
			t.Errorf("%q: %q, %d, %v", spec, b, resp.ContentLength, err)
		}
		if resp.StatusCode == http.StatusOK && !slices.Equal(b, file) {
			t.Errorf("%q: %q is not the whole", spec, b)
		}
	})
}

type nopSeeker struct{ *bytes.Reader }

func (nopSeeker) Close() error { return nil }
