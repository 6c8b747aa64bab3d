// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// token is a credential that a job must never hold.
const token = "s3cr3t-token-of-the-operator"

// send makes a request with headers.
func send(t *testing.T, method, url, body string, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body == "" {
		r.Body, r.ContentLength = nil, 0
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// TestPathRules drives methods and paths through TLS that ends at the gateway, as
// git would.
func TestPathRules(t *testing.T) {
	tests := []struct {
		name   string
		method string
		path   string // as it is sent
		status int
		reason string
	}{
		{"clone", "GET", "/acme/repo/info/refs?service=git-upload-pack", 200, ""},
		{"fetch", "POST", "/acme/repo/git-upload-pack", 200, ""},
		{"push", "POST", "/acme/repo/git-receive-pack", 403, ReasonPath},
		{"other owner", "GET", "/evil/repo/info/refs", 403, ReasonPath},
		{"two segments", "GET", "/acme/a/b/info/refs", 403, ReasonPath},
		{"escaped slash", "GET", "/acme/..%2fevil/info/refs", 403, ReasonPath},
		{"escaped slash without dots", "GET", "/acme/a%2fb/info/refs", 403, ReasonPath},
		{"dots", "GET", "/acme/x/../../evil/repo/info/refs", 403, ReasonPath},
		{"escaped dots", "GET", "/acme/%2e%2e/info/refs", 403, ReasonPath},
		{"escaped twice", "GET", "/acme/%252e%252e/info/refs", 403, ReasonPath},
		{"two slashes", "GET", "//acme/repo/info/refs", 403, ReasonPath},
		{"escaped letters", "GET", "/%61cme/repo/info/refs", 200, ""},
		{"method", "DELETE", "/acme/repo/info/refs", 403, ReasonMethod},
		{"method that is another to some", "get", "/acme/repo/info/refs", 403, ReasonMethod},
	}
	j := openJob(t, func(c *Config) {
		c.Policy.Rules = append(c.Policy.Rules, Rule{
			Host: "evil.test", TLS: TLSTerminate, Methods: []string{"GET", "POST"},
			Paths: []string{"/acme/*/info/refs", "/acme/*/git-upload-pack"},
		})
	})
	allowed := 0
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := tls.Client(j.dial("tcp", "169.254.1.1:443"), &tls.Config{ServerName: "evil.test", RootCAs: j.pool()})
			status, body := raw(t, c, tt.method+" "+tt.path+" HTTP/1.1\r\nHost: evil.test\r\nContent-Length: 0\r\n\r\n")
			if status != tt.status {
				t.Errorf("got %d %q", status, body)
			}
			verdict := VerdictDeny
			if tt.reason == "" {
				verdict = VerdictAllow
				allowed++
			}
			j.want(Event{Verdict: verdict, Door: DoorHTTP, Host: "evil.test", Method: tt.method, Reason: tt.reason})
		})
	}
	if n := len(j.sink.seen()); n != allowed {
		t.Errorf("the outside got %d requests, want %d", n, allowed)
	}
}

// tcpServer is a server of a protocol that names nobody: it speaks first.
func tcpServer(t *testing.T) (addr string, got func() string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var seen bytes.Buffer
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				_, _ = io.WriteString(c, "hello\n")
				buf := make([]byte, 512)
				for {
					n, err := c.Read(buf)
					mu.Lock()
					seen.Write(buf[:n])
					mu.Unlock()
					if err != nil {
						return
					}
					_, _ = fmt.Fprintf(c, "echo %s", buf[:n])
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String(), func() string {
		mu.Lock()
		defer mu.Unlock()
		return seen.String()
	}
}

// addrOf asks the job's resolver.
func (j *job) addrOf(name string) string {
	j.t.Helper()
	resp := j.ask("udp", new(dns.Msg).SetQuestion(name+".", dns.TypeA))
	if len(resp.Answer) != 1 {
		j.t.Fatalf("%s: %v", name, resp)
	}
	return resp.Answer[0].(*dns.A).A.String()
}

func TestTCPByVirtualAddress(t *testing.T) {
	one, gotOne := tcpServer(t)
	two, gotTwo := tcpServer(t)
	j := openJob(t, func(c *Config) {
		c.Policy.Limits.HelloTimeout = 2 * time.Second // of who says nothing where nobody is; all others speak at once
		for name, addr := range map[string]string{"db.test": one, "cache.test": two} {
			c.Policy.Rules = append(c.Policy.Rules, Rule{Host: name, Ports: []uint16{5432}, Protocol: ProtocolTCP})
			c.Policy.Upstream.Hosts[name] = addr
		}
		c.Policy.Rules = append(c.Policy.Rules, Rule{Host: "db.test"}) // TLS and HTTP on the usual ports
	})
	a, b := j.addrOf("db.test"), j.addrOf("cache.test")
	if a == b || a == GatewayAddr || a != j.addrOf("db.test") {
		t.Fatalf("addresses %s and %s", a, b)
	}
	for addr, say := range map[string]string{a: "to the first", b: "to the second"} {
		c := j.dial("tcp", addr+":5432")
		got := make([]byte, len("hello\n"))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello\n" {
			t.Fatalf("the server speaks first: %q, %v", got, err)
		}
		if _, err := io.WriteString(c, say); err != nil {
			t.Fatal(err)
		}
		got = make([]byte, len("echo "+say))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "echo "+say {
			t.Errorf("got %q, %v", got, err)
		}
		c.Close()
	}
	if gotOne() != "to the first" || gotTwo() != "to the second" {
		t.Errorf("the servers got %q and %q", gotOne(), gotTwo())
	}
	e := j.want(Event{Verdict: VerdictAllow, Door: DoorTCP, Host: "db.test", Port: 5432})
	if !e.Opaque || e.Up != int64(len("to the first")) || e.PID == 0 {
		t.Errorf("event %+v", e)
	}
	if j.n.Complete() {
		t.Error("complete, though nobody saw what went to the database")
	}
	proxied := j.dial("tcp", "169.254.1.1:3128")
	connectTo(t, proxied, "db.test:5432")
	hello := make([]byte, len("hello\n"))
	if _, err := io.ReadFull(proxied, hello); err != nil || string(hello) != "hello\n" {
		t.Errorf("through the explicit proxy: %q, %v", hello, err)
	}
	proxied.Close()
	j.want(Event{Verdict: VerdictAllow, Door: DoorConnect, Host: "db.test", Port: 5432})
	// On a port of TLS the same address is no way around the name.
	if got := j.says(a+":443", []byte("anything at all\r\n")); len(got) > 0 {
		t.Errorf("got %q", got)
	}
	j.want(Event{Verdict: VerdictDeny, Door: DoorTLS, Dst: a + ":443", Reason: ReasonNotTLS})
	// No other port, no address that nobody has, and the gateway's own names nobody.
	for _, addr := range []string{a + ":5433", "198.18.200.1:5432", a + ":22"} {
		if c, err := j.dialErr("tcp", addr); err == nil {
			_ = c.SetDeadline(soon())
			if b, err := io.ReadAll(c); len(b) > 0 {
				t.Errorf("%s: got %q, %v", addr, b, err)
			}
			c.Close()
		}
	}
	j.want(Event{Verdict: VerdictDeny, Door: DoorTCP, Host: "db.test", Dst: a + ":22", Reason: ReasonPort})
	j.untouched()
}

// echo is an upstream that repeats what it is asked, in many forms.
func echo(t *testing.T, j *job, coding string) {
	t.Helper()
	j.sink.answer = func(w http.ResponseWriter, r *http.Request) {
		auth := r.Header.Get("Authorization")
		_, value, _ := strings.Cut(auth, " ")
		w.Header().Set("X-Early", value)
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("X-Early")
		w.Header().Set("X-Echo", "you sent "+value)
		w.Header().Set("Set-Cookie", "session="+value)
		w.Header().Set("Trailer", "X-Late")
		b, _ := json.Marshal(map[string]string{"auth": auth, "b64": base64.StdEncoding.EncodeToString([]byte("x" + value)), "hex": fmt.Sprintf("%x", value)})
		if coding == "" {
			_, _ = w.Write(b)
		} else {
			w.Header().Set("Content-Encoding", coding)
			zw := gzip.NewWriter(w)
			_, _ = zw.Write(b)
			_ = zw.Close()
		}
		w.Header().Set("X-Late", value)
	}
}

// passOn is a store of packages that has none.
type passOn struct{}

func (passOn) Transport(_ Registry, next http.RoundTripper, _ func(Fetched)) (http.RoundTripper, error) {
	return next, nil
}

func (passOn) Strict(Registry) bool { return false }

// What a registry says before its answer goes past every mask, with a store of packages
// in between as without.
func TestInjectEarlyHints(t *testing.T) {
	j := openJob(t, func(c *Config) {
		c.Packages = passOn{}
		c.Presets[0].Rules[0].Inject = &Inject{Header: "Authorization", ValueFrom: "env:TOKEN", Scheme: "Bearer"}
		c.Presets[0].Registries = []Registry{{Ecosystem: "npm", Base: "https://preset.test/"}}
		c.Credential = func(string) (string, error) { return token, nil }
	})
	echo(t, j, "")
	c := j.dialTLS("preset.test")
	if _, err := io.WriteString(c, "GET /x HTTP/1.1\r\nHost: preset.test\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Contains(got, []byte("***")) || bytes.Contains(got, []byte(token)) {
		t.Errorf("the job got %q, %v", got, err)
	}
	if e := j.want(Event{Verdict: VerdictAllow, Host: "preset.test"}); !e.Injected {
		t.Errorf("event %+v", e)
	}
}

func withInject(in Inject) func(*Config) {
	return func(c *Config) {
		c.Policy.Rules = append(c.Policy.Rules, Rule{Host: "evil.test", Ports: []uint16{443, 80}, Inject: &in, Methods: []string{"GET"}, Paths: []string{"/pkg/**"}})
		c.Credential = func(from string) (string, error) {
			if from != "env:TOKEN" {
				return "", errors.New("not set")
			}
			return token, nil
		}
	}
}

// holds reports whether a text holds the credential in a form that is easy to undo.
func holdsToken(s string) bool {
	if strings.Contains(s, token) || strings.Contains(s, fmt.Sprintf("%x", token)) {
		return true
	}
	for i := range 3 {
		b := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", i) + token))
		if strings.Contains(s, b[4:len(b)-4]) {
			return true
		}
	}
	return false
}

func TestInject(t *testing.T) {
	tests := []struct {
		name   string
		in     Inject
		send   []string
		want   string // what the host gets
		inject bool
	}{
		{"scheme", Inject{Header: "Authorization", ValueFrom: "env:TOKEN", Scheme: "Bearer"}, nil, "Bearer " + token, true},
		{"in the place of what the job sends", Inject{Header: "authorization", ValueFrom: "env:TOKEN", Scheme: "Bearer"}, []string{"Authorization", "Bearer attacker"}, "Bearer " + token, true},
		{"placeholder", Inject{Header: "Authorization", ValueFrom: "env:TOKEN", Placeholder: "zviz-placeholder"}, []string{"Authorization", "Bearer zviz-placeholder"}, "Bearer " + token, true},
		{"placeholder in Basic", Inject{Header: "Authorization", ValueFrom: "env:TOKEN", Placeholder: "zviz-placeholder"}, []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("me:zviz-placeholder"))}, "Basic " + base64.StdEncoding.EncodeToString([]byte("me:"+token)), true},
		{"no placeholder sent", Inject{Header: "Authorization", ValueFrom: "env:TOKEN", Placeholder: "zviz-placeholder"}, []string{"Authorization", "Bearer other"}, "Bearer other", false},
	}
	for _, coding := range []string{"", "gzip"} {
		for _, tt := range tests {
			t.Run(tt.name+" "+coding, func(t *testing.T) {
				j := openJob(t, withInject(tt.in))
				echo(t, j, coding)
				early := ""
				r := send(t, "GET", "https://evil.test/pkg/x", "", append(tt.send, "Range", "bytes=0-10", "Accept-Encoding", coding)...)
				r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
					early = fmt.Sprint(h)
					return nil
				}}))
				resp, err := j.client("169.254.1.1:443", false).Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				if got := j.sink.seen()[0].Header.Get("Authorization"); got != tt.want {
					t.Errorf("the host got %q", got)
				}
				e := j.want(Event{Verdict: VerdictAllow, Door: DoorHTTP, Host: "evil.test", Path: "/pkg/x"})
				if e.Injected != tt.inject {
					t.Errorf("event %+v", e)
				}
				all := string(body) + fmt.Sprint(resp.Header) + fmt.Sprint(resp.Trailer) + fmt.Sprint(e) + early
				if holdsToken(all) {
					t.Errorf("the job or the log got the credential: %s", all)
				}
				if !tt.inject {
					return
				}
				if !strings.Contains(string(body), "***") || e.Masked < 4 || resp.Header.Get("Set-Cookie") != "" {
					t.Errorf("masked %d: %s %v", e.Masked, body, resp.Header)
				}
				if got := j.sink.seen()[0].Header.Get("Range"); got != "" {
					t.Errorf("a part of the answer was asked for: %s", got)
				}
			})
		}
	}
}

// The credential goes to its host, methods and paths by TLS, and nowhere else.
func TestInjectOnlyThere(t *testing.T) {
	j := openJob(t, withInject(Inject{Header: "Authorization", ValueFrom: "env:TOKEN", Scheme: "Bearer"}))
	tls443, plain := j.client("169.254.1.1:443", false), j.client("169.254.1.1:80", false)
	for _, r := range []struct {
		c      *http.Client
		req    *http.Request
		status int
		want   Event
	}{
		{tls443, send(t, "PUT", "https://evil.test/pkg/x", "abc"), 403, Event{Verdict: VerdictDeny, Host: "evil.test", Reason: ReasonMethod}},
		{tls443, send(t, "GET", "https://evil.test/other", ""), 403, Event{Verdict: VerdictDeny, Host: "evil.test", Reason: ReasonPath}},
		{plain, send(t, "GET", "http://evil.test/pkg/x", ""), 403, Event{Verdict: VerdictDeny, Host: "evil.test", Reason: ReasonPlaintext}},
		{tls443, send(t, "GET", "https://preset.test/pkg/x", "", "Authorization", "Bearer zviz-placeholder"), 200, Event{Verdict: VerdictAllow, Host: "preset.test"}},
		{plain, send(t, "GET", "http://plain.test/pkg/x", "", "Authorization", "Bearer zviz-placeholder"), 200, Event{Verdict: VerdictAllow, Host: "plain.test"}},
	} {
		if status, body := do(t, r.c, r.req); status != r.status {
			t.Errorf("%s %s: %d %s", r.req.Method, r.req.URL, status, body)
		}
		if e := j.want(r.want); e.Injected {
			t.Errorf("event %+v", e)
		}
	}
	for _, r := range j.sink.seen() {
		if strings.Contains(fmt.Sprint(r.Header), token) {
			t.Errorf("%s got the credential", r.Host)
		}
	}
	if got := j.sink.seen(); len(got) != 2 || got[1].Header.Get("Authorization") != "Bearer zviz-placeholder" {
		t.Errorf("the outside got %d requests", len(got))
	}
}

func TestInjectNeedsItsCredential(t *testing.T) {
	for _, in := range []Inject{
		{Header: "Authorization", ValueFrom: "env:OTHER"},
		{Header: "Authorization", ValueFrom: "env:TOKEN", Scheme: "Basic"},
		{Header: "Host", ValueFrom: "env:TOKEN"},
		{Header: "Authorization", ValueFrom: "TOKEN"},
		{Header: "A\r\nB", ValueFrom: "env:TOKEN"},
	} {
		c := Config{}
		withInject(in)(&c)
		if _, _, err := newGateway(c); err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%+v: %v", in, err)
		}
	}
}

// A registry with a credential stays a registry: nothing is written, and what a job
// puts into its requests does not go out.
func TestInjectIntoPreset(t *testing.T) {
	j := openJob(t, func(c *Config) {
		withInject(Inject{Header: "Authorization", ValueFrom: "env:TOKEN", Placeholder: "zviz-placeholder"})(c)
		c.Policy.Rules[len(c.Policy.Rules)-1] = Rule{Host: "preset.test", Inject: c.Policy.Rules[len(c.Policy.Rules)-1].Inject}
	})
	c := j.client("169.254.1.1:443", false)
	r := send(t, "GET", "https://preset.test/@corp%2fx?d=secret", "", "Authorization", "Bearer zviz-placeholder", "Cookie", "a=b")
	if status, body := do(t, c, r); status != 200 {
		t.Errorf("got %d %s", status, body)
	}
	e := j.want(Event{Verdict: VerdictAllow, Host: "preset.test", Method: "GET"})
	got := j.sink.seen()[0]
	if !e.Injected || got.Header.Get("Authorization") != "Bearer "+token || got.Header.Get("Cookie") != "" || got.URL.RawQuery != "" || got.URL.EscapedPath() != "/@corp%2fx" {
		t.Errorf("the registry got %v %v; event %+v", got.URL, got.Header, e)
	}
	if status, _ := do(t, c, send(t, "PUT", "https://preset.test/@corp%2fx", "x", "Authorization", "Bearer zviz-placeholder")); status != 403 {
		t.Errorf("publish: %d", status)
	}
	if n := len(j.sink.seen()); n != 1 {
		t.Errorf("the registry got %d requests", n)
	}
}

// In an encoding that cannot be read an echo could not be masked.
func TestInjectUnreadableAnswer(t *testing.T) {
	j := openJob(t, withInject(Inject{Header: "Authorization", ValueFrom: "env:TOKEN", Scheme: "Bearer"}))
	j.sink.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "br")
		_, _ = io.WriteString(w, "whatever")
	}
	if status, body := do(t, j.client("169.254.1.1:443", false), get(t, "https://evil.test/pkg/x")); status != 502 {
		t.Errorf("got %d %s", status, body)
	}
	j.want(Event{Verdict: VerdictDeny, Host: "evil.test", Reason: ReasonEncoded})
}

func TestMissLimit(t *testing.T) {
	j := openJob(t, func(c *Config) { c.Policy.Limits.Misses = 3 })
	j.sink.answer = func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/there") {
			w.WriteHeader(http.StatusNotFound)
		}
	}
	c := j.client("169.254.1.1:443", false)
	ask := func(path string, want int) {
		t.Helper()
		if status, body := do(t, c, get(t, "https://preset.test"+path)); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	ask("/there", 200)
	for i := range 10 {
		ask("/secret-"+strconv.Itoa(min(i, 2)), 404) // asking again tells nothing new
	}
	ask("/secret-3", 403)
	ask("/there/new", 403)
	ask("/there", 200)
	e := j.want(Event{Verdict: VerdictDeny, Host: "preset.test", Path: "/secret-3", Reason: ReasonMissLimit})
	if e.Misses != 3 {
		t.Errorf("event %+v", e)
	}
	for _, r := range j.sink.seen() {
		if r.URL.Path == "/secret-3" {
			t.Error("the registry got the name")
		}
	}
}

// TestUpCap sends more than a host may get, by each way.
func TestUpCap(t *testing.T) {
	const limit = 1 << 20
	for _, way := range []string{"spliced", "plain", "terminated"} {
		t.Run(way, func(t *testing.T) {
			j := openJob(t, func(c *Config) {
				c.Policy.Limits.UpBytes = limit
				c.Policy.Rules = append(c.Policy.Rules, Rule{Host: "evil.test", TLS: TLSTerminate})
			})
			url, at, want := "https://allowed.test/x", "169.254.1.1:443", Event{Host: "allowed.test", Door: DoorTLS}
			switch way {
			case "plain":
				url, at, want = "http://plain.test/x", "169.254.1.1:80", Event{Host: "plain.test", Door: DoorHTTP}
			case "terminated":
				url, want = "https://evil.test/x", Event{Host: "evil.test", Door: DoorHTTP}
			}
			c := j.client(at, false)
			resp, err := c.Do(send(t, "POST", url, strings.Repeat("a", 5<<20)))
			if err == nil {
				resp.Body.Close()
				if resp.StatusCode != http.StatusForbidden {
					t.Errorf("got %d", resp.StatusCode)
				}
			}
			want.Verdict, want.Reason = VerdictDeny, ReasonUpCap
			e := j.want(want)
			if way == "spliced" && e.Up != limit {
				t.Errorf("event %+v", e)
			}
			// The outside's own count of one connection: what it got is within the limit,
			// but for what TLS of ours adds.
			if n := j.sink.bytes.Load(); n > limit+limit/10 {
				t.Errorf("the outside got %d bytes", n)
			}
			if way != "spliced" {
				if status, _ := do(t, j.client(at, false), send(t, "GET", url, "")); status != http.StatusForbidden {
					t.Errorf("after it: %d", status)
				}
			}
		})
	}
}

func TestExpectDenied(t *testing.T) {
	j := openJob(t, func(c *Config) {
		c.Policy.ExpectDenied = []string{"*.telemetry.test", "evil.test:80", "198.51.100.7"}
	})
	c := j.client("169.254.1.1:80", false)
	for _, url := range []string{"http://a.telemetry.test/", "http://evil.test/", "http://other.test/"} {
		if status, _ := do(t, c, get(t, url)); status != 403 {
			t.Errorf("%s: %d", url, status)
		}
	}
	if conn, err := j.dialErr("tcp", "198.51.100.7:4444"); err == nil {
		conn.Close()
		t.Error("connected")
	}
	for _, e := range []Event{{Host: "a.telemetry.test"}, {Host: "evil.test"}, {Dst: "198.51.100.7:4444"}} {
		e.Verdict = VerdictDeny
		if got := j.want(e); !got.Expected || got.Unexpected() {
			t.Errorf("event %+v", got)
		}
	}
	if e := j.want(Event{Verdict: VerdictDeny, Host: "other.test"}); !e.Unexpected() {
		t.Errorf("event %+v", e)
	}
	j.untouched()
}

func TestLearnMode(t *testing.T) {
	j := openJob(t, func(c *Config) {
		withInject(Inject{Header: "Authorization", ValueFrom: "env:TOKEN", Scheme: "Bearer"})(c)
		c.Policy.Mode = ModeLearn
		c.Credential = nil // nobody is asked for one
	})
	if status, body := do(t, j.client("169.254.1.1:443", false), get(t, "https://evil.test/pkg/x")); status != 200 {
		t.Errorf("got %d %s", status, body)
	}
	if status, _ := do(t, j.client("169.254.1.1:443", false), get(t, "https://audit.test/x")); status != 200 {
		t.Errorf("got %d", status)
	}
	if got := j.sink.seen()[0].Header.Get("Authorization"); got != "" {
		t.Errorf("the host got %q", got)
	}
	if err := j.n.Close(); err != nil {
		t.Error(err)
	}
	j.want(Event{Verdict: VerdictLearned, Door: DoorTLS, Host: "audit.test", Reason: ReasonHost})
}

// TestWithin drives requests through a gateway whose policy is narrowed by another
// one: what the outer one lets through in mode audit, and what it splices.
func TestWithin(t *testing.T) {
	inner := Policy{Rules: []Rule{
		{Host: "evil.test", Methods: []string{"GET"}, Paths: []string{"/ok/**"}},
		{Host: "allowed.test", Methods: []string{"GET"}},
	}}
	for _, mode := range []Mode{ModeAudit, ModeDeny} {
		t.Run(string(mode), func(t *testing.T) {
			j := openJob(t, func(c *Config) {
				c.Policy.Mode = mode
				c.Policy.Rules = []Rule{{Host: "allowed.test", TLS: TLSSplice}, {Host: "other-allowed.test"}}
				c.Policy = Intersect(c.Policy, inner)
			})
			ask := func(method, url string) int {
				resp, err := j.client("169.254.1.1:443", false).Do(send(t, method, url, ""))
				if err != nil {
					return 0
				}
				resp.Body.Close()
				return resp.StatusCode
			}
			want := map[bool]int{true: 200, false: 0}[mode == ModeAudit]
			if got := ask("GET", "https://evil.test/ok/x"); got != want {
				t.Errorf("what only the inner one names: %d", got)
			}
			if got := ask("PUT", "https://evil.test/ok/x"); got == 200 {
				t.Error("the inner one denies the method")
			}
			if got := ask("GET", "https://evil.test/no"); got == 200 {
				t.Error("the inner one denies the path")
			}
			if got := ask("GET", "https://allowed.test/x"); got != 200 {
				t.Errorf("what both allow: %d", got)
			}
			if got := ask("PUT", "https://allowed.test/x"); got != 403 {
				t.Errorf("a method that the inner one denies of a host that the outer one splices: %d", got)
			}
			if got := ask("GET", "https://other-allowed.test/x"); got != 0 {
				t.Errorf("what only the outer one names: %d", got)
			}
			for _, r := range j.sink.seen() {
				if r.Method != http.MethodGet || r.URL.Path == "/no" || r.Host == "other-allowed.test" {
					t.Errorf("upstream got %s %s%s", r.Method, r.Host, r.URL)
				}
			}
		})
	}
}
