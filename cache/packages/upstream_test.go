// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/cache/store"
)

const npmBase = "http://npm.test/prefix/"

// upstream is a registry on loopback that counts what it is asked.
type upstream struct {
	server *httptest.Server
	mu     sync.Mutex
	asked  map[string]int // METHOD path → times
	header []http.Header
	serve  http.HandlerFunc
	down   atomic.Bool
}

func newUpstream(t *testing.T, serve http.HandlerFunc) *upstream {
	t.Helper()
	u := &upstream{asked: map[string]int{}, serve: serve}
	u.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		u.asked[r.Method+" "+r.URL.EscapedPath()]++
		u.header = append(u.header, r.Header.Clone())
		u.mu.Unlock()
		u.serve(rw, r)
	}))
	t.Cleanup(u.server.Close)
	return u
}

// next reaches it under any name.
func (u *upstream) next() http.RoundTripper {
	tr := &http.Transport{
		DisableCompression: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			if u.down.Load() {
				return nil, errors.New("network is unreachable (test)")
			}
			return new(net.Dialer).DialContext(ctx, network, u.server.Listener.Addr().String())
		},
		DisableKeepAlives: true,
	}
	return tr
}

func (u *upstream) total() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := 0
	for _, v := range u.asked {
		n += v
	}
	return n
}

func (u *upstream) count(what string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.asked[what]
}

func (u *upstream) reset() {
	u.mu.Lock()
	defer u.mu.Unlock()
	clear(u.asked)
	u.header = nil
}

// npmRegistry is what an upstream of npm has.
type npmRegistry struct {
	mu       sync.Mutex
	packages map[string]map[string]*npmVersion
	latest   map[string]string
	noTimes  bool
	shortOK  bool // knows the abbreviated form
	delay    time.Duration
}

type npmVersion struct {
	tarball   []byte
	published time.Time
	deps      map[string]string
	served    []byte // instead of the tarball
}

func (n *npmRegistry) add(name, version string, age time.Duration, deps map[string]string) *npmVersion {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.packages == nil {
		n.packages, n.latest = map[string]map[string]*npmVersion{}, map[string]string{}
	}
	if n.packages[name] == nil {
		n.packages[name] = map[string]*npmVersion{}
	}
	v := &npmVersion{tarball: tarball(name, version, deps, 0), published: time.Now().Add(-age), deps: deps}
	n.packages[name][version] = v
	n.latest[name] = version
	return v
}

// tarball makes a package; size adds bytes that do not compress.
func tarball(name, version string, deps map[string]string, size int) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	manifest, err := json.Marshal(map[string]any{"name": name, "version": version, "dependencies": deps, "main": "index.js"})
	if err != nil {
		panic(err)
	}
	noise := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise)
	for file, content := range map[string][]byte{"package/package.json": manifest, "package/index.js": []byte("module.exports = '" + version + "'"), "package/noise": noise} {
		if err := w.WriteHeader(&tar.Header{Name: file, Mode: 0o644, Size: int64(len(content))}); err != nil {
			panic(err)
		}
		_, _ = w.Write(content)
	}
	w.Close()
	z.Close()
	return b.Bytes()
}

func integrity(b []byte) string {
	sum := sha512.Sum512(b)
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

func (n *npmRegistry) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/prefix/")
	n.mu.Lock()
	defer n.mu.Unlock()
	if name, file, ok := strings.Cut(path, "/-/"); ok {
		for version, v := range n.packages[name] {
			if file == name[strings.LastIndexByte(name, '/')+1:]+"-"+version+".tgz" {
				b := v.tarball
				if v.served != nil {
					b = v.served
				}
				if n.delay > 0 {
					n.mu.Unlock()
					time.Sleep(n.delay)
					n.mu.Lock()
				}
				rw.Header().Set("Content-Type", "application/octet-stream")
				_, _ = rw.Write(b)
				return
			}
		}
	}
	versions, ok := n.packages[path]
	if !ok {
		http.Error(rw, `{"error":"Not found"}`, http.StatusNotFound)
		return
	}
	short := n.shortOK && strings.Contains(r.Header.Get("Accept"), registry.NPMAbbreviated)
	doc := map[string]any{"name": path, "dist-tags": map[string]string{"latest": n.latest[path]}}
	all, times := map[string]any{}, map[string]string{}
	for version, v := range versions {
		sum := sha1.Sum(v.tarball)
		all[version] = map[string]any{
			"name": path, "version": version, "dependencies": v.deps,
			"dist": map[string]string{
				"integrity": integrity(v.tarball), "shasum": hex.EncodeToString(sum[:]),
				"tarball": npmBase + path + "/-/" + path[strings.LastIndexByte(path, '/')+1:] + "-" + version + ".tgz",
			},
		}
		times[version] = v.published.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	doc["versions"] = all
	media := registry.NPMFull
	if short {
		media = registry.NPMAbbreviated
	} else if !n.noTimes {
		doc["time"] = times
	}
	b, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	etag := `"` + hex.EncodeToString(sha1Of(b)) + `"`
	rw.Header().Set("Etag", etag)
	if r.Header.Get("If-None-Match") == etag {
		rw.WriteHeader(http.StatusNotModified)
		return
	}
	rw.Header().Set("Content-Type", media)
	_, _ = rw.Write(b)
}

func sha1Of(b []byte) []byte {
	sum := sha1.Sum(b)
	return sum[:]
}

// bench is a pool with what it told.
type bench struct {
	t      *testing.T
	pool   *Pool
	files  *store.Store
	mu     sync.Mutex
	events []Event
}

func newBench(t *testing.T) *bench {
	t.Helper()
	return openBench(t, filepath.Join(t.TempDir(), "store"))
}

func openBench(t *testing.T, dir string) *bench {
	t.Helper()
	files, err := store.Open(store.Config{Dir: dir, MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := files.Close(); err != nil {
			t.Error(err)
		}
	})
	return &bench{t: t, pool: New(files), files: files}
}

func (b *bench) transport(u *upstream, c Config) http.RoundTripper {
	b.t.Helper()
	if c.Base == "" {
		c.Ecosystem, c.Base = registry.NPM, npmBase
	}
	c.Observe = func(e Event) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.events = append(b.events, e)
	}
	tr, err := b.pool.Transport(u.next(), c)
	if err != nil {
		b.t.Fatal(err)
	}
	return tr
}

func (b *bench) last() Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.events) == 0 {
		return Event{}
	}
	return b.events[len(b.events)-1]
}

// fetched is an answer that was read to its end.
type fetched struct {
	status int
	header http.Header
	body   []byte
	err    error
}

func ask(t *testing.T, tr http.RoundTripper, url string, header ...string) fetched {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := tr.RoundTrip(r)
	if err != nil {
		return fetched{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.ContentLength >= 0 && int64(len(b)) != resp.ContentLength {
		t.Errorf("%s: %d bytes, Content-Length %d", url, len(b), resp.ContentLength)
	}
	return fetched{resp.StatusCode, resp.Header, b, err}
}

func versionsOf(t *testing.T, doc []byte) (versions []string, latest string) {
	t.Helper()
	var p struct {
		Versions map[string]any
		Tags     map[string]string `json:"dist-tags"`
	}
	if err := json.Unmarshal(doc, &p); err != nil {
		t.Fatalf("%v: %.300s", err, doc)
	}
	return slices.Sorted(maps.Keys(p.Versions)), p.Tags["latest"]
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }
