// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zviz/run/cache/lockfile"
	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/internal/testenv"
)

// needOnline skips what fetches from the registries that this machine is
// configured for.
func needOnline(t *testing.T) {
	t.Helper()
	if os.Getenv("ZVIZ_TEST_ONLINE") != "1" {
		t.Skip("needs the network: set ZVIZ_TEST_ONLINE=1")
	}
}

const verdaccioBase = "http://verdaccio.test/"

// verdaccio is a registry that nobody here wrote, on loopback.
type verdaccio struct {
	addr  string
	token string
	stop  func()
}

// startVerdaccio installs it from the registry that npm is configured for.
func startVerdaccio(t *testing.T) *verdaccio {
	t.Helper()
	npm, node := testenv.NeedTool(t, "npm"), testenv.NeedTool(t, "node")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "package.json"), `{"name":"v","version":"1.0.0","dependencies":{"verdaccio":"6.2.4"},"overrides":{"node-fetch":"2.6.7"}}`)
	install := exec.Command(npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("install verdaccio: %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &verdaccio{addr: l.Addr().String()}
	l.Close()
	write(t, filepath.Join(dir, "config.yaml"), `storage: ./storage
auth: {htpasswd: {file: ./htpasswd}}
packages:
  '@corp/*': {access: $authenticated, publish: $authenticated}
  '**': {access: $all, publish: $authenticated}
log: {type: file, path: ./log, level: warn}
`)
	cmd := exec.Command(node, "node_modules/verdaccio/bin/verdaccio", "--config", "config.yaml", "--listen", v.addr)
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v.stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(v.stop)
	for range 300 {
		if c, err := net.Dial("tcp", v.addr); err == nil {
			c.Close()
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	user, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+v.addr+"/-/user/org.couchdb.user:bob", strings.NewReader(`{"name":"bob","password":"a long password"}`))
	if err != nil {
		t.Fatal(err)
	}
	user.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(user)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Token string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Token == "" {
		t.Fatalf("verdaccio gave no token: %d %v", resp.StatusCode, err)
	}
	v.token = answer.Token
	return v
}

// next reaches it under its test name, with the token or without.
func (v *verdaccio) next(token string) http.RoundTripper {
	tr := &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, v.addr)
	}}
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if token != "" {
			r = r.Clone(r.Context())
			r.Header.Set("Authorization", "Bearer "+token)
		}
		return tr.RoundTrip(r)
	})
}

// publish makes a release of a package, directly.
func (v *verdaccio) publish(t *testing.T, name, version string, deps map[string]string) {
	t.Helper()
	dir := t.TempDir()
	b, err := json.Marshal(map[string]any{"name": name, "version": version, "dependencies": deps})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "package.json"), string(b))
	write(t, filepath.Join(dir, ".npmrc"), "//"+v.addr+"/:_authToken="+v.token+"\n")
	cmd := exec.Command("npm", "publish", "--registry", "http://"+v.addr+"/", "--access", "public")
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("publish: %v\n%s", err, out)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) over(next http.RoundTripper, c Config) http.RoundTripper {
	b.t.Helper()
	c.Ecosystem, c.Base = registry.NPM, verdaccioBase
	c.Observe = func(e Event) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.events = append(b.events, e)
	}
	tr, err := b.pool.Transport(next, c)
	if err != nil {
		b.t.Fatal(err)
	}
	return tr
}

// TestOnlineVerdaccio: a fresh malicious release, a lockfile, a private scope and
// a cut network, with npm and a registry that nobody here wrote.
func TestOnlineVerdaccio(t *testing.T) {
	needOnline(t)
	v := startVerdaccio(t)
	v.publish(t, "axois", "1.0.0", nil)
	v.publish(t, "left", "1.0.0", map[string]string{"axois": "^1.0.0"})
	v.publish(t, "@corp/x", "1.0.0", nil)
	v.publish(t, "axois", "1.0.1", nil)
	b := newBench(t)
	npm := func(dir string, tr http.RoundTripper, args ...string) (string, error) {
		return npmIn(t, dir, tr, append(args, "--registry", verdaccioBase)...)
	}
	plain := func(c Config) http.RoundTripper { return b.over(v.next(""), c) }

	// Without a rule the fresh release is installed, and is warm then.
	young := project(t, map[string]string{"left": "1"})
	if out, err := npm(young, plain(Config{}), "install"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := installed(t, young); got != "1.0.1" {
		t.Fatalf("control: %s", got)
	}
	old, fresh := v.published(t, "axois", "1.0.0"), v.published(t, "axois", "1.0.1")
	latest := fresh.Add(time.Second)
	if other := v.published(t, "left", "1.0.0"); !old.Before(other) || !other.Before(fresh) {
		t.Fatalf("published in another order: %v %v %v", old, other, fresh)
	}
	cooldown := Config{
		Now:   func() time.Time { return latest },
		Rules: registry.Rules{MinReleaseAge: latest.Sub(fresh) + fresh.Sub(v.published(t, "left", "1.0.0"))/2},
	}
	dir := project(t, map[string]string{"left": "1"})
	if out, err := npm(dir, plain(cooldown), "install"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := installed(t, dir); got != "1.0.0" {
		t.Errorf("cooldown: installed %s", got)
	}
	if err := os.RemoveAll(filepath.Join(young, "node_modules")); err != nil {
		t.Fatal(err)
	}
	if out, err := npm(young, plain(cooldown), "ci"); err == nil || !strings.Contains(out, "axois@1.0.1 was published") {
		t.Errorf("warm, young and in the lockfile: %v\n%s", err, out)
	}

	// Only what the lockfile names.
	f, err := os.Open(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	locked, err := lockfile.Parse(f.Name(), f)
	if err != nil || len(locked) != 2 {
		t.Fatalf("%v %v", locked, err)
	}
	only := Config{Rules: registry.Rules{Lock: registry.NewLock(locked...)}}
	if err := os.RemoveAll(filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	if out, err := npm(dir, plain(only), "ci"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := npm(dir, plain(only), "view", "@corp/x"); err == nil || !strings.Contains(out, "is not in the lockfile") {
		t.Errorf("%v\n%s", err, out)
	}

	// The token is put in by what is below; who has another scope gets nothing,
	// warm or not.
	private := project(t, map[string]string{"@corp/x": "1"})
	if out, err := npm(private, b.over(v.next(v.token), Config{Scope: "corp"}), "install"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := npm(project(t, map[string]string{"@corp/x": "1"}), plain(Config{}), "install"); err == nil {
		t.Errorf("installed without the token\n%s", out)
	}

	v.stop()
	for name, c := range map[string]Config{"public": {Offline: true}, "scope": {Offline: true, Scope: "corp"}} {
		d := dir
		if name == "scope" {
			d = private
		}
		if err := os.RemoveAll(filepath.Join(d, "node_modules")); err != nil {
			t.Fatal(err)
		}
		if out, err := npm(d, plain(c), "ci"); err != nil {
			t.Errorf("offline, %s: %v\n%s", name, err, out)
		}
	}
}

// ownCPU is the time that this process has used.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// published asks the registry when a version was published.
func (v *verdaccio) published(t *testing.T, name, version string) time.Time {
	t.Helper()
	resp, err := http.Get("http://" + v.addr + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	p, err := registry.ParsePackument(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	found, ok := p.Find(version)
	if !ok || found.Published.IsZero() {
		t.Fatalf("%s@%s: %+v", name, version, p)
	}
	return found.Published
}

// machineRegistry is what a tool of this machine is configured for.
func machineRegistry(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := exec.Command(testenv.NeedTool(t, argv[0]), argv[1:]...).Output()
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), ",")
	u, err := url.Parse(first)
	if err != nil || u.Host == "" {
		testenv.Missing(t, "%v names no registry", argv)
	}
	u.User = nil
	return u.String()
}

// TestOnlineNPM: npm ci of a real tree, cold, warm, and offline, with the times
// of npm's own for comparison.
func TestOnlineNPM(t *testing.T) {
	needOnline(t)
	base := machineRegistry(t, "npm", "config", "get", "registry")
	dir := project(t, map[string]string{"webpack": "5", "jest": "29", "eslint": "8", "typescript": "5", "@babel/core": "7"})
	run := func(what string, env []string, args ...string) {
		t.Helper()
		if err := os.RemoveAll(filepath.Join(dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
		home := t.TempDir()
		cmd := exec.Command("npm", append(args, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")...)
		cmd.Dir = dir
		cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "npm_config_cache=" + filepath.Join(home, "cache"), "SSL_CERT_FILE=" + os.Getenv("SSL_CERT_FILE"), "NODE_EXTRA_CA_CERTS=" + os.Getenv("NODE_EXTRA_CA_CERTS")}, env...)
		start, ours := time.Now(), ownCPU()
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", what, err, out)
		}
		t.Logf("%-10s %6.1f s wall, %5.1f s CPU of ours, %5.1f s of npm", what, time.Since(start).Seconds(), (ownCPU() - ours).Seconds(), (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
	}
	run("lock", []string{"npm_config_registry=" + base}, "install", "--package-lock-only")
	run("bare", []string{"npm_config_registry=" + base}, "ci")
	b := newBench(t)
	through := func(c Config) []string {
		c.Ecosystem, c.Base = registry.NPM, base
		c.Observe = func(e Event) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.events = append(b.events, e)
		}
		next := http.DefaultTransport
		if c.Offline {
			next = roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("cut") })
		}
		tr, err := b.pool.Transport(next, c)
		if err != nil {
			t.Fatal(err)
		}
		// TLS is egress's: here the registry's URL is put before what npm asks.
		to := roundTripper(func(r *http.Request) (*http.Response, error) {
			u, err := url.Parse(strings.TrimSuffix(base, "/") + r.URL.EscapedPath())
			if err != nil {
				return nil, err
			}
			r.URL, r.Host = u, ""
			return tr.RoundTrip(r)
		})
		return []string{"npm_config_registry=" + front(t, to).URL + "/", "npm_config_replace_registry_host=always"}
	}
	for _, c := range []struct {
		what string
		Config
	}{{"cold", Config{}}, {"warm", Config{}}, {"offline", Config{Offline: true}}, {"aged", Config{Rules: registry.Rules{MinReleaseAge: time.Hour}}}, {"warm aged", Config{Rules: registry.Rules{MinReleaseAge: time.Hour}}}} {
		b.events = nil
		run(c.what, through(c.Config), "ci")
		files, stored, from := 0, 0, 0
		for _, e := range b.events {
			if e.Kind == registry.File {
				files++
				if e.Stored {
					stored++
				}
				if e.FromStore {
					from++
				}
			}
		}
		t.Logf("%-10s %d files, %d in the store, %d from it", c.what, files, stored, from)
		if files == 0 || stored != files || c.what != "cold" && from != files {
			t.Errorf("%s: %d files, %d in the store, %d from it", c.what, files, stored, from)
		}
	}
	u, err := b.files.Usage(t.Context())
	t.Logf("store: %+v %v", u, err)
}

// TestOnlineGo: a real module with dependencies, cold and offline, compared with
// the checksum database that the go command is configured for.
func TestOnlineGo(t *testing.T) {
	needOnline(t)
	base := machineRegistry(t, "go", "env", "GOPROXY")
	sumdb, err := exec.Command("go", "env", "GOSUMDB").Output()
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Fields(string(sumdb))[0]
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module me\n\ngo 1.24\n")
	b := newBench(t)
	for i, c := range []Config{{}, {}, {Offline: true}, {Rules: registry.Rules{MinReleaseAge: time.Hour}}, {Offline: true, Rules: registry.Rules{MinReleaseAge: time.Hour}}} {
		c.Ecosystem, c.Base, c.SumDB = registry.Go, base, name
		b.events = nil
		c.Observe = func(e Event) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.events = append(b.events, e)
		}
		tr, err := b.pool.Transport(http.DefaultTransport, c)
		if err != nil {
			t.Fatal(err)
		}
		to := roundTripper(func(r *http.Request) (*http.Response, error) {
			u, err := url.Parse(strings.TrimSuffix(base, "/") + r.URL.EscapedPath())
			if err != nil {
				return nil, err
			}
			r.URL, r.Host = u, ""
			return tr.RoundTrip(r)
		})
		cache := t.TempDir()
		args := []string{"mod", "download"}
		if i == 0 {
			args = []string{"get", "github.com/spf13/cobra@v1.10.1"}
		}
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + cache, "GOMODCACHE=" + filepath.Join(cache, "mod"), "GOCACHE=" + filepath.Join(cache, "build"),
			"GOPROXY=" + front(t, to).URL, "GOSUMDB=" + strings.TrimSpace(string(sumdb)), "GOFLAGS=-modcacherw", "GOTOOLCHAIN=local",
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%+v: %v\n%s", c.Rules, err, out)
		}
		kept := map[bool]int{}
		for _, e := range b.events {
			if e.Kind == registry.File {
				kept[e.Stored]++
				if !e.Stored {
					t.Logf("not kept: %+v", e)
				}
			}
		}
		t.Log(fmt.Sprint("files kept and not: ", kept))
		if kept[true] == 0 || kept[false] != 0 {
			t.Errorf("%v", kept)
		}
	}
}

// TestOnlineDebian: apt-get with the archives that this machine is configured
// for: a deb that their lists name is kept, and comes without a network then.
func TestOnlineDebian(t *testing.T) {
	needOnline(t)
	out, err := exec.Command(testenv.NeedTool(t, "apt-get"), "indextargets", "--format", "$(REPO_URI)").Output()
	if err != nil {
		testenv.Missing(t, "apt-get indextargets: %v", err)
	}
	bases := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if u := strings.TrimSpace(line); strings.HasPrefix(u, "http://") {
			bases[u] = true
		}
	}
	if len(bases) == 0 {
		testenv.Missing(t, "apt has no archive by http")
	}
	b := newBench(t)
	for _, offline := range []bool{false, true} {
		transports := map[string]http.RoundTripper{}
		for base := range bases {
			tr, err := b.pool.Transport(http.DefaultTransport, Config{Ecosystem: registry.Debian, Base: base, Offline: offline, Observe: func(e Event) {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.events = append(b.events, e)
			}})
			if err != nil {
				t.Fatal(err)
			}
			transports[base] = tr
		}
		proxy := front(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			for base, tr := range transports {
				if strings.HasPrefix(r.URL.String(), base) {
					return tr.RoundTrip(r)
				}
			}
			return nil, errors.New("no archive of ours")
		})).URL
		dir := t.TempDir()
		for _, d := range []string{"lists/partial", "cache/archives/partial", "out"} {
			if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for _, args := range [][]string{{"update"}, {"download", "ed"}} {
			cmd := exec.Command("apt-get", append([]string{
				"-q", "-o", "Dir::State::lists=" + dir + "/lists", "-o", "Dir::Cache=" + dir + "/cache", "-o", "APT::Sandbox::User=root",
				"-o", "Acquire::http::Proxy=" + proxy, "-o", "Acquire::Retries=0",
			}, args...)...)
			cmd.Dir = filepath.Join(dir, "out")
			start, ours := time.Now(), ownCPU()
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("offline=%v %v: %v\n%s", offline, args, err, out)
			}
			t.Logf("offline=%v %v: %.1f s wall, %.1f s CPU of ours", offline, args, time.Since(start).Seconds(), (ownCPU() - ours).Seconds())
		}
		if e := b.last(); e.Kind != registry.File || e.Name != "ed" || !e.Stored || e.FromStore != offline {
			t.Errorf("%+v", e)
		}
	}
	u, err := b.files.Usage(t.Context())
	t.Logf("store: %+v %v", u, err)
}
