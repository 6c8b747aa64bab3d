// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/zviz/run/cache/registry"
)

// registryName is how the sandbox knows our registry. Without one it is localhost.
const registryName = "registry.example.com" // the certificate of httptest is for it

// server is a registry of ours over TLS. Archives come once from the registry that npm is
// configured for, and from memory then: the network is no part of what is measured. It
// runs in this process, whose time nobody counts.
type server struct {
	*httptest.Server
	upstream string
	locked   map[string][]registry.Locked // by name
	archives atomic.Int64                 // asked for

	mu   sync.Mutex
	kept map[string][]byte // by path
}

func newServer(ctx context.Context, locked []registry.Locked) (*server, error) {
	out, err := exec.CommandContext(ctx, "npm", "config", "get", "registry").Output()
	if err != nil {
		return nil, fmt.Errorf("npm config get registry: %w", err)
	}
	s := &server{upstream: strings.TrimRight(strings.TrimSpace(string(out)), "/"), locked: map[string][]registry.Locked{}, kept: map[string][]byte{}}
	for _, l := range locked {
		s.locked[l.Name] = append(s.locked[l.Name], l)
	}
	s.Server = httptest.NewTLSServer(s)
	return s, nil
}

func (s *server) close() { s.Close() }

// ca is the certificate to trust.
func (s *server) ca() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// archiveOf is the path of a version's archive.
func archiveOf(name, version string) string {
	return "/" + name + "/-/" + name[strings.LastIndexByte(name, '/')+1:] + "-" + version + ".tgz"
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, ".tgz") {
		s.archives.Add(1)
		b, err := s.archive(r.Context(), r.URL.Path)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Cache-Control", "public, immutable, max-age=31557600")
		_, _ = w.Write(b)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	all, ok := s.locked[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	versions := map[string]any{}
	for _, l := range all {
		versions[l.Version] = map[string]any{"name": name, "version": l.Version, "dist": map[string]string{
			"tarball": "https://" + registryName + archiveOf(name, l.Version), "integrity": l.Digests[0].Integrity(),
		}}
	}
	w.Header().Set("Content-Type", registry.NPMAbbreviated)
	_ = json.NewEncoder(w).Encode(map[string]any{"name": name, "dist-tags": map[string]string{"latest": all[0].Version}, "versions": versions})
}

// archive is one that was fetched already, or fetches it. npm compares its digest.
func (s *server) archive(ctx context.Context, path string) ([]byte, error) {
	s.mu.Lock()
	b, ok := s.kept[path]
	s.mu.Unlock()
	if ok {
		return b, nil
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, s.upstream+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if b, err = io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: status %d, %w", path, resp.StatusCode, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[path] = b
	return b, nil
}
