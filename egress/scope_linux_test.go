// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zviz/run/internal/testenv"
)

// verdaccio installs and starts the registry of that name, which nobody here wrote,
// with a package @corp/x that only a token reads. It needs the network, to install.
func verdaccio(t *testing.T) (registry *url.URL, bearer string) {
	t.Helper()
	if os.Getenv("ZVIZ_TEST_ONLINE") != "1" {
		t.Skip("needs the network: set ZVIZ_TEST_ONLINE=1")
	}
	npm := testenv.NeedTool(t, "npm")
	dir := t.TempDir()
	run := func(in string, env []string, argv ...string) {
		cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
		cmd.Dir = in
		cmd.Env = append(os.Environ(), append(env, "npm_config_cache="+filepath.Join(dir, "cache"), "npm_config_audit=false", "npm_config_fund=false")...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
		}
	}
	// Some registries lack a tag by which verdaccio names one of its dependencies.
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"name":"v","version":"1.0.0","dependencies":{"verdaccio":"6"},"overrides":{"node-fetch":"2.7.0","node-fetch-cjs":"npm:node-fetch@2.7.0"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	run(dir, nil, npm, "install")
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	config := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(config, []byte(`storage: ./storage
auth: {htpasswd: {file: ./htpasswd}}
packages: {'**': {access: $authenticated, publish: $authenticated}}
log: {type: stdout, format: pretty, level: warn}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancelCause(t.Context())
	server := exec.CommandContext(ctx, filepath.Join(dir, "node_modules", ".bin", "verdaccio"), "--config", config, "--listen", addr)
	server.Dir = dir
	var log bytes.Buffer
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(nil); _ = server.Wait() })
	base := "http://" + addr
	for i := 0; ; i++ {
		resp, err := http.Get(base + "/-/ping")
		if err == nil {
			resp.Body.Close()
			break
		}
		if i > 600 {
			t.Fatalf("verdaccio does not answer\n%s", &log)
		}
		time.Sleep(100 * time.Millisecond)
	}
	user, _ := json.Marshal(map[string]string{"name": "corp", "password": "a-long-password"})
	req := send(t, http.MethodPut, base+"/-/user/org.couchdb.user:corp", string(user), "Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var made struct {
		Token string `json:"token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil || len(made.Token) < 16 {
		t.Fatalf("no token: %v %+v", err, made)
	}
	pkg := filepath.Join(dir, "pkg")
	if err := os.Mkdir(pkg, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"package.json": `{"name":"@corp/x","version":"1.0.0","scripts":{"postinstall":"touch \"$INIT_CWD/installing\"; while ! test -e \"$INIT_CWD/go\"; do sleep 0.05; done"}}`,
		"index.js":     "module.exports = 'private'\n",
		".npmrc":       "registry=" + base + "/\n//" + addr + "/:_authToken=" + made.Token + "\n",
	} {
		if err := os.WriteFile(filepath.Join(pkg, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(pkg, []string{"npm_config_registry=" + base + "/", "npm_config_userconfig=" + filepath.Join(pkg, ".npmrc")}, npm, "publish", "--access", "restricted")
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return u, made.Token
}

// TestOnlinePrivateScope installs a package of a private scope with real npm: the job sends
// a placeholder, the registry gets the token, and the token is nowhere in the job: not
// in its environment, its files, or the memory of its processes.
func TestOnlinePrivateScope(t *testing.T) {
	testenv.NeedRoot(t)
	registry, bearer := verdaccio(t)
	nsenter := testenv.NeedTool(t, "nsenter")
	ca, err := newJobCA("outside", []string{"npm.corp.test"})
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(registry)
	var puts int
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			puts++
		}
		r.Header.Set("X-Forwarded-Proto", "https")
		proxy.ServeHTTP(w, r) // the Host stays: verdaccio names its tarballs by it
	}))
	front.TLS = &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return ca.leaf(h.ServerName) }}
	front.StartTLS()
	defer front.Close()

	for _, tt := range []struct {
		name, npmToken string
		found          bool // in memory: the control
	}{
		{"placeholder", "zviz-placeholder", false},
		{"the token itself, as a control", bearer, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := openJob(t, func(c *Config) {
				c.Roots = ca.pem
				c.Presets = nil
				c.Policy.Rules = []Rule{{Host: "npm.corp.test", Inject: &Inject{Header: "Authorization", ValueFrom: "env:CORP", Placeholder: "zviz-placeholder"}}}
				if tt.found {
					c.Policy.Rules[0].Inject = nil
					c.Policy.Rules[0].Methods = []string{"GET", "HEAD"}
				}
				c.Policy.Upstream.Hosts["npm.corp.test"] = front.Listener.Addr().String()
				c.Credential = func(string) (string, error) { return bearer, nil }
			})
			dir := t.TempDir()
			for name, text := range map[string]string{
				"package.json": `{"name":"job","version":"1.0.0","dependencies":{"@corp/x":"1.0.0"}}`,
				".npmrc":       "@corp:registry=https://npm.corp.test/\n//npm.corp.test/:_authToken=" + tt.npmToken + "\naudit=false\nfund=false\nupdate-notifier=false\n",
			} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			type result struct {
				out []byte
				err error
			}
			done := make(chan result, 1)
			go func() {
				out, err := runInside(t, nsenter, j.n, dir, "npm install --foreground-scripts && npm publish --registry https://npm.corp.test/ || test -d node_modules/@corp/x")
				done <- result{out, err}
			}()
			// The package's script waits, so that everything that npm knows is in memory.
			for i := 0; ; i++ {
				if _, err := os.Stat(filepath.Join(dir, "installing")); err == nil {
					break
				}
				select {
				case r := <-done:
					t.Fatalf("npm ended: %v\n%s", r.err, r.out)
				case <-time.After(50 * time.Millisecond):
				}
				if i > 1200 {
					t.Fatal("npm does not come to the script")
				}
			}
			processes := 0
			var holders []string
			for _, pid := range inNamespace(j.n) {
				processes++
				if memoryHolds(t, pid, []byte(bearer)) {
					holders = append(holders, strconv.Itoa(pid))
				}
			}
			if processes < 2 || (len(holders) > 0) != tt.found {
				t.Errorf("of %d processes these hold the token: %v", processes, holders)
			}
			if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			r := <-done
			if r.err != nil {
				t.Fatalf("%v\n%s", r.err, r.out)
			}
			if tt.found {
				return
			}
			if bytes.Contains(r.out, []byte(bearer)) {
				t.Error("npm printed the token")
			}
			err := filepath.Walk(dir, func(path string, fi os.FileInfo, err error) error {
				if err != nil || !fi.Mode().IsRegular() {
					return err
				}
				b, err := os.ReadFile(path)
				if bytes.Contains(b, []byte(bearer)) {
					t.Errorf("%s holds the token", path)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			e := j.want(Event{Verdict: VerdictAllow, Host: "npm.corp.test", Method: "GET", Path: "/@corp/x"})
			if !e.Injected || strings.Contains(fmt.Sprint(j.events), bearer) {
				t.Errorf("event %+v", e)
			}
			j.want(Event{Verdict: VerdictDeny, Host: "npm.corp.test", Method: "PUT", Reason: ReasonMethod})
			if puts != 0 {
				t.Errorf("the registry got %d writes", puts)
			}
		})
	}
}

// memoryHolds looks for a text in the memory of a process that it can write to.
func memoryHolds(t *testing.T, pid int, text []byte) bool {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return false // it is gone
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return false
	}
	defer mem.Close()
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var mode string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); err != nil || !strings.HasPrefix(mode, "rw") || to-from > 1<<30 {
			continue
		}
		b := make([]byte, to-from)
		n, _ := io.ReadFull(io.NewSectionReader(mem, from, to-from), b)
		if bytes.Contains(b[:n], text) {
			return true
		}
	}
	return false
}
