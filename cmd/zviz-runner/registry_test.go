// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// npmRegistry is a registry of this machine. The first version of each package is a
// year old, the second one an hour.
type npmRegistry struct {
	base string
	log  string // file: a line for each request
	mu   sync.Mutex
}

// npmregistry NAME LOG starts one and sets NAME to its address; "npmregistry stop NAME"
// ends it.
func npmregistry(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: npmregistry NAME LOG, npmregistry stop NAME")
	}
	if args[0] == "stop" {
		s, ok := servers.Load(ts.Getenv(args[1]))
		if !ok {
			ts.Fatalf("no registry %s", args[1])
		}
		s.(*httptest.Server).Close()
		return
	}
	r := &npmRegistry{base: "http://registry.test", log: ts.MkAbs(args[1])}
	ts.Check(os.WriteFile(r.log, nil, 0o600))
	s := httptest.NewServer(r)
	ts.Defer(s.Close)
	ts.Setenv(args[0], s.Listener.Addr().String())
	servers.Store(s.Listener.Addr().String(), s)
}

// servers are those of npmregistry, by address.
var servers sync.Map

func (n *npmRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	f, err := os.OpenFile(n.log, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		fmt.Fprintf(f, "%s %s %s\n", r.Method, r.URL.EscapedPath(), r.Header.Get("Authorization"))
		_ = f.Close()
	}
	n.mu.Unlock()
	if r.Method == http.MethodPut {
		fmt.Fprint(w, `{"ok":true}`)
		return
	}
	path, err := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), "/"))
	if err != nil {
		http.Error(w, "bad path", http.StatusBadRequest)
		return
	}
	name, file, isFile := strings.Cut(path, "/-/")
	if isFile {
		version := strings.TrimSuffix(file[strings.LastIndexByte(file, '-')+1:], ".tgz")
		archive := tarball(name, version)
		if _, err := os.Stat(n.log + ".corrupt"); err == nil {
			archive = tarball(name, version+"-evil") // another one than the metadata says
		}
		_, _ = w.Write(archive)
		return
	}
	if name != "left" && name != "right" {
		http.NotFound(w, r)
		return
	}
	versions, times := map[string]any{}, map[string]string{}
	for version, age := range map[string]time.Duration{"1.0.0": 365 * 24 * time.Hour, "1.1.0": time.Hour} {
		sum := sha512.Sum512(tarball(name, version))
		versions[version] = map[string]any{
			"name": name, "version": version,
			"dist": map[string]string{
				"tarball":   n.base + "/" + name + "/-/" + name + "-" + version + ".tgz",
				"integrity": "sha512-" + base64.StdEncoding.EncodeToString(sum[:]),
			},
		}
		times[version] = time.Now().Add(-age).UTC().Format(time.RFC3339)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"name": name, "dist-tags": map[string]string{"latest": "1.1.0"}, "versions": versions, "time": times})
}

// tarball is the archive of a version, the same bytes each time.
func tarball(name, version string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for file, text := range map[string]string{"package/package.json": fmt.Sprintf(`{"name":%q,"version":%q}`, name, version)} {
		if err := w.WriteHeader(&tar.Header{Name: file, Mode: 0o644, Size: int64(len(text))}); err != nil {
			panic(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}
