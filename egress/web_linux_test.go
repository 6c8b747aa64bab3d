// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bufio"
	"crypto/tls"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// raw sends bytes over a connection and returns the status of the answer.
func raw(t *testing.T, c io.ReadWriter, send string) (status int, body string) {
	t.Helper()
	if _, err := io.WriteString(c, send); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestHTTPDoorRefuses(t *testing.T) {
	tests := []struct {
		name   string
		dst    string
		send   string
		status int
		say    string // part of the body
		want   Event
	}{
		{"denied host", "169.254.1.1:80", "GET /x HTTP/1.1\r\nHost: evil.test\r\n\r\n", 403, "--allow evil.test:80", Event{Host: "evil.test", Method: "GET", Path: "/x", Reason: ReasonHost}},
		{"metadata", "169.254.169.254:80", "GET /latest/meta-data/ HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n", 403, "ip-literal", Event{Dst: "169.254.169.254:80", Reason: ReasonIPLiteral}},
		{"absolute form", "169.254.1.1:80", "GET http://evil.test/ HTTP/1.1\r\nHost: plain.test\r\n\r\n", 403, "evil.test", Event{Host: "evil.test", Reason: ReasonHost}},
		{"two hosts", "169.254.1.1:80", "GET / HTTP/1.1\r\nHost: plain.test\r\nHost: evil.test\r\n\r\n", 400, "", Event{Reason: ReasonMalformed}},
		{"no host", "169.254.1.1:80", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "", Event{Reason: ReasonMalformed}},
		{"no path", "169.254.1.1:80", "GET x:secret HTTP/1.1\r\nHost: plain.test\r\n\r\n", 400, "malformed", Event{Host: "plain.test", Reason: ReasonMalformed}},
		{"other port in host", "169.254.1.1:80", "GET / HTTP/1.1\r\nHost: plain.test:8081\r\n\r\n", 403, "port", Event{Host: "plain.test", Port: 8081, Reason: ReasonPort}},
		{"user in host", "169.254.1.1:80", "GET / HTTP/1.1\r\nHost: plain.test@evil.test\r\n\r\n", 400, "", Event{Reason: ReasonMalformed}},
		{"both lengths", "169.254.1.1:80", "GET / HTTP/1.1\r\nHost: evil.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 403, "", Event{Verdict: VerdictDeny}},
		{"body of a GET", "169.254.1.1:80", "GET / HTTP/1.1\r\nHost: plain.test\r\nContent-Length: 4\r\n\r\nabcd", 403, "body", Event{Host: "plain.test", Reason: ReasonBody}},
		{"upgrade", "169.254.1.1:80", "GET / HTTP/1.1\r\nHost: plain.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 403, "upgrade", Event{Host: "plain.test", Reason: ReasonUpgrade}},
		{"write to a preset's plain host", "169.254.1.1:80", "POST / HTTP/1.1\r\nHost: plain-preset.test\r\nContent-Length: 0\r\n\r\n", 403, "method", Event{Host: "plain-preset.test", Method: "POST", Reason: ReasonMethod}},
		{"CONNECT at the wrong door", "169.254.1.1:80", "CONNECT plain.test:80 HTTP/1.1\r\nHost: plain.test:80\r\n\r\n", 403, "", Event{Verdict: VerdictDeny}},
		{"not HTTP", "169.254.1.1:80", "\x05\x01\x00\r\n\r\n", 400, "", Event{Reason: ReasonMalformed}},
		{"headers without end", "169.254.1.1:80", "GET / HTTP/1.1\r\nHost: plain.test\r\nX-Data: " + strings.Repeat("a", 64<<10) + "\r\n\r\n", 431, "", Event{Reason: ReasonHeaderSize}},
	}
	j := openJob(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, body := raw(t, j.dial("tcp", tt.dst), tt.send)
			if status != tt.status || !strings.Contains(body, tt.say) {
				t.Errorf("got %d %q, want %d and %q in it", status, body, tt.status, tt.say)
			}
			tt.want.Verdict, tt.want.Door = VerdictDeny, DoorHTTP
			j.want(tt.want)
		})
	}
	j.untouched()
}

func TestHTTPDoorForwards(t *testing.T) {
	j := openJob(t, nil)
	c := j.client("198.51.100.7:80", false)
	if status, body := do(t, c, get(t, "http://PLAIN.test./a?q=1")); status != 200 || body != "hello from plain.test/a" {
		t.Errorf("got %d %q", status, body)
	}
	r := get(t, "http://plain.test/a")
	r.Method, r.Body, r.ContentLength = http.MethodPost, io.NopCloser(strings.NewReader("abcd")), 4
	r.Header.Set("Authorization", "Basic x")
	if status, _ := do(t, c, r); status != 200 {
		t.Errorf("POST to a host without rules for methods: %d", status)
	}
	if status, _ := do(t, c, get(t, "http://plain-preset.test/a")); status != 200 {
		t.Errorf("GET of a preset's plain host: %d", status)
	}
	e := j.want(Event{Verdict: VerdictAllow, Door: DoorHTTP, Host: "plain.test", Method: "POST", Path: "/a", Dst: "198.51.100.7:80"})
	if e.Up < 4 || e.Down == 0 || e.Status != 200 || e.PID == 0 {
		t.Errorf("event %+v", e)
	}
	got := j.sink.seen()
	if got[1].Header.Get("Authorization") != "Basic x" || j.sink.bodies[1] != "abcd" {
		t.Errorf("the operator's own host got %v %q", got[1].Header, j.sink.bodies[1])
	}
	if !j.n.Complete() {
		t.Error("incomplete, though every request was seen")
	}
}

func TestTerminatedRefuses(t *testing.T) {
	request := func(method, path, more string) string {
		return method + " " + path + " HTTP/1.1\r\nHost: preset.test\r\n" + more + "\r\n"
	}
	tests := []struct {
		name   string
		send   string
		status int
		want   Event
	}{
		{"publish", request("PUT", "/evil-package", "Content-Length: 4\r\n") + "abcd", 403, Event{Method: "PUT", Path: "/evil-package", Reason: ReasonMethod}},
		{"audit", request("POST", "/-/npm/v1/security/advisories/bulk", "Content-Length: 0\r\n"), 403, Event{Method: "POST", Reason: ReasonMethod}},
		{"delete", request("DELETE", "/p", ""), 403, Event{Method: "DELETE", Reason: ReasonMethod}},
		{"patch", request("PATCH", "/p", ""), 403, Event{Method: "PATCH", Reason: ReasonMethod}},
		{"options", request("OPTIONS", "/p", ""), 403, Event{Method: "OPTIONS", Reason: ReasonMethod}},
		{"trace", request("TRACE", "/p", ""), 403, Event{Method: "TRACE", Reason: ReasonMethod}},
		{"made up", request("LOOK", "/p", ""), 403, Event{Method: "LOOK", Reason: ReasonMethod}},
		{"connect", request("CONNECT", "preset.test:443", ""), 403, Event{Method: "CONNECT", Reason: ReasonMethod}},
		{"body with a length", request("GET", "/p", "Content-Length: 4096\r\n") + strings.Repeat("a", 4096), 403, Event{Reason: ReasonBody}},
		{"body in chunks", request("GET", "/p", "Transfer-Encoding: chunked\r\n") + "4\r\nabcd\r\n0\r\n\r\n", 403, Event{Reason: ReasonBody}},
		{"upgrade", request("GET", "/p", "Connection: Upgrade\r\nUpgrade: websocket\r\n"), 403, Event{Reason: ReasonUpgrade}},
		{"other host", "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n", 421, Event{Host: "other.test", Reason: ReasonHostMismatch}},
		{"other allowed host", "GET / HTTP/1.1\r\nHost: allowed.test\r\n\r\n", 421, Event{Host: "allowed.test", Reason: ReasonHostMismatch}},
		{"other port", "GET / HTTP/1.1\r\nHost: preset.test:8443\r\n\r\n", 421, Event{Reason: ReasonHostMismatch}},
		{"absolute form", "GET https://other.test/ HTTP/1.1\r\nHost: preset.test\r\n\r\n", 421, Event{Host: "other.test", Reason: ReasonHostMismatch}},
		{"no path", "GET x:secret HTTP/1.1\r\nHost: preset.test\r\n\r\n", 400, Event{Host: "preset.test", Path: "x:secret", Reason: ReasonMalformed}},
		{"long header that is needed", request("GET", "/p", "If-None-Match: "+strings.Repeat("a", 5000)+"\r\n"), 431, Event{Reason: ReasonHeaderSize}},
		{"long path", request("GET", "/"+strings.Repeat("a", 5000), ""), 431, Event{Reason: ReasonHeaderSize}},
	}
	j := openJob(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := tls.Client(j.dial("tcp", "169.254.1.1:443"), &tls.Config{ServerName: "preset.test", RootCAs: j.pool()})
			status, body := raw(t, c, tt.send)
			if status != tt.status || !strings.Contains(body, "zviz refused") {
				t.Errorf("got %d %q, want %d", status, body, tt.status)
			}
			tt.want.Verdict, tt.want.Door = VerdictDeny, DoorHTTP
			e := j.want(tt.want)
			if e.PID == 0 || e.Dst != "169.254.1.1:443" {
				t.Errorf("event %+v", e)
			}
		})
	}
	j.untouched()
	if !j.n.Complete() {
		t.Error("incomplete, though every request was seen")
	}
}

func TestTerminatedForwards(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		t.Run("h2="+strconv.FormatBool(h2), func(t *testing.T) {
			j := openJob(t, nil)
			c := j.client("198.51.100.7:443", h2)
			r := get(t, "https://preset.test/pkg?d=c2VjcmV0")
			for name, value := range map[string]string{
				"Authorization": "Bearer attacker", "Cookie": "a=b", "X-Data": strings.Repeat("a", 16<<10), "Npm-Session": "1",
				"Proxy-Authorization": "Basic x", "Accept": "application/json", "User-Agent": "npm/11.1 node/22 secret",
			} {
				r.Header.Set(name, value)
			}
			if status, body := do(t, c, r); status != 200 || body != "hello from preset.test/pkg" {
				t.Errorf("got %d %q", status, body)
			}
			e := j.want(Event{Verdict: VerdictAllow, Door: DoorHTTP, Host: "preset.test", Path: "/pkg", Rule: "npm"})
			if diff := cmp.Diff([]string{"authorization", "cookie", "npm-session", "proxy-authorization", "query", "x-data"}, e.Redacted); diff != "" {
				t.Errorf("redacted (-want +got):\n%s", diff)
			}
			got := j.sink.seen()[0]
			want := http.Header{"Accept": {"application/json"}, "User-Agent": {"npm/11.1"}, "Accept-Encoding": {"gzip"}}
			if diff := cmp.Diff(want, got.Header); diff != "" {
				t.Errorf("upstream headers (-want +got):\n%s", diff)
			}
			if got.URL.RawQuery != "" || got.Host != "preset.test" {
				t.Errorf("upstream got %q of %q", got.URL, got.Host)
			}
			resp, err := c.Do(get(t, "https://preset.test/redirect"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusFound || resp.Header.Get("Location") != "https://elsewhere.test/x" || resp.Header.Get("Alt-Svc") != "" {
				t.Errorf("redirect: %d %v", resp.StatusCode, resp.Header)
			}
			if !j.n.Complete() {
				t.Error("incomplete, though every request was seen")
			}
		})
	}
}

// TestHTTP2Authority sends a second stream for another host over a connection
// that was made for an allowed one.
func TestHTTP2Authority(t *testing.T) {
	j := openJob(t, nil)
	c := j.client("169.254.1.1:443", true)
	if status, _ := do(t, c, get(t, "https://preset.test/one")); status != 200 {
		t.Errorf("first: %d", status)
	}
	r := get(t, "https://preset.test/two")
	r.Host = "other.test"
	if status, _ := do(t, c, r); status != http.StatusMisdirectedRequest {
		t.Errorf("second: %d", status)
	}
	j.want(Event{Verdict: VerdictAllow, Door: DoorHTTP, Host: "preset.test"})
	j.want(Event{Verdict: VerdictDeny, Door: DoorHTTP, Host: "other.test", Reason: ReasonHostMismatch})
	if n := len(j.sink.seen()); n != 1 {
		t.Errorf("the outside got %d requests", n)
	}
}

func TestUntrustedCA(t *testing.T) {
	j := openJob(t, nil)
	c := tls.Client(j.dial("tcp", "169.254.1.1:443"), &tls.Config{ServerName: "preset.test"})
	if err := c.Handshake(); err == nil {
		t.Fatal("the machine's own roots trust the job's CA")
	}
	e := j.want(Event{Verdict: VerdictNote, Host: "preset.test", Reason: ReasonUntrusted})
	if !strings.Contains(e.Hint, "NODE_EXTRA_CA_CERTS") {
		t.Errorf("hint %q", e.Hint)
	}
	j.untouched()
}

// TestJobCAIsConstrained uses the job's key for a host that is not its own.
func TestJobCAIsConstrained(t *testing.T) {
	j := openJob(t, nil)
	if len(j.n.Files().JobCA) == 0 {
		t.Fatal("no CA")
	}
	leaf, err := j.n.gateway.ca.leaf("evil.test")
	if err != nil {
		t.Fatal(err)
	}
	client, server := tls.Client, tls.Server
	a, b := pipe(t)
	go func() { _ = server(b, &tls.Config{Certificates: []tls.Certificate{*leaf}}).Handshake() }()
	if err := client(a, &tls.Config{ServerName: "evil.test", RootCAs: j.pool()}).Handshake(); err == nil {
		t.Error("a certificate for a host outside of the constraint is trusted")
	}
}

func TestConnect(t *testing.T) {
	tests := []struct {
		name   string
		to     string
		status int
		want   Event
	}{
		{"denied host", "evil.test:443", 403, Event{Host: "evil.test", Reason: ReasonHost}},
		{"port", "allowed.test:22", 403, Event{Host: "allowed.test", Port: 22, Reason: ReasonPort}},
		{"address", "198.51.100.7:443", 403, Event{Reason: ReasonIPLiteral}},
		{"decimal address", "3325256711:443", 403, Event{Reason: ReasonIPLiteral}},
		{"hex address", "0xc6336407:443", 403, Event{Reason: ReasonIPLiteral}},
		{"octal address", "0306.063.0144.07:443", 403, Event{Reason: ReasonIPLiteral}},
		{"mapped address", "[::ffff:198.51.100.7]:443", 403, Event{Reason: ReasonIPLiteral}},
		{"user", "allowed.test:443@evil.test:443", 400, Event{Reason: ReasonMalformed}},
		{"no port", "allowed.test", 400, Event{Reason: ReasonMalformed}},
		{"space of port", "allowed.test:0443", 400, Event{Reason: ReasonMalformed}},
	}
	j := openJob(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, _ := raw(t, j.dial("tcp", "169.254.1.1:3128"), "CONNECT "+tt.to+" HTTP/1.1\r\nHost: allowed.test:443\r\n\r\n")
			if status != tt.status {
				t.Errorf("got %d, want %d", status, tt.status)
			}
			tt.want.Verdict, tt.want.Door = VerdictDeny, DoorConnect
			j.want(tt.want)
		})
	}
	j.untouched()
}

func TestConnectThenHello(t *testing.T) {
	tests := []struct {
		name string
		to   string
		send []byte
		want Event
	}{
		{"other name", "allowed.test:443", recordHello(t, &tls.Config{ServerName: "other-allowed.test"}), Event{Host: "other-allowed.test", Reason: ReasonSNIMismatch}},
		{"no name", "allowed.test:443", recordHello(t, &tls.Config{InsecureSkipVerify: true}), Event{Host: "allowed.test", Reason: ReasonNoSNI}},
		{"not TLS", "allowed.test:443", []byte("SSH-2.0-x\r\n"), Event{Host: "allowed.test", Reason: ReasonNotTLS}},
	}
	j := openJob(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := j.dial("tcp", "169.254.1.1:3128")
			connectTo(t, c, tt.to)
			if _, err := c.Write(tt.send); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(c); err != nil && !isReset(err) {
				t.Fatal(err)
			}
			tt.want.Verdict, tt.want.Door = VerdictDeny, DoorConnect
			j.want(tt.want)
		})
	}
	j.untouched()
}

func connectTo(t *testing.T, c io.ReadWriter, to string) {
	t.Helper()
	if _, err := io.WriteString(c, "CONNECT "+to+" HTTP/1.1\r\nHost: "+to+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	const answer = "HTTP/1.1 200 Connection established\r\n\r\n"
	got := make([]byte, len(answer))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(answer, string(got)); diff != "" {
		t.Fatalf("answer (-want +got):\n%s", diff)
	}
}

func TestConnectAllowed(t *testing.T) {
	tests := []struct{ name, host string }{{"spliced", "allowed.test"}, {"terminated", "preset.test"}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := openJob(t, nil)
			under := j.dial("tcp", "169.254.1.1:3128")
			connectTo(t, under, tt.host+":443")
			c := tls.Client(under, &tls.Config{ServerName: tt.host, RootCAs: j.pool()})
			status, body := raw(t, c, "GET /a HTTP/1.1\r\nHost: "+tt.host+"\r\nConnection: close\r\n\r\n")
			if status != 200 || body != "hello from "+tt.host+"/a" {
				t.Errorf("got %d %q", status, body)
			}
			c.Close()
			door := DoorConnect
			if tt.host == "preset.test" {
				door = DoorHTTP
			}
			j.want(Event{Verdict: VerdictAllow, Door: door, Host: tt.host, Port: 443})
			j.want(Event{Verdict: VerdictAllow, Door: DoorConnect, Host: tt.host, Port: 443})
		})
	}
}

func TestProxyPlain(t *testing.T) {
	j := openJob(t, nil)
	status, body := raw(t, j.dial("tcp", "169.254.1.1:3128"), "GET http://plain.test/a HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n")
	if status != 200 || body != "hello from plain.test/a" {
		t.Errorf("got %d %q", status, body)
	}
	status, _ = raw(t, j.dial("tcp", "169.254.1.1:3128"), "GET http://evil.test/a HTTP/1.1\r\nHost: plain.test\r\n\r\n")
	if status != 403 {
		t.Errorf("got %d", status)
	}
	j.want(Event{Verdict: VerdictDeny, Host: "evil.test", Reason: ReasonHost})
	status, _ = raw(t, j.dial("tcp", "169.254.1.1:3128"), "\x05\x01\x00\r\n\r\n")
	if status != 400 {
		t.Errorf("SOCKS: got %d", status)
	}
	j.want(Event{Verdict: VerdictDeny, Door: DoorConnect, Reason: ReasonMalformed})
	if hosts := j.sink.seen(); len(hosts) != 1 || slices.ContainsFunc(hosts, func(r *http.Request) bool { return r.Host != "plain.test" }) {
		t.Errorf("the outside got %d requests", len(hosts))
	}
}

// What stands in for a method or a path in a header would have the server judge another
// request than we do.
func TestHeadersThatOverride(t *testing.T) {
	j := openJob(t, func(c *Config) {
		c.Policy.Rules = append(c.Policy.Rules, Rule{Host: "evil.test", Methods: []string{"GET", "POST"}}, Rule{Host: "audit.test", TLS: TLSTerminate})
	})
	for _, host := range []string{"evil.test", "audit.test"} {
		r := send(t, "POST", "https://"+host+"/x", "a")
		for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X_HTTP_Method_Override", "X-Original-URL", "X-Rewrite-URL"} {
			r.Header[http.CanonicalHeaderKey(name)] = []string{"DELETE"}
		}
		r.Header.Set("X-Other", "kept")
		if status, body := do(t, j.client("169.254.1.1:443", false), r); status != http.StatusOK {
			t.Fatalf("%s: %d %s", host, status, body)
		}
		seen := j.sink.seen()
		got := seen[len(seen)-1].Header
		n := 0
		for name, v := range got {
			if v[0] == "DELETE" {
				n++
				if host == "evil.test" {
					t.Errorf("%s got %s", host, name)
				}
			}
		}
		e := j.want(Event{Verdict: VerdictAllow, Door: DoorHTTP, Host: host})
		if got.Get("X-Other") != "kept" || (host == "evil.test") != (len(e.Redacted) == 6) || host == "audit.test" && n != 6 {
			t.Errorf("%s: header %v, redacted %q", host, got, e.Redacted)
		}
	}
}

// The web server answers no request by itself: "OPTIONS *" is one for a host as any.
func TestOptionsOfAll(t *testing.T) {
	j := openJob(t, nil)
	if status, _ := raw(t, j.dial("tcp", "169.254.1.1:80"), "OPTIONS * HTTP/1.1\r\nHost: evil.test\r\n\r\n"); status != http.StatusForbidden {
		t.Errorf("plain: %d", status)
	}
	j.want(Event{Verdict: VerdictDeny, Door: DoorHTTP, Host: "evil.test", Method: "OPTIONS", Reason: ReasonHost})
	c := tls.Client(j.dial("tcp", "169.254.1.1:443"), &tls.Config{ServerName: "preset.test", RootCAs: j.pool()})
	if status, _ := raw(t, c, "OPTIONS * HTTP/1.1\r\nHost: preset.test\r\n\r\n"); status != http.StatusForbidden {
		t.Errorf("terminated: %d", status)
	}
	j.want(Event{Verdict: VerdictDeny, Door: DoorHTTP, Host: "preset.test", Method: "OPTIONS", Reason: ReasonMethod})
	j.untouched()
}

// The names of trailers are counted nowhere and looked at by nobody, so none goes out.
func TestTrailersStay(t *testing.T) {
	j := openJob(t, nil)
	c := j.dial("tcp", "169.254.1.1:80")
	if status, _ := raw(t, c, "POST /x HTTP/1.1\r\nHost: plain.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Secret\r\n\r\n1\r\na\r\n0\r\nX-Secret: b\r\n\r\n"); status != http.StatusOK {
		t.Fatalf("got %d", status)
	}
	if got := j.sink.seen()[0]; len(got.Trailer) > 0 || j.sink.bodies[0] != "a" {
		t.Errorf("the outside got %q and %v", j.sink.bodies[0], got.Trailer)
	}
}

// What the web server refuses by itself within our TLS is an event as elsewhere.
func TestTerminatedMalformed(t *testing.T) {
	for _, tt := range []struct {
		name, send string
		status     int
	}{
		{"two hosts", "GET / HTTP/1.1\r\nHost: preset.test\r\nHost: evil.test\r\n\r\n", 400},
		{"not HTTP", "what is this\r\n\r\n", 400},
		{"an odd coding", "POST / HTTP/1.1\r\nHost: preset.test\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
		{"a long head", "GET / HTTP/1.1\r\nHost: preset.test\r\nX: " + strings.Repeat("a", 64<<10) + "\r\n\r\n", 431},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := openJob(t, nil)
			c := j.dialTLS("preset.test")
			if status, _ := raw(t, c, "GET /first HTTP/1.1\r\nHost: preset.test\r\n\r\n"); status != http.StatusOK {
				t.Fatalf("first: %d", status)
			}
			if status, _ := raw(t, c, tt.send); status != tt.status {
				t.Errorf("got %d", status)
			}
			want := ReasonMalformed
			if tt.status == http.StatusRequestHeaderFieldsTooLarge {
				want = ReasonHeaderSize
			}
			j.want(Event{Verdict: VerdictDeny, Door: DoorHTTP, Host: "preset.test", Reason: want})
			j.mu.Lock()
			defer j.mu.Unlock()
			if n := len(j.events); n != 2 {
				t.Errorf("%d events: %+v", n, j.events)
			}
		})
	}
}

// A client that hangs up after a request is refused nothing.
func TestTerminatedHangsUp(t *testing.T) {
	j := openJob(t, nil)
	c := j.dialTLS("preset.test")
	if status, _ := raw(t, c, "GET /first HTTP/1.1\r\nHost: preset.test\r\n\r\n"); status != http.StatusOK {
		t.Fatalf("first: %d", status)
	}
	c.Close()
	for end := soon(); !j.noConnection(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the gateway keeps the connection")
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.events {
		if e.Verdict != VerdictAllow {
			t.Errorf("event %+v", e)
		}
	}
}

// noConnection reports whether the gateway serves none.
func (j *job) noConnection() bool {
	s := &j.n.gateway.conns
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns) == 0
}
