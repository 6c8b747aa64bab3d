// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
)

// TestProxyOfTheEnvironment has a runner whose environment names a proxy with a
// password. The job gets out through it and has no trace of it: not in its variables,
// its files or what its processes can read of others, and neither has the report.
func TestProxyOfTheEnvironment(t *testing.T) {
	testenv.NeedRoot(t)
	testenv.NeedTool(t, "curl")
	var refuse atomic.Bool
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse.Load() || r.Header.Get("Proxy-Authorization") != "Basic bWU6c2VzYW1l" {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		_, _ = io.WriteString(w, "by the proxy: "+r.Method+" "+r.URL.String()+"\n")
	}))
	defer proxy.Close()
	url := strings.Replace(proxy.URL, "://", "://me:sesame@", 1)
	b := bench{state: filepath.Join(t.TempDir(), "state"), work: t.TempDir()}
	x, err := executor.New(executor.Config{StateDir: b.state, Home: "/nonexistent", Environ: []string{"PATH=/usr/bin:/bin", "http_proxy=" + url, "HTTPS_PROXY=" + url}})
	if err != nil {
		t.Fatal(err)
	}
	b.x = x
	r := executor.Request{Policy: executor.Policy{Egress: egress.Policy{Rules: []egress.Rule{{Host: "plain.test"}, {Host: "tls.test"}}}}}
	const look = `curl -sS -m 10 http://plain.test/a; curl -sS -m 10 https://tls.test/; env
		cat /proc/[0-9]*/environ /etc/resolv.conf 2>/dev/null; grep -rls "ses[a]me" /etc /tmp "$HOME" . 2>/dev/null; true`
	out, report, err := b.run(t, r, look)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, "by the proxy: GET http://plain.test/a") {
		t.Errorf("the job got: %s", out)
	}
	refuse.Store(true)
	refused, second, err := b.run(t, r, "curl -sS -m 10 http://plain.test/a; curl -sS -m 10 https://tls.test/; true")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(refused, "HTTP_PROXY") || !strings.Contains(refused, "407 Proxy Authentication Required") {
		t.Errorf("refused by the proxy, the job got: %s", refused)
	}
	text, err := json.Marshal([]executor.Report{report, second})
	if err != nil {
		t.Fatal(err)
	}
	for what, words := range map[string]string{"the job": out + refused, "the report": string(text)} {
		for _, secret := range []string{"sesame", "c2VzYW1l", "bWU6c2VzYW1l"} {
			if strings.Contains(words, secret) {
				t.Errorf("%s has the password of the proxy: %s", what, words)
			}
		}
	}
	if !strings.Contains(string(text), `"reason":"proxy"`) {
		t.Errorf("the report does not say that the proxy refused: %s", text)
	}
}
