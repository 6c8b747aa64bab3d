// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/cache/store"
)

const day = 24 * time.Hour

func tgz(name, version string) string {
	return npmBase + name + "/-/" + name[strings.LastIndexByte(name, '/')+1:] + "-" + version + ".tgz"
}

// Cold, warm, and with the network cut.
func TestPullThrough(t *testing.T) {
	n := &npmRegistry{shortOK: true}
	v := n.add("@a/b", "1.0.0", 100*day, nil)
	u := newUpstream(t, n.ServeHTTP)
	b := newBench(t)
	tr := b.transport(u, Config{})
	for i, want := range []struct{ requests int }{{2}, {0}, {0}} {
		got := ask(t, tr, tgz("@a/b", "1.0.0"))
		if got.status != http.StatusOK || !bytes.Equal(got.body, v.tarball) {
			t.Fatalf("%d: %d, %v", i, got.status, got.err)
		}
		if e := b.last(); e.Name != "@a/b" || e.Version != "1.0.0" || !e.Stored || e.FromStore != (i > 0) || e.Digest.Integrity() != integrity(v.tarball) {
			t.Errorf("%d: %+v", i, e)
		}
		if u.total() != want.requests {
			t.Errorf("%d: upstream was asked %v", i, u.asked)
		}
		u.reset()
	}
	// The metadata that was needed for the digest is there too.
	if got := ask(t, tr, npmBase+"@a%2fb", "Accept", registry.NPMAbbreviated); got.status != http.StatusOK || u.total() != 0 {
		t.Errorf("%+v, upstream asked %v", got.status, u.asked)
	}
	u.down.Store(true)
	cut := b.transport(u, Config{Offline: true})
	if got := ask(t, cut, tgz("@a/b", "1.0.0")); got.status != http.StatusOK || !bytes.Equal(got.body, v.tarball) {
		t.Errorf("offline: %d, %v", got.status, got.err)
	}
	for _, path := range []string{"other", "other/-/other-1.0.0.tgz", "-/v1/search"} {
		got := ask(t, cut, npmBase+path)
		if got.status != http.StatusForbidden || !strings.Contains(string(got.body), strings.Split(path, "/")[0]) {
			t.Errorf("offline %s: %d %s %v", path, got.status, got.body, got.err)
		}
	}
}

// Other bytes than the registry's own digest never arrive whole, are never kept,
// and do not stay: once upstream is right again, so are we.
func TestIntegrity(t *testing.T) {
	for _, size := range []int{0, 1 << 20} {
		n := &npmRegistry{}
		v := n.add("x", "1.0.0", 100*day, nil)
		v.tarball = tarball("x", "1.0.0", nil, size)
		v.served = bytes.Clone(v.tarball)
		v.served[len(v.served)/2] ^= 1
		u := newUpstream(t, n.ServeHTTP)
		b := newBench(t)
		tr := b.transport(u, Config{})
		got := ask(t, tr, tgz("x", "1.0.0"))
		if got.err == nil && got.status == http.StatusOK {
			t.Errorf("%d bytes: served", size)
		}
		if e := b.last(); e.Verdict != Deny || e.Reason != registry.ReasonIntegrity {
			t.Errorf("%d bytes: %+v", size, e)
		}
		if got.status == http.StatusOK && len(got.body) >= len(v.served) {
			t.Errorf("%d of %d bytes arrived", len(got.body), len(v.served))
		}
		if err := b.files.Records(t.Context(), func(r store.Record) bool {
			if r.Version == "1.0.0" {
				t.Errorf("kept %+v", r)
			}
			return true
		}); err != nil {
			t.Fatal(err)
		}
		v.served = nil
		if got := ask(t, tr, tgz("x", "1.0.0")); !bytes.Equal(got.body, v.tarball) {
			t.Errorf("%d bytes, upstream right again: %d, %v", size, got.status, got.err)
		}
	}
}

// The end of a file waits for its digest, also when upstream takes its time to
// say that it was the end.
func TestTailIsHeld(t *testing.T) {
	n := &npmRegistry{}
	v := n.add("x", "1.0.0", 100*day, nil)
	v.tarball = tarball("x", "1.0.0", nil, 1<<20)
	evil := bytes.Clone(v.tarball)
	evil[100] ^= 1
	release := make(chan struct{})
	u := newUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/-/") {
			n.ServeHTTP(rw, r)
			return
		}
		_, _ = rw.Write(evil)
		rw.(http.Flusher).Flush()
		<-release
	})
	b := newBench(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tgz("x", "1.0.0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := b.transport(u, Config{}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	early := make([]byte, len(evil)-32<<10)
	if _, err := io.ReadFull(resp.Body, early); err != nil || len(early) < 1<<19 {
		t.Fatalf("nothing comes before the end: %v", err)
	}
	close(release)
	if rest, err := io.ReadAll(resp.Body); err == nil || len(rest) > 0 {
		t.Errorf("%d bytes more, %v", len(rest), err)
	}
}

// A truncated file is not a file.
func TestTruncated(t *testing.T) {
	n := &npmRegistry{}
	v := n.add("x", "1.0.0", 100*day, nil)
	v.tarball = tarball("x", "1.0.0", nil, 1<<20)
	u := newUpstream(t, nil)
	u.serve = func(rw http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/-/") {
			rw.Header().Set("Content-Length", "1000000")
			_, _ = rw.Write(v.tarball[:500_000])
			panic(http.ErrAbortHandler)
		}
		n.ServeHTTP(rw, r)
	}
	b := newBench(t)
	if got := ask(t, b.transport(u, Config{}), tgz("x", "1.0.0")); got.err == nil {
		t.Errorf("%d, %d bytes", got.status, len(got.body))
	}
}

// Fifty jobs at once cost one fetch, and all get the whole file.
func TestSingleFlight(t *testing.T) {
	n := &npmRegistry{delay: 50 * time.Millisecond}
	v := n.add("x", "1.0.0", 100*day, nil)
	v.tarball = tarball("x", "1.0.0", nil, 3<<20)
	u := newUpstream(t, n.ServeHTTP)
	b := newBench(t)
	var group sync.WaitGroup
	for range 50 {
		tr := b.transport(u, Config{}) // a job of its own
		group.Go(func() {
			if got := ask(t, tr, tgz("x", "1.0.0")); !bytes.Equal(got.body, v.tarball) {
				t.Errorf("%d, %d bytes, %v", got.status, len(got.body), got.err)
			}
		})
	}
	group.Wait()
	if files, docs := u.count("GET /prefix/x/-/x-1.0.0.tgz"), u.count("GET /prefix/x"); files != 1 || docs != 1 {
		t.Errorf("asked %v", u.asked)
	}
	if len(b.pool.flights) != 0 || len(b.pool.slots) != 0 || len(b.pool.reading) != 0 {
		t.Errorf("left: %d flights, %d slots, %d readings", len(b.pool.flights), len(b.pool.slots), len(b.pool.reading))
	}
}

// Readers that leave do not take the file from those who stay; when all have
// left, the fetch ends and nothing stays.
func TestLeave(t *testing.T) {
	release := make(chan struct{})
	n := &npmRegistry{}
	v := n.add("x", "1.0.0", 100*day, nil)
	v.tarball = tarball("x", "1.0.0", nil, 1<<20)
	gone := make(chan struct{}, 2)
	u := newUpstream(t, nil)
	u.serve = func(rw http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/-/") {
			n.ServeHTTP(rw, r)
			return
		}
		_, _ = rw.Write(v.tarball[:len(v.tarball)/2])
		rw.(http.Flusher).Flush()
		select {
		case <-release:
			_, _ = rw.Write(v.tarball[len(v.tarball)/2:])
		case <-r.Context().Done():
			gone <- struct{}{}
		}
	}
	b := newBench(t)
	tr := b.transport(u, Config{})
	start := func(ctx context.Context) *http.Response {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, tgz("x", "1.0.0"), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := tr.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	one, two := start(t.Context()), start(t.Context())
	one.Body.Close()
	two.Body.Close()
	<-gone
	ctx, cancel := context.WithCancelCause(t.Context())
	three := start(ctx)
	four := start(t.Context())
	cancel(nil)
	if _, err := three.Body.Read(make([]byte, 1)); err == nil {
		t.Error("read after the end of its context")
	}
	three.Body.Close()
	close(release)
	var got bytes.Buffer
	if _, err := got.ReadFrom(four.Body); err != nil || !bytes.Equal(got.Bytes(), v.tarball) {
		t.Errorf("%d bytes, %v", got.Len(), err)
	}
	four.Body.Close()
	if n := u.count("GET /prefix/x/-/x-1.0.0.tgz"); n != 2 {
		t.Errorf("fetched %d times", n)
	}
}

// A young version is not in the metadata in either form, not fetched by its
// address, and not served from the store that has it already.
func TestMinReleaseAge(t *testing.T) {
	for _, shortOK := range []bool{false, true} {
		n := &npmRegistry{shortOK: shortOK}
		n.add("x", "1.0.0", 400*day, nil)
		n.add("x", "1.1.0", 30*day, nil)
		n.add("x", "1.2.0", day, nil) // the fresh malicious one
		u := newUpstream(t, n.ServeHTTP)
		b := newBench(t)
		// A job without the rule puts it into the store first.
		if got := ask(t, b.transport(u, Config{}), tgz("x", "1.2.0")); got.status != http.StatusOK {
			t.Fatalf("%+v", got)
		}
		rules := registry.Rules{MinReleaseAge: 7 * day}
		for _, offline := range []bool{false, true} {
			tr := b.transport(u, Config{Rules: rules, Offline: offline})
			for _, accept := range []string{registry.NPMAbbreviated, registry.NPMFull} {
				got := ask(t, tr, npmBase+"x", "Accept", accept)
				versions, latest := versionsOf(t, got.body)
				if !slices.Equal(versions, []string{"1.0.0", "1.1.0"}) || latest != "1.1.0" {
					t.Errorf("%s: %v, latest %s", accept, versions, latest)
				}
				if e := b.last(); e.Verdict != Note || e.Reason != registry.ReasonAge || len(e.Hidden) != 1 || e.Hidden[0].Version != "1.2.0" {
					t.Errorf("%s: %+v", accept, e)
				}
				if accept == registry.NPMAbbreviated && bytes.Contains(got.body, []byte("T")) && bytes.Contains(got.body, []byte(`"time"`)) {
					t.Errorf("the short form has times: %s", got.body)
				}
				if again := ask(t, tr, npmBase+"x", "Accept", accept, "If-None-Match", got.header.Get("Etag")); again.status != http.StatusNotModified {
					t.Errorf("same etag: %d", again.status)
				}
			}
			for _, path := range []string{"x/-/x-1.2.0.tgz", "x/1.2.0"} {
				got := ask(t, tr, npmBase+path)
				if got.status != http.StatusForbidden || !strings.Contains(string(got.body), "published") {
					t.Errorf("%s: %d %s", path, got.status, got.body)
				}
				if e := b.last(); e.Verdict != Deny || e.Reason != registry.ReasonAge {
					t.Errorf("%s: %+v", path, e)
				}
			}
			if got := ask(t, tr, npmBase+"x/latest"); got.status != http.StatusOK || !bytes.Contains(got.body, []byte(`"1.1.0"`)) {
				t.Errorf("%d %s", got.status, got.body)
			}
			if got := ask(t, tr, npmBase+"x/-/../x/-/x-1.2.0.tgz"); got.status == http.StatusOK {
				t.Error("found a way round")
			}
			if got := ask(t, tr, npmBase+"x/-/x-1.2.0.tgz?x=1"); got.status == http.StatusOK {
				t.Error("found a way round with a query")
			}
		}
		if got := ask(t, b.transport(u, Config{Rules: registry.Rules{MinReleaseAge: 7 * day, Exclude: []string{"x"}}}), tgz("x", "1.2.0")); got.status != http.StatusOK {
			t.Errorf("excluded: %d %s", got.status, got.body)
		}
	}
}

// What was made of metadata for one job is not what another one gets, whose rules
// are other ones, nor what there is after a new release.
func TestRewrittenIsForItsRules(t *testing.T) {
	n := &npmRegistry{}
	n.add("x", "1.0.0", 400*day, nil)
	n.add("x", "1.1.0", 30*day, nil)
	n.add("x", "1.2.0", day, nil)
	u := newUpstream(t, n.ServeHTTP)
	b := newBench(t)
	see := func(least, later time.Duration, accept string) []string {
		t.Helper()
		c := Config{Rules: registry.Rules{MinReleaseAge: least}, Now: func() time.Time { return time.Now().Add(later) }}
		got := ask(t, b.transport(u, c), npmBase+"x", "Accept", accept)
		if full := accept == registry.NPMFull; bytes.Contains(got.body, []byte(`"time"`)) != full {
			t.Errorf("%s: %s", accept, got.body)
		}
		versions, _ := versionsOf(t, got.body)
		return versions
	}
	for range 2 {
		for _, accept := range []string{registry.NPMAbbreviated, registry.NPMFull} {
			for _, tt := range []struct {
				least, later time.Duration
				want         []string
			}{
				{7 * day, 0, []string{"1.0.0", "1.1.0"}},
				{60 * day, 0, []string{"1.0.0"}},
				{7 * day, 10 * day, []string{"1.0.0", "1.1.0", "1.2.0"}},
				{7 * day, 0, []string{"1.0.0", "1.1.0"}},
			} {
				if got := see(tt.least, tt.later, accept); !slices.Equal(got, tt.want) {
					t.Errorf("%v, %v later: %v, want %v", tt.least, tt.later, got, tt.want)
				}
			}
		}
	}
	n.add("x", "1.3.0", 0, nil)
	for range 2 {
		if got := see(7*day, time.Hour, registry.NPMFull); !slices.Equal(got, []string{"1.0.0", "1.1.0"}) {
			t.Errorf("after a release: %v", got)
		}
	}
}

// A registry that gives no times hides nothing by accident.
func TestNoTimes(t *testing.T) {
	n := &npmRegistry{noTimes: true}
	n.add("x", "1.0.0", 400*day, nil)
	u := newUpstream(t, n.ServeHTTP)
	b := newBench(t)
	tr := b.transport(u, Config{Rules: registry.Rules{MinReleaseAge: 7 * day}})
	if versions, _ := versionsOf(t, ask(t, tr, npmBase+"x").body); len(versions) != 0 {
		t.Errorf("%v", versions)
	}
	if got := ask(t, tr, tgz("x", "1.0.0")); got.status != http.StatusForbidden || !strings.Contains(string(got.body), "does not say when") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestLockfileOnly(t *testing.T) {
	n := &npmRegistry{}
	good := n.add("x", "1.0.0", 400*day, nil)
	n.add("x", "1.1.0", 30*day, nil)
	n.add("evil", "1.0.0", 30*day, nil)
	u := newUpstream(t, n.ServeHTTP)
	b := newBench(t)
	lock := func(digest string) registry.Rules {
		return registry.Rules{Lock: registry.NewLock(registry.Locked{Ecosystem: registry.NPM, Name: "x", Version: "1.0.0", Digests: store.ParseIntegrity(digest)})}
	}
	for _, warm := range []bool{false, true} {
		tr := b.transport(u, Config{Rules: lock(integrity(good.tarball))})
		if got := ask(t, tr, tgz("x", "1.0.0")); !bytes.Equal(got.body, good.tarball) {
			t.Errorf("in: %d %s", got.status, got.body)
		}
		if versions, latest := versionsOf(t, ask(t, tr, npmBase+"x").body); !slices.Equal(versions, []string{"1.0.0"}) || latest != "1.0.0" {
			t.Errorf("%v %s", versions, latest)
		}
		u.reset()
		for _, path := range []string{"evil", "evil/-/evil-1.0.0.tgz", "x/-/x-1.1.0.tgz", "x/1.1.0", "-/v1/search", "-/npm/v1/attestations/evil@1.0.0"} {
			got := ask(t, tr, npmBase+path)
			if got.status != http.StatusForbidden {
				t.Errorf("out: %s: %d %s", path, got.status, got.body)
			}
			if e := b.last(); e.Verdict != Deny || e.Reason != registry.ReasonLockfile && !strings.Contains(path, "search") {
				t.Errorf("%s: %+v", path, e)
			}
		}
		if u.count("GET /prefix/evil")+u.count("GET /prefix/evil/-/evil-1.0.0.tgz") != 0 {
			t.Errorf("a name that is not in the lockfile went up: %v", u.asked)
		}
		// A lockfile with another digest than the registry's: nothing is served.
		for _, digest := range []string{integrity([]byte("other")), "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk="} {
			got := ask(t, b.transport(u, Config{Rules: lock(digest)}), tgz("x", "1.0.0"))
			if got.status != http.StatusBadGateway {
				t.Errorf("warm=%v %s: %d", warm, digest, got.status)
			}
			if e := b.last(); e.Reason != registry.ReasonIntegrity {
				t.Errorf("%+v", e)
			}
		}
		// An old lockfile with the right sha1.
		sum := sha1Of(good.tarball)
		d, err := store.NewDigest(store.SHA1, hexOf(sum))
		if err != nil {
			t.Fatal(err)
		}
		if got := ask(t, b.transport(u, Config{Rules: lock(d.Integrity())}), tgz("x", "1.0.0")); !bytes.Equal(got.body, good.tarball) {
			t.Errorf("sha1: %d %s", got.status, got.body)
		}
	}
}

func TestBlockList(t *testing.T) {
	n := &npmRegistry{}
	n.add("x", "1.0.0", 400*day, nil)
	n.add("x", "1.1.0", 300*day, nil)
	u := newUpstream(t, n.ServeHTTP)
	b := newBench(t)
	block, err := registry.ParseBlocked("x@>=1.1.0")
	if err != nil {
		t.Fatal(err)
	}
	tr := b.transport(u, Config{Rules: registry.Rules{Block: []registry.Blocked{block}}})
	if versions, latest := versionsOf(t, ask(t, tr, npmBase+"x").body); !slices.Equal(versions, []string{"1.0.0"}) || latest != "1.0.0" {
		t.Errorf("%v %s", versions, latest)
	}
	if got := ask(t, tr, tgz("x", "1.1.0")); got.status != http.StatusForbidden || b.last().Reason != registry.ReasonBlocked {
		t.Errorf("%d %+v", got.status, b.last())
	}
	if got := ask(t, tr, tgz("x", "1.0.0")); got.status != http.StatusOK {
		t.Errorf("%d", got.status)
	}
}

// Nothing that a job sends goes up, so that it cannot choose what others get.
func TestJobHeadersStay(t *testing.T) {
	n := &npmRegistry{}
	n.add("x", "1.0.0", 400*day, nil)
	u := newUpstream(t, n.ServeHTTP)
	b := newBench(t)
	tr := b.transport(u, Config{})
	for _, path := range []string{"x", "x/-/x-1.0.0.tgz"} {
		ask(t, tr, npmBase+path, "Authorization", "Bearer evil", "Cookie", "evil=1", "X-Forwarded-Host", "evil.test", "X-Data", "evil")
	}
	for _, h := range u.header {
		for k, v := range h {
			if strings.Contains(strings.Join(v, " "), "evil") {
				t.Errorf("%s: %s went up", k, v)
			}
		}
	}
	if u.total() != 2 {
		t.Errorf("%v", u.asked)
	}
}

// What was fetched with credentials is not there for those who have none.
func TestScopes(t *testing.T) {
	n := &npmRegistry{}
	n.add("@corp/x", "1.0.0", 400*day, nil)
	u := newUpstream(t, n.ServeHTTP)
	b := newBench(t)
	if got := ask(t, b.transport(u, Config{Scope: "corp"}), tgz("@corp/x", "1.0.0")); got.status != http.StatusOK {
		t.Fatal(got)
	}
	u.serve = func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "no", http.StatusUnauthorized) }
	for _, path := range []string{"@corp%2fx", "@corp/x/-/x-1.0.0.tgz"} {
		if got := ask(t, b.transport(u, Config{}), npmBase+path); got.status != http.StatusUnauthorized {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	if got := ask(t, b.transport(u, Config{Scope: "corp"}), tgz("@corp/x", "1.0.0")); got.status != http.StatusOK {
		t.Errorf("%d", got.status)
	}
}

// A registry that fails is answered for by what it said within a day.
func TestStaleIfError(t *testing.T) {
	n := &npmRegistry{}
	n.add("x", "1.0.0", 400*day, nil)
	u := newUpstream(t, n.ServeHTTP)
	b := newBench(t)
	tr := b.transport(u, Config{})
	fresh := ask(t, tr, npmBase+"x")
	later := func(d time.Duration) http.RoundTripper {
		return b.transport(u, Config{Now: func() time.Time { return time.Now().Add(d) }})
	}
	u.down.Store(true)
	if got := ask(t, later(time.Hour), npmBase+"x"); !bytes.Equal(got.body, fresh.body) || b.last().Verdict != Note {
		t.Errorf("%d %v %+v", got.status, got.err, b.last())
	}
	if got := ask(t, later(25*time.Hour), npmBase+"x"); got.err == nil {
		t.Errorf("too old, yet %d", got.status)
	}
	u.down.Store(false)
	u.reset()
	if got := ask(t, later(time.Hour), npmBase+"x"); !bytes.Equal(got.body, fresh.body) || u.total() != 1 || u.header[0].Get("If-None-Match") == "" {
		t.Errorf("%d, asked %v", got.status, u.asked)
	}
	u.reset()
	if ask(t, tr, npmBase+"x"); u.total() != 0 {
		t.Errorf("after a 304 it is fresh, yet asked %v", u.asked)
	}
}

// Methods that write are none of ours: next gets them as they are.
func TestWritesPass(t *testing.T) {
	u := newUpstream(t, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusTeapot) })
	b := newBench(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, npmBase+"x", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := b.transport(u, Config{}).RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusTeapot {
		t.Errorf("%v %v", resp, err)
	}
	resp.Body.Close()
	r = r.Clone(t.Context())
	resp, err = b.transport(u, Config{Offline: true}).RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("%v %v", resp, err)
	}
	resp.Body.Close()
}

// A registry that keeps its files elsewhere: followed by who may, else the job is
// told where.
func TestRedirect(t *testing.T) {
	n := &npmRegistry{}
	v := n.add("x", "1.0.0", 400*day, nil)
	u := newUpstream(t, func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case r.Host == "cdn.test":
			_, _ = rw.Write(v.tarball)
		case strings.Contains(r.URL.Path, "/-/"):
			http.Redirect(rw, r, "http://cdn.test/some/where?sig=1", http.StatusFound)
		case r.URL.Path == "/prefix/moved":
			http.Redirect(rw, r, "http://cdn.test/moved", http.StatusFound)
		default:
			n.ServeHTTP(rw, r)
		}
	})
	b := newBench(t)
	for _, rules := range []registry.Rules{{}, {MinReleaseAge: day}} {
		got := ask(t, b.transport(u, Config{Rules: rules}), tgz("x", "1.0.0"))
		if got.status != http.StatusFound || got.header.Get("Location") != "http://cdn.test/some/where?sig=1" {
			t.Errorf("%d %v", got.status, got.header)
		}
	}
	if got := ask(t, b.transport(u, Config{}), npmBase+"moved"); got.status != http.StatusFound {
		t.Errorf("%d", got.status)
	}
	if got := ask(t, b.transport(u, Config{Rules: registry.Rules{MinReleaseAge: day}}), npmBase+"moved"); got.status != http.StatusBadGateway || got.header.Get("Location") != "" {
		t.Errorf("%d %v", got.status, got.header)
	}
	var credentials string
	next := u.next()
	withToken := roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer real")
		return next.RoundTrip(r)
	})
	follow := roundTripper(func(r *http.Request) (*http.Response, error) {
		credentials += r.Header.Get("Authorization")
		return next.RoundTrip(r)
	})
	tr, err := b.pool.Transport(withToken, Config{Ecosystem: registry.NPM, Base: npmBase, Follow: follow})
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, tr, tgz("x", "1.0.0")); !bytes.Equal(got.body, v.tarball) {
		t.Errorf("%d %v", got.status, got.err)
	}
	if credentials != "" {
		t.Errorf("%q went with the redirect", credentials)
	}
	if got := ask(t, b.transport(u, Config{Offline: true}), tgz("x", "1.0.0")); !bytes.Equal(got.body, v.tarball) {
		t.Errorf("not kept: %d", got.status)
	}
}

func TestRange(t *testing.T) {
	n := &npmRegistry{}
	v := n.add("x", "1.0.0", 400*day, nil)
	u := newUpstream(t, n.ServeHTTP)
	b := newBench(t)
	tr := b.transport(u, Config{})
	for range 2 {
		if got := ask(t, tr, tgz("x", "1.0.0"), "Range", "bytes=10-19"); got.status != http.StatusPartialContent || !bytes.Equal(got.body, v.tarball[10:20]) {
			t.Errorf("%d %q", got.status, got.body)
		}
	}
	if got := ask(t, tr, tgz("x", "1.0.0"), "Range", "bytes=10-"); !bytes.Equal(got.body, v.tarball[10:]) {
		t.Errorf("%d", got.status)
	}
	if got := ask(t, tr, tgz("x", "1.0.0"), "Range", "bytes=5-1,7-8"); got.status != http.StatusOK {
		t.Errorf("%d", got.status)
	}
}
