// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/zviz/run/egress"
)

func TestAuthorization(t *testing.T) {
	for scheme, want := range map[string]string{"Bearer": "Bearer me:x", "Basic": "Basic bWU6eA==", "": "me:x"} {
		if got := authorization(egress.Inject{Scheme: scheme}, "me:x"); got != want {
			t.Errorf("%s: %q, want %q", scheme, got, want)
		}
	}
}

func TestOverride(t *testing.T) {
	hosts := map[string]string{"a.test": "10.0.0.1", "b.test": "10.0.0.1:99", "c.test": "::1"}
	for addr, want := range map[string]string{
		"a.test:443": "10.0.0.1:443", "A.TEST:443": "10.0.0.1:443", "b.test:443": "10.0.0.1:99", "c.test:80": "[::1]:80", "d.test:443": "d.test:443", "odd": "odd",
	} {
		if got := override(hosts, addr); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

// TestClient goes where the operator's policy and environment say.
func TestClient(t *testing.T) {
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = r.Method + " " + r.RequestURI + " " + r.Host }))
	defer server.Close()
	addr := strings.TrimPrefix(server.URL, "http://")
	get := func(environ []string, way egress.Upstream) string {
		t.Helper()
		x, err := New(Config{StateDir: t.TempDir(), Environ: environ})
		if err != nil {
			t.Fatal(err)
		}
		c, err := x.client(way)
		if err != nil {
			t.Fatal(err)
		}
		asked = ""
		res, err := c.Get("http://registry.test/x")
		if err != nil {
			return err.Error()
		}
		res.Body.Close()
		return asked
	}
	direct, proxied := "GET /x registry.test", "GET http://registry.test/x registry.test"
	hosts := map[string]string{"registry.test": addr}
	for _, tt := range []struct {
		name    string
		environ []string
		way     egress.Upstream
		want    string
	}{
		{"an address of the policy", nil, egress.Upstream{Hosts: hosts}, direct},
		{"a proxy of the environment", []string{"http_proxy=" + server.URL}, egress.Upstream{}, proxied},
		{"and what needs none", []string{"HTTP_PROXY=http://127.0.0.1:1", "NO_PROXY=.test"}, egress.Upstream{Hosts: hosts}, direct},
		{"a proxy of the policy", []string{"HTTP_PROXY=http://127.0.0.1:1"}, egress.Upstream{Proxy: server.URL}, proxied},
		{"and what needs none of it", nil, egress.Upstream{Proxy: "http://127.0.0.1:1", NoProxy: "registry.test", Hosts: hosts}, direct},
	} {
		if got := get(tt.environ, tt.way); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	x, err := New(Config{StateDir: t.TempDir(), Environ: []string{"SSL_CERT_FILE=/nowhere"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.client(egress.Upstream{}); err == nil {
		t.Error("a file of certificates that is not there is no error")
	}
}
