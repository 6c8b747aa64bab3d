// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zviz/run/cache/lockfile"
	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/internal/testenv"
)

// front is what egress will be: a proxy that sends requests through a transport.
func front(t *testing.T, tr http.RoundTripper) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		out := r.Clone(r.Context())
		out.RequestURI = ""
		out.Header.Del("Proxy-Connection")
		resp, err := tr.RoundTrip(out)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		maps.Copy(rw.Header(), resp.Header)
		rw.WriteHeader(resp.StatusCode)
		if _, err := io.Copy(rw, resp.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// npmIn runs npm in a folder with a cache of its own, through a transport.
func npmIn(t *testing.T, dir string, tr http.RoundTripper, args ...string) (string, error) {
	t.Helper()
	npm := testenv.NeedTool(t, "npm")
	home := t.TempDir()
	cmd := exec.Command(npm, args...)
	cmd.Dir = dir
	proxy := front(t, tr).URL
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "npm_config_cache=" + filepath.Join(home, "cache"), "npm_config_registry=" + npmBase,
		"npm_config_proxy=" + proxy, "npm_config_noproxy=", "npm_config_audit=false", "npm_config_fund=false",
		"npm_config_update_notifier=false", "npm_config_fetch_retries=0",
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func project(t *testing.T, deps map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	b, err := json.Marshal(map[string]any{"name": "me", "version": "1.0.0", "dependencies": deps})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// many is a registry with a tree of packages.
func many() *npmRegistry {
	n := &npmRegistry{shortOK: true}
	for i := range 40 {
		deps := map[string]string{}
		if i > 0 {
			deps[fmt.Sprintf("pkg-%d", i-1)] = "^1.0.0"
		}
		n.add(fmt.Sprintf("pkg-%d", i), "1.0.0", 400*day, deps)
		n.add(fmt.Sprintf("pkg-%d", i), "1.1.0", 100*day, deps)
	}
	n.add("@scope/top", "2.0.0", 90*day, map[string]string{"pkg-39": "1.x"})
	return n
}

// TestNPMOffline: npm ci with an empty cache of npm's own, first against a
// registry, then with the network cut.
func TestNPMOffline(t *testing.T) {
	testenv.NeedTool(t, "npm")
	u := newUpstream(t, many().ServeHTTP)
	b := newBench(t)
	dir := project(t, map[string]string{"@scope/top": "2"})
	if out, err := npmIn(t, dir, b.transport(u, Config{}), "install", "--package-lock-only"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ci := func(c Config) (string, error) {
		if err := os.RemoveAll(filepath.Join(dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
		return npmIn(t, dir, b.transport(u, c), "ci")
	}
	if out, err := ci(Config{}); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	u.reset()
	if out, err := ci(Config{}); err != nil || u.total() != 0 {
		t.Fatalf("warm: asked %v, %v\n%s", u.asked, err, out)
	}
	u.server.Close()
	u.down.Store(true)
	if out, err := ci(Config{Offline: true}); err != nil {
		t.Fatalf("offline: %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "pkg-0", "package.json")); err != nil {
		t.Error(err)
	}
	// The control: without the store it fails.
	if out, err := npmIn(t, dir, u.next(), "ci"); err == nil {
		t.Errorf("npm ci passed without a registry and without the store\n%s", out)
	}
	// What is missing is named.
	out, err := npmIn(t, project(t, map[string]string{"never-seen": "1"}), b.transport(u, Config{Offline: true}), "install")
	if err == nil || !strings.Contains(out, "offline, and the package store has no metadata of never-seen") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestNPMCooldown: a resolver picks an older version by itself, with the young
// one warm in the store; a lockfile that names the young one is refused.
func TestNPMCooldown(t *testing.T) {
	testenv.NeedTool(t, "npm")
	n := &npmRegistry{shortOK: true}
	n.add("axois", "1.0.0", 400*day, nil)
	n.add("axois", "1.0.1", day, nil)
	u := newUpstream(t, n.ServeHTTP)
	b := newBench(t)
	young := project(t, map[string]string{"axois": "^1.0.0"})
	if out, err := npmIn(t, young, b.transport(u, Config{}), "install"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if v := installed(t, young); v != "1.0.1" {
		t.Fatalf("without the rule npm installs %s: the test says nothing", v)
	}
	rules := registry.Rules{MinReleaseAge: 7 * day}
	dir := project(t, map[string]string{"axois": "^1.0.0"})
	if out, err := npmIn(t, dir, b.transport(u, Config{Rules: rules}), "install"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if v := installed(t, dir); v != "1.0.0" {
		t.Errorf("installed %s", v)
	}
	if err := os.RemoveAll(filepath.Join(young, "node_modules")); err != nil {
		t.Fatal(err)
	}
	out, err := npmIn(t, young, b.transport(u, Config{Rules: rules}), "ci")
	if err == nil || !strings.Contains(out, "axois@1.0.1 was published 24 hours ago, min_release_age is 7 days") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = npmIn(t, project(t, map[string]string{"axois": "1.0.1"}), b.transport(u, Config{Rules: rules}), "install")
	if err == nil || !strings.Contains(out, "ETARGET") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestNPMLockfileOnly: npm ci passes with what its lockfile names and nothing
// else goes up.
func TestNPMLockfileOnly(t *testing.T) {
	testenv.NeedTool(t, "npm")
	u := newUpstream(t, many().ServeHTTP)
	b := newBench(t)
	dir := project(t, map[string]string{"@scope/top": "2"})
	if out, err := npmIn(t, dir, b.transport(u, Config{}), "install", "--package-lock-only"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := os.Open(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	locked, err := lockfile.Parse(f.Name(), f)
	if err != nil || len(locked) != 41 {
		t.Fatalf("%d packages, %v", len(locked), err)
	}
	c := Config{Rules: registry.Rules{Lock: registry.NewLock(locked...)}}
	if out, err := npmIn(t, dir, b.transport(u, c), "ci"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	out, err := npmIn(t, dir, b.transport(u, c), "view", "left-pad")
	if err == nil || !strings.Contains(out, "left-pad is not in the lockfile") || u.count("GET /prefix/left-pad") != 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// installed is the version of axois, the package with a fresh release.
func installed(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "node_modules", "axois", "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	var p struct{ Version string }
	if err := json.Unmarshal(b, &p); err != nil {
		t.Fatal(err)
	}
	return p.Version
}
