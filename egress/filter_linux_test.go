// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// recording is a filter that answers for /stored, refuses /young, rewrites /meta,
// refuses the answer of /bad and fails for /broken.
type recording struct {
	mu    sync.Mutex
	calls []string
	seen  []http.Header
}

func (f *recording) note(what string, x *Exchange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, what+" "+x.Host+x.Out.URL.Path+" "+x.Rule.Preset)
	f.seen = append(f.seen, x.Out.Header.Clone())
}

func (f *recording) Request(x *Exchange) (*http.Response, error) {
	f.note("request", x)
	switch x.Out.URL.Path {
	case "/stored":
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"X-From": {"store"}}, Body: io.NopCloser(strings.NewReader("from the store"))}, nil
	case "/young":
		return nil, &RefusalError{Reason: "min-release-age", Hint: "too young"}
	case "/broken":
		return nil, errors.New("disk full")
	default:
		return nil, nil
	}
}

func (f *recording) Response(x *Exchange, r *http.Response) error {
	f.note("response", x)
	switch x.Out.URL.Path {
	case "/meta":
		r.Body = io.NopCloser(strings.NewReader("less"))
		r.ContentLength = 4
		r.Header.Set("Content-Length", "4")
		x.Event.Pkg = "left-pad@1.3.0"
	case "/bad":
		return &RefusalError{Status: http.StatusBadGateway, Reason: "integrity"}
	}
	return nil
}

func TestFilters(t *testing.T) {
	f := &recording{}
	j := openJob(t, func(c *Config) { c.Filters = []Filter{f} })
	c := j.client("169.254.1.1:443", false)
	for _, tt := range []struct {
		path   string
		status int
		body   string
		want   Event
	}{
		{"/stored", 200, "from the store", Event{Verdict: VerdictAllow, Path: "/stored"}},
		{"/young", 403, "too young", Event{Verdict: VerdictDeny, Path: "/young", Reason: "min-release-age"}},
		{"/broken", 502, "zviz refused", Event{Verdict: VerdictDeny, Path: "/broken", Reason: ReasonFilter}},
		{"/meta", 200, "less", Event{Verdict: VerdictAllow, Path: "/meta"}},
		{"/bad", 502, "integrity", Event{Verdict: VerdictDeny, Path: "/bad", Reason: "integrity"}},
		{"/plain", 200, "hello from preset.test/plain", Event{Verdict: VerdictAllow, Path: "/plain"}},
	} {
		status, body := do(t, c, get(t, "https://preset.test"+tt.path))
		if status != tt.status || !strings.Contains(body, tt.body) {
			t.Errorf("%s: %d %q", tt.path, status, body)
		}
		e := j.want(tt.want)
		if strings.Contains(e.Hint, "disk full") || strings.Contains(body, "disk full") {
			t.Errorf("%s: the job reads our errors: %q", tt.path, body)
		}
		if tt.path == "/meta" && e.Pkg != "left-pad@1.3.0" {
			t.Errorf("event %+v", e)
		}
	}
	// What was answered or refused before the dial did not leave; a method that no rule
	// allows is shown to nobody.
	for _, r := range j.sink.seen() {
		if r.URL.Path == "/stored" || r.URL.Path == "/young" || r.URL.Path == "/broken" {
			t.Errorf("upstream got %s", r.URL)
		}
	}
	n := len(f.calls)
	if status, _ := do(t, c, send(t, "PUT", "https://preset.test/stored", "x")); status != 403 {
		t.Errorf("PUT: %d", status)
	}
	if len(f.calls) != n {
		t.Errorf("calls %q", f.calls[n:])
	}
}

// A filter sees a request before the credential is put in, and its answer after it was
// masked.
func TestFiltersDoNotSeeCredentials(t *testing.T) {
	f := &recording{}
	j := openJob(t, func(c *Config) {
		withInject(Inject{Header: "Authorization", ValueFrom: "env:TOKEN", Scheme: "Bearer"})(c)
		c.Filters = []Filter{f, echoFilter{t}}
	})
	echo(t, j, "")
	if status, _ := do(t, j.client("169.254.1.1:443", false), get(t, "https://evil.test/pkg/x")); status != 200 {
		t.Errorf("got %d", status)
	}
	if len(j.sink.seen()) != 1 || j.sink.seen()[0].Header.Get("Authorization") != "Bearer "+token {
		t.Error("the host did not get the credential")
	}
	if s := fmt.Sprint(f.seen[0]); strings.Contains(s, token) {
		t.Errorf("the filter saw %s", s)
	}
}

// echoFilter reads answers.
type echoFilter struct{ t *testing.T }

func (echoFilter) Request(*Exchange) (*http.Response, error) { return nil, nil }

func (f echoFilter) Response(x *Exchange, r *http.Response) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if holdsToken(string(b) + fmt.Sprint(r.Header, x.Out.Header, x.Asked, x.Event)) {
		f.t.Errorf("the filter saw the credential in the answer")
	}
	r.Body = io.NopCloser(strings.NewReader(string(b)))
	return nil
}
