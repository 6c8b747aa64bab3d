// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// presetJob opens a network with one preset; every host leads to the sink.
func presetJob(t *testing.T, answer http.HandlerFunc, change func(*Config), rules ...Rule) *job {
	t.Helper()
	hosts := []string{"registry.test", "cdn.test", "auth.test", "denied.test", "open.test"}
	s := newSink(t, hosts...)
	s.answer = answer
	j := openJob(t, func(c *Config) {
		for _, h := range hosts {
			c.Policy.Upstream.Hosts[h] = s.addr
		}
		c.Policy.Rules = []Rule{{Host: "open.test"}}
		c.Policy.Deny = []string{"denied.test"}
		c.Roots = s.roots
		c.Presets = []Preset{{Name: rules[0].Preset, Rules: rules}}
		if change != nil {
			change(c)
		}
	})
	j.sink = s
	return j
}

func askPreset(t *testing.T, j *job, method, url, body string, header map[string]string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body == "" {
		r.Body, r.ContentLength = nil, 0
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	resp, err := j.client(GatewayAddr+":443", false).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}

func TestRedirects(t *testing.T) {
	to := map[string]string{
		"/far": "https://cdn.test/file?sig=x", "/farther": "https://cdn.test/again", "/near": "/else", "/open": "https://open.test/x",
		"/denied": "https://denied.test/x", "/plain": "http://cdn.test/x", "/user": "https://a:b@cdn.test/x", "/loop": "https://cdn.test/loop", "/address": "https://198.51.100.7/x",
	}
	j := presetJob(t, func(w http.ResponseWriter, r *http.Request) {
		at := to[r.URL.Path]
		if r.Host == "cdn.test" && r.URL.Path == "/again" {
			at = "/file?sig=y"
		}
		if at != "" {
			w.Header().Set("Set-Cookie", "a=b")
			http.Redirect(w, r, at, http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, r.Host+" has it; sig "+r.URL.Query().Get("sig"))
	}, func(c *Config) {
		c.Credential = func(string) (string, error) { return "s3cr3t-of-registry", nil }
	}, Rule{Host: "registry.test", Methods: []string{"GET", "HEAD"}, Preset: "cargo", Redirects: true, Inject: &Inject{Header: "Authorization", ValueFrom: "env:X", Scheme: "Bearer"}})
	tests := []struct {
		path   string
		status int
		body   string
	}{
		{"/far", 200, "cdn.test has it; sig x"},
		{"/farther", 200, "cdn.test has it; sig y"},
		{"/near", 302, ""},
		{"/open", 302, ""},
		{"/denied", 302, ""},
		{"/plain", 302, ""},
		{"/user", 302, ""},
		{"/address", 302, ""},
		{"/loop", 302, ""},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			status, body, _ := askPreset(t, j, "GET", "https://registry.test"+tt.path, "", map[string]string{"Authorization": "attacker", "X-Data": "attacker", "Accept": "text/plain"})
			if status != tt.status || !strings.Contains(body, tt.body) {
				t.Errorf("%d %q, want %d %q", status, body, tt.status, tt.body)
			}
		})
	}
	for _, r := range j.sink.seen() {
		auth := r.Header.Get("Authorization")
		switch {
		case r.Host == "denied.test" || r.Host == "open.test":
			t.Errorf("the gateway asked %s", r.Host)
		case r.Host == "cdn.test" && (auth != "" || r.Header.Get("X-Data") != "" || r.Header.Get("Cookie") != ""):
			t.Errorf("%s got %v", r.Host, r.Header)
		case r.Host == "registry.test" && auth != "Bearer s3cr3t-of-registry":
			t.Errorf("the registry got %q", auth)
		}
	}
	e := j.want(Event{Host: "registry.test", Path: "/far", Verdict: VerdictAllow})
	if len(e.Redirected) != 1 || e.Redirected[0] != "cdn.test" || !e.Injected {
		t.Errorf("event %+v", e)
	}
	// The job itself reaches none of these hosts.
	if resp, err := j.client(GatewayAddr+":443", false).Get("https://cdn.test/file"); err == nil {
		resp.Body.Close()
		t.Error("the job reached cdn.test")
	}
}

// TestRedirectsOff: without the rule's word a redirect is the job's own matter.
func TestRedirectsOff(t *testing.T) {
	j := presetJob(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://cdn.test/file", http.StatusFound)
	}, nil, Rule{Host: "registry.test", Methods: []string{"GET"}, Preset: "npm"})
	if status, _, _ := askPreset(t, j, "GET", "https://registry.test/x", "", nil); status != http.StatusFound {
		t.Errorf("status %d", status)
	}
	if n := len(j.sink.seen()); n != 1 {
		t.Errorf("%d requests went out", n)
	}
}

func TestOCIScope(t *testing.T) {
	for path, want := range map[string]string{
		"/v2/team/app/manifests/v1.0": "repository:team/app:pull", "/v2/a-b_c.d/blobs/sha256:ab": "repository:a-b_c.d:pull", "/v2/": "", "/v2/_catalog": "",
		"/v2/a:push repository:b/manifests/1": "", "/v2/a,b/manifests/1": "", "/v2/A/manifests/1": "repository:A:pull",
	} {
		if got := ociScope(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestOCITokens(t *testing.T) {
	fetched := 0
	j := presetJob(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Host == "auth.test" {
			fetched++
			if r.Header.Get("Authorization") != "Basic Ym9iOnB3" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			_, _ = io.WriteString(w, `{"token":"for `+r.URL.Query().Get("scope")+" at "+r.URL.Query().Get("service")+`"}`)
			return
		}
		const want = "Bearer for repository:team/app:pull at reg"
		if r.Header.Get("Authorization") != want {
			w.Header().Set("Www-Authenticate", `Bearer realm="https://auth.test/token",service="reg",scope="repository:team/app:pull,push,delete"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, "manifest")
	}, func(c *Config) {
		c.Credential = func(string) (string, error) { return "bob:pw", nil }
	}, Rule{Host: "registry.test", Methods: []string{"GET", "HEAD"}, Paths: ociForms(), Preset: "oci", Redirects: true, Inject: &Inject{Header: "Authorization", ValueFrom: "env:X", Scheme: "Basic"}})
	for range 3 {
		status, body, _ := askPreset(t, j, "GET", "https://registry.test/v2/team/app/manifests/latest", "", map[string]string{"Authorization": "Bearer attacker"})
		if status != http.StatusOK || body != "manifest" {
			t.Fatalf("%d %q", status, body)
		}
	}
	if fetched != 1 {
		t.Errorf("%d tokens were fetched for one repository", fetched)
	}
	// What the registry refuses stays refused, and does not send the job elsewhere.
	status, _, header := askPreset(t, j, "GET", "https://registry.test/v2/team/other/manifests/latest", "", nil)
	if status != http.StatusUnauthorized || header.Get("Www-Authenticate") != "" {
		t.Errorf("%d %v", status, header)
	}
	for _, r := range j.sink.seen() {
		if r.Host == "auth.test" && (strings.Contains(r.URL.RawQuery, "push") || r.Method != http.MethodGet) {
			t.Errorf("the gateway asked for %s", r.URL)
		}
		if strings.Contains(r.Header.Get("Authorization"), "attacker") {
			t.Errorf("%s got the job's header", r.Host)
		}
	}
	// A push is refused before anything goes out.
	before := len(j.sink.seen())
	if status, body, _ := askPreset(t, j, "POST", "https://registry.test/v2/team/app/blobs/uploads/", "x", nil); status != http.StatusForbidden || !strings.Contains(body, "zviz refused") {
		t.Errorf("%d %q", status, body)
	}
	if n := len(j.sink.seen()); n != before {
		t.Errorf("%d requests of a push went out", n-before)
	}
}

func TestGitOfForge(t *testing.T) {
	j := presetJob(t, nil, nil,
		Rule{Host: "registry.test", Methods: []string{"GET", "HEAD"}, Paths: githubForge().paths, Preset: "github", Redirects: true},
		Rule{Host: "registry.test", Methods: []string{"POST"}, Paths: githubForge().packs, Preset: "github"})
	pack := map[string]string{"Content-Type": "application/x-git-upload-pack-request", "Git-Protocol": "version=2", "Authorization": "attacker"}
	tests := []struct {
		name, method, url, body string
		header                  map[string]string
		status                  int
		query                   string // that reaches the forge
	}{
		{"refs", "GET", "/a/b/info/refs?service=git-upload-pack", "", pack, 200, "service=git-upload-pack"},
		{"refs to push", "GET", "/a/b/info/refs?service=git-receive-pack&data=s3cr3t", "", pack, 200, ""},
		{"fetch", "POST", "/a/b/git-upload-pack", "0011command=fetch", pack, 200, ""},
		{"push", "POST", "/a/b/git-receive-pack", "0011command=push", pack, 403, ""},
		{"fetch that is none", "POST", "/a/b/git-upload-pack", "data", map[string]string{"Content-Type": "text/plain"}, 403, ""},
		{"fetch that is too much", "POST", "/a/b/git-upload-pack", strings.Repeat("x", packBodyMost+1), pack, 403, ""},
		{"issue", "POST", "/a/b/issues", "data", pack, 403, ""},
		{"body of GET", "GET", "/a/b/info/refs", "data", pack, 403, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := len(j.sink.seen())
			status, body, _ := askPreset(t, j, tt.method, "https://registry.test"+tt.url, tt.body, tt.header)
			if status != tt.status {
				t.Fatalf("%d %q, want %d", status, body, tt.status)
			}
			seen := j.sink.seen()[before:]
			if status != http.StatusOK {
				if len(seen) != 0 {
					t.Errorf("the forge got %v", seen[0])
				}
				return
			}
			r := seen[0]
			if r.URL.RawQuery != tt.query || r.Header.Get("Authorization") != "" || r.Header.Get("Git-Protocol") != "version=2" {
				t.Errorf("the forge got ?%s %v", r.URL.RawQuery, r.Header)
			}
		})
	}
}

// TestPresetCredentialMissing: a configuration may name what is not there. Nothing is
// put in, and the job runs.
func TestPresetCredentialMissing(t *testing.T) {
	j := presetJob(t, nil, func(c *Config) {
		c.Credential = func(string) (string, error) { return "", errNoCredential }
	}, Rule{Host: "registry.test", Methods: []string{"GET"}, Preset: "npm", Inject: &Inject{Header: "Authorization", ValueFrom: "env:X", Scheme: "Bearer"}})
	status, _, _ := askPreset(t, j, "GET", "https://registry.test/x", "", nil)
	if r := j.sink.seen(); status != http.StatusOK || len(r) != 1 || r[0].Header.Get("Authorization") != "" {
		t.Errorf("%d %v", status, r)
	}
}
