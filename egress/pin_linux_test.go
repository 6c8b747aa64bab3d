// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// pinJob opens a network with files of evil.test whose digests are known.
func pinJob(t *testing.T, files map[string][]byte, answer http.HandlerFunc, change func(*Policy)) *job {
	t.Helper()
	j := openJob(t, func(c *Config) {
		for path, data := range files {
			sum := sha256.Sum256(data)
			r, err := PinRule("https://evil.test"+path, hex.EncodeToString(sum[:]))
			if err != nil {
				t.Fatal(err)
			}
			c.Policy.Rules = append(c.Policy.Rules, r)
		}
		if change != nil {
			change(&c.Policy)
		}
	})
	j.sink.answer = answer
	return j
}

// A file comes through if it is what the policy says. Of one that is not, no client
// gets the end, and nothing of a small one.
func TestPinnedFile(t *testing.T) {
	small, large := []byte("small"), bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			j := pinJob(t, map[string][]byte{"/small": small, "/large": large, "/small-wrong": []byte("other"), "/large-wrong": small, "/empty": nil}, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/small") {
					_, _ = w.Write(small)
				} else if r.URL.Path != "/empty" {
					w.Header().Set("Content-Length", strconv.Itoa(len(large)))
					_, _ = w.Write(large)
				}
			}, nil)
			c := j.client("169.254.1.1:443", h2)
			for path, want := range map[string][]byte{"/small": small, "/large": large, "/empty": {}} {
				if status, body := do(t, c, get(t, "https://evil.test"+path)); status != http.StatusOK || body != string(want) {
					t.Errorf("%s: %d, %d bytes", path, status, len(body))
				}
				e := j.want(Event{Verdict: VerdictAllow, Path: path, Rule: "prebuilt"})
				if e.Fetched == nil || e.Fetched.Ecosystem != "prebuilt" || e.Fetched.Name != "evil.test"+path || !strings.HasPrefix(e.Fetched.Digest, "sha256-") {
					t.Errorf("event %+v", e)
				}
			}
			if status, body := do(t, c, get(t, "https://evil.test/small-wrong")); status != http.StatusBadGateway || strings.Contains(body, "small\n") || !strings.Contains(body, "its SHA-256 is ") {
				t.Errorf("small-wrong: %d %q", status, body)
			}
			resp, err := c.Do(get(t, "https://evil.test/large-wrong"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err == nil || len(got) > len(large)-pinHeld {
				t.Errorf("large-wrong: %d of %d bytes, %v", len(got), len(large), err)
			}
			for _, path := range []string{"/small-wrong", "/large-wrong"} {
				if e := j.want(Event{Verdict: VerdictDeny, Path: path, Reason: ReasonIntegrity}); e.Fetched != nil || !strings.Contains(e.Hint, "but the policy wants") {
					t.Errorf("event %+v", e)
				}
			}
		})
	}
}

// Exactly the URL is allowed: no other path or method, no body, and of query and headers
// only what a registry would get.
func TestPinnedFileIsAllThatIsAllowed(t *testing.T) {
	j := pinJob(t, map[string][]byte{"/x": []byte("x")}, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }, nil)
	c := j.client("169.254.1.1:443", false)
	r := get(t, "https://evil.test/x?secret=1")
	r.Header.Set("Authorization", "Bearer attacker")
	r.Header.Set("Range", "bytes=0-0")
	r.Header.Set("If-None-Match", `"secret"`)
	if status, body := do(t, c, r); status != http.StatusOK || body != "x" {
		t.Errorf("%d %q", status, body)
	}
	seen := j.sink.seen()
	if len(seen) != 1 || seen[0].URL.RawQuery != "" || seen[0].Header.Get("Authorization")+seen[0].Header.Get("Range")+seen[0].Header.Get("If-None-Match") != "" || seen[0].Header.Get("Accept-Encoding") != "identity" {
		t.Errorf("the host got %+v", seen)
	}
	if status, body := do(t, c, send(t, "HEAD", "https://evil.test/x", "")); status != http.StatusOK || body != "" {
		t.Errorf("HEAD: %d %q", status, body)
	}
	n := len(j.sink.seen())
	for reason, r := range map[string]*http.Request{
		ReasonPath: get(t, "https://evil.test/y"), ReasonMethod: send(t, "PUT", "https://evil.test/x", "x"), ReasonBody: send(t, "GET", "https://evil.test/x", "x"),
	} {
		if status, _ := do(t, c, r); status != http.StatusForbidden {
			t.Errorf("%s: %d", reason, status)
		}
		j.want(Event{Verdict: VerdictDeny, Host: "evil.test", Reason: reason})
	}
	if len(j.sink.seen()) != n {
		t.Error("the host got what is refused")
	}
}

// What cannot be verified does not come through.
func TestPinnedFileThatCannotBeVerified(t *testing.T) {
	j := pinJob(t, map[string][]byte{"/part": []byte("xx"), "/zipped": []byte("x"), "/absent": []byte("x"), "/short": []byte("x")}, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/part":
			w.Header().Set("Content-Range", "bytes 0-0/2")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, "x")
		case "/zipped":
			w.Header().Set("Content-Encoding", "br")
			_, _ = io.WriteString(w, "x")
		case "/absent":
			w.Header().Set("X-Evil", "1")
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "the job's orders")
		case "/short":
			w.Header().Set("Content-Length", "2")
			_, _ = io.WriteString(w, "x")
		}
	}, nil)
	c := j.client("169.254.1.1:443", false)
	for path, want := range map[string]int{"/part": 502, "/zipped": 502, "/absent": 404, "/short": 502} {
		resp, err := c.Do(get(t, "https://evil.test"+path))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != want || strings.Contains(string(body), "orders") || resp.Header.Get("X-Evil") != "" {
			t.Errorf("%s: %d %q %v", path, resp.StatusCode, body, err)
		}
	}
	j.want(Event{Verdict: VerdictDeny, Path: "/part", Reason: ReasonIntegrity})
	j.want(Event{Verdict: VerdictDeny, Path: "/zipped", Reason: ReasonIntegrity})
	if e := j.want(Event{Path: "/absent", Verdict: VerdictAllow}); e.Fetched != nil {
		t.Errorf("event %+v", e)
	}
}

// A redirect is the gateway's to follow, also to where the job could go by itself, and
// what comes in the end is verified.
func TestPinnedFileElsewhere(t *testing.T) {
	j := pinJob(t, map[string][]byte{"/good": []byte("good"), "/wrong": []byte("good"), "/closed": []byte("good")}, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Host == "audit.test":
			_, _ = io.WriteString(w, strings.TrimPrefix(r.URL.Path, "/"))
		case r.URL.Path == "/closed":
			http.Redirect(w, r, "https://denied.pkg.test/good", http.StatusFound)
		default:
			http.Redirect(w, r, "https://audit.test"+r.URL.Path, http.StatusFound)
		}
	}, func(p *Policy) { p.Rules = append(p.Rules, Rule{Host: "audit.test"}) })
	c := j.client("169.254.1.1:443", false)
	if status, body := do(t, c, get(t, "https://evil.test/good")); status != http.StatusOK || body != "good" {
		t.Errorf("%d %q", status, body)
	}
	if e := j.want(Event{Verdict: VerdictAllow, Path: "/good"}); len(e.Redirected) != 1 || e.Redirected[0] != "audit.test" {
		t.Errorf("event %+v", e)
	}
	for _, path := range []string{"/wrong", "/closed"} {
		if status, body := do(t, c, get(t, "https://evil.test"+path)); status != http.StatusBadGateway {
			t.Errorf("%s: %d %q", path, status, body)
		}
		j.want(Event{Verdict: VerdictDeny, Path: path, Reason: ReasonIntegrity})
	}
}

// A policy that narrows and only reports does not keep the digest from being compared.
func TestPinnedFileUnderNarrowingAudit(t *testing.T) {
	j := pinJob(t, map[string][]byte{"/wrong": []byte("x")}, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "y") }, func(p *Policy) { *p = Intersect(*p, Policy{Mode: ModeAudit}) })
	if status, body := do(t, j.client("169.254.1.1:443", false), get(t, "https://evil.test/wrong")); status != http.StatusBadGateway {
		t.Errorf("%d %q", status, body)
	}
}
