// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zviz/run/cache/node"
)

func arch() string {
	if runtime.GOARCH == "amd64" {
		return "x64"
	}
	return runtime.GOARCH
}

// tarball is a package of Node.js, whose program is a script that says its version.
func tarball(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range files {
		h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			h = &tar.Header{Name: name, Linkname: target, Typeflag: tar.TypeSymlink}
			text = ""
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// npm is a registry with versions of Node.js.
type npm struct {
	*httptest.Server
	mu       sync.Mutex
	versions map[string][]byte // tarballs
	npm      map[string][]byte // those of the package npm
	digest   map[string]string // in place of the right one
	times    map[string]time.Time
	tarballs atomic.Int32
	token    string
}

func newNPM(t *testing.T) *npm {
	t.Helper()
	n := &npm{versions: map[string][]byte{}, npm: map[string][]byte{}, digest: map[string]string{}, times: map[string]time.Time{}}
	n.Server = httptest.NewServer(http.HandlerFunc(n.answer))
	t.Cleanup(n.Close)
	return n
}

func (n *npm) answer(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.token != "" && r.Header.Get("Authorization") != n.token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	name, tarballs := "/npm/node-linux-"+arch(), n.versions
	if strings.HasPrefix(r.URL.Path, "/npm/npm") {
		name, tarballs = "/npm/npm", n.npm
	}
	if file, ok := strings.CutPrefix(r.URL.Path, name+"/-/"); ok {
		n.tarballs.Add(1)
		_, _ = w.Write(tarballs[strings.TrimSuffix(file, ".tgz")])
		return
	}
	if r.URL.Path != name {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	versions, times := map[string]any{}, map[string]string{}
	for v, b := range tarballs {
		sum := sha512.Sum512(b)
		integrity := "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
		if d, ok := n.digest[v]; ok {
			integrity = d
		}
		versions[v] = map[string]any{"name": name[5:], "version": v, "dist": map[string]string{"tarball": n.URL + name + "/-/" + v + ".tgz", "integrity": integrity}}
		times[v] = n.times[v].Format(time.RFC3339)
	}
	doc := map[string]any{"name": name[5:], "versions": versions}
	if !strings.Contains(r.Header.Get("Accept"), "install-v1") {
		doc["time"] = times
	}
	_ = json.NewEncoder(w).Encode(doc)
}

func (n *npm) open(t *testing.T, dir string, change ...func(*node.Config)) *node.Store {
	t.Helper()
	cfg := node.Config{Dir: dir, Registry: func(context.Context) (node.Registry, error) {
		return node.Registry{Base: n.URL + "/npm/", Client: n.Client(), Authorization: n.token}, nil
	}}
	for _, c := range change {
		c(&cfg)
	}
	s, err := node.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func program(version string) map[string]string {
	return map[string]string{
		"package/bin/node": "#!/bin/sh\necho v" + version + "\n", "package/LICENSE": "licence", "package/package.json": "{}",
		"package/include/x.h": "x", "package/../../evil": "x", "/evil": "x",
	}
}

func TestGet(t *testing.T) {
	n := newNPM(t)
	for _, v := range []string{"20.9.0", "24.2.0", "24.10.0", "24.11.0-rc.1", "25.0.0"} {
		n.versions[v] = tarball(t, program(v))
	}
	n.versions["24.12.0"], n.digest["24.12.0"] = n.versions["24.10.0"], "" // without a digest
	n.token = "Bearer s3cret"
	dir := filepath.Join(t.TempDir(), "node")
	var wg sync.WaitGroup
	for range 4 {
		s := n.open(t, dir)
		for range 5 {
			wg.Go(func() {
				got, err := s.Get(t.Context(), 24)
				if err != nil {
					t.Error(err)
					return
				}
				defer got.Close()
				text, err := os.ReadFile(filepath.Join(got.Dir, "bin/node"))
				if err != nil || got.Version != "24.10.0" || !strings.Contains(string(text), "v24.10.0") {
					t.Errorf("%s %q %v", got.Version, text, err)
				}
			})
		}
	}
	wg.Wait()
	if got := n.tarballs.Load(); got != 1 {
		t.Errorf("%d fetches", got)
	}
	info, err := os.Stat(filepath.Join(dir, "versions/24.10.0-"+arch(), "bin/node"))
	if err != nil || info.Mode() != 0o555 {
		t.Errorf("%v %v", info, err)
	}
	var names []string
	for _, d := range []string{dir, filepath.Join(dir, "versions"), filepath.Join(dir, "versions/24.10.0-"+arch()), filepath.Join(dir, "tmp")} {
		entries, err := os.ReadDir(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	if got, want := fmt.Sprint(names), "[locks tmp versions 24.10.0-"+arch()+" LICENSE bin]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	n.Close() // it is not asked again
	offline := n.open(t, dir)
	if got, err := offline.Get(t.Context(), 24); err != nil {
		t.Error(err)
	} else {
		got.Close()
	}
	if _, err := offline.Find(t.Context(), 22); !errors.Is(err, node.ErrNone) {
		t.Error(err)
	}
}

func TestRefused(t *testing.T) {
	good := program("24.1.0")
	for name, tt := range map[string]struct {
		change func(n *npm)
		most   func(*node.Config)
		want   string
	}{
		"another digest": {func(n *npm) {
			n.digest["24.1.0"] = "sha512-" + base64.StdEncoding.EncodeToString(make([]byte, 64))
		}, nil, "sha512"},
		"a weak digest": {func(n *npm) { n.digest["24.1.0"] = "sha1-" + base64.StdEncoding.EncodeToString(make([]byte, 20)) }, nil, "has no version 24.x that may be taken"},
		"no such major": {func(n *npm) { delete(n.versions, "24.1.0") }, nil, "has no version 24.x that may be taken"},
		"no program":    {func(n *npm) { n.versions["24.1.0"] = tarball(t, map[string]string{"package/LICENSE": "x"}) }, nil, "there is no bin/node in it"},
		"a link":        {func(n *npm) { n.versions["24.1.0"] = tarball(t, map[string]string{"package/bin/node": "-> /bin/sh"}) }, nil, "is not a file"},
		"no tarball":    {func(n *npm) { n.versions["24.1.0"] = []byte("not gzip") }, nil, "tarball:"},
		"too young":     {func(n *npm) { n.times["24.1.0"] = time.Now() }, func(c *node.Config) { c.MinAge = time.Hour }, "that may be taken"},
		"no access": {func(n *npm) { n.token = "x" }, func(c *node.Config) {
			c.Registry = func(context.Context) (node.Registry, error) {
				return node.Registry{}, errors.New("nobody knows the registry")
			}
		}, "nobody knows the registry"},
		"nothing fetched": {func(*npm) {}, func(c *node.Config) { c.Registry = nil }, "there is none, and none is fetched"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNPM(t)
			n.versions["24.1.0"] = tarball(t, good)
			tt.change(n)
			dir := filepath.Join(t.TempDir(), "node")
			s := n.open(t, dir, func(c *node.Config) {
				if tt.most != nil {
					tt.most(c)
				}
			})
			got, err := s.Get(t.Context(), 24)
			if err == nil {
				got.Close()
				t.Fatal("it was taken")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Error(err)
			}
			for _, d := range []string{"tmp", "versions"} {
				if left, err := os.ReadDir(filepath.Join(dir, d)); err != nil || len(left) > 0 {
					t.Errorf("left in %s: %v %v", d, left, err)
				}
			}
		})
	}
	t.Run("old enough", func(t *testing.T) {
		n := newNPM(t)
		n.versions["24.1.0"], n.times["24.1.0"] = tarball(t, good), time.Now().Add(-48*time.Hour)
		n.versions["24.2.0"], n.times["24.2.0"] = tarball(t, program("24.2.0")), time.Now()
		s := n.open(t, filepath.Join(t.TempDir(), "node"), func(c *node.Config) { c.MinAge = 24 * time.Hour })
		got, err := s.Get(t.Context(), 24)
		if err != nil || got.Version != "24.1.0" {
			t.Fatalf("%v %v", got, err)
		}
		got.Close()
	})
}
