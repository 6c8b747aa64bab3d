// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// FuzzParseRule: what is accepted prints to what parses to the same, and matches
// itself and nothing that only looks like it.
func FuzzParseRule(f *testing.F) {
	for _, s := range []string{
		"api.example.test", "api.example.test:8443", "*.example.test", "*.example.test:443", "API.Example.Test.", "localhost:8080",
		"a:443@b", "a.test\x00.b.test", "198.51.100.7", "0xc6336407", "0306.063.0144.07", "[::1]:443", "::ffff:1.2.3.4", "a..b", "xn--80ak6aa92e.test",
		"a.test:0443", "a.test:", "*", "*.test", "a*.b.test", "\u212aey.test", "https://a.test/",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRule(s)
		if err != nil {
			return
		}
		again, err := ParseRule(r.String())
		if err != nil || again.String() != r.String() || again.Host != r.Host {
			t.Fatalf("%q: %q parses to %q, %v", s, r, again, err)
		}
		if err := r.check(); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		name := strings.TrimPrefix(r.Host, "*.")
		if r.MatchHost(name) == r.wildcard() {
			t.Fatalf("%q: matches its apex: %v", s, r.MatchHost(name))
		}
		if r.MatchHost("x."+name) != r.wildcard() || r.MatchHost("x"+name) || r.MatchHost(name+".x") {
			t.Fatalf("%q: matches another host", s)
		}
		if _, err := netip.ParseAddr(name); err == nil {
			t.Fatalf("%q: an address", s)
		}
	})
}

// FuzzAuthority: what is accepted round-trips, and means to net/url what it
// means to us.
func FuzzAuthority(f *testing.F) {
	for _, s := range []string{"a.test:443", "a.test", "A.Test.:80", "a.test:443@b.test:443", "[::1]:443", "[::ffff:1.2.3.4]:443", "1.2.3.4:443", "0x7f.1:80", "a.test:+443", "a.test\r\n:443", "a%2etest:443", "a.test#:443"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseAuthority(s, 443)
		if err != nil {
			if !errors.Is(err, errMalformed) && !errors.Is(err, errIPLiteral) {
				t.Fatalf("%q: error without a reason: %v", s, err)
			}
			return
		}
		again, err := parseAuthority(a.String(), 0)
		if err != nil || again != a {
			t.Fatalf("%q: %v parses to %v, %v", s, a, again, err)
		}
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost: " + s + "\r\n\r\n")))
		if err != nil {
			t.Fatalf("%q: accepted, but net/http says %v", s, err)
		}
		if b, err := parseAuthority(r.Host, 443); err != nil || b != a {
			t.Fatalf("%q: %v, but net/http says %q", s, a, r.Host)
		}
	})
}

// FuzzHello: a name that we read in a ClientHello is the one that crypto/tls
// reads, and no byte is lost.
func FuzzHello(f *testing.F) {
	for _, c := range []*tls.Config{
		{ServerName: "allowed.test"}, {InsecureSkipVerify: true}, {ServerName: "A.B.test", NextProtos: []string{"h2"}, MaxVersion: tls.VersionTLS12},
	} {
		raw := recordHello(f, c)
		f.Add(raw)
		f.Add(cut(raw, 80))
		f.Add(cut(raw, 700))
		f.Add(raw[:len(raw)-3])
	}
	f.Add([]byte("SSH-2.0-OpenSSH\r\n"))
	f.Add([]byte{22, 3, 1, 0, 5, 1, 0xff, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		raw, h, err := readHello(bytes.NewReader(b))
		if !bytes.HasPrefix(b, raw) {
			t.Fatalf("raw bytes are not what was sent")
		}
		if len(raw) > helloRawMost+recordMost {
			t.Fatalf("kept %d bytes", len(raw))
		}
		if err != nil {
			return // we refuse more: lengths that RFC 8446 forbids, bytes behind the message
		}
		// And crypto/tls refuses more: it knows more extensions.
		if name, ok := oracleHello(b); ok && h.serverName != name {
			t.Fatalf("crypto/tls reads %q, we read %q", name, h.serverName)
		}
	})
}

// oracleHello asks crypto/tls for the server name.
func oracleHello(b []byte) (name string, ok bool) {
	stop := errors.New("stop")
	server := tls.Server(bytesConn{bytes.NewReader(b)}, &tls.Config{
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			name, ok = h.ServerName, true
			return nil, stop
		},
	})
	_ = server.Handshake()
	return name, ok
}

// bytesConn is a connection that sends given bytes and hears nothing.
type bytesConn struct{ r *bytes.Reader }

func (c bytesConn) Read(b []byte) (int, error)     { return c.r.Read(b) }
func (bytesConn) Write(b []byte) (int, error)      { return len(b), nil }
func (bytesConn) Close() error                     { return nil }
func (bytesConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (bytesConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (bytesConn) SetDeadline(time.Time) error      { return nil }
func (bytesConn) SetReadDeadline(time.Time) error  { return nil }
func (bytesConn) SetWriteDeadline(time.Time) error { return nil }

// fuzzGateway is a gateway without a kernel: dialled is every address that it
// would have connected to.
func fuzzGateway(tb testing.TB) (g *gateway, dialled func() []string) {
	tb.Helper()
	g, _, err := newGateway(Config{
		Policy: Policy{Rules: []Rule{
			{Host: "allowed.test"},
			{Host: "*.wild.test", Ports: []uint16{8080}},
			{Host: "git.test", Methods: []string{"GET"}, Paths: []string{"/acme/*"}},
			{Host: "corp.test", Paths: []string{"/pkg/**"}, Inject: &Inject{Header: "Authorization", ValueFrom: "env:X"}},
		}},
		Credential: func(string) (string, error) { return "a-credential", nil },
		Presets:    []Preset{{Name: "npm", Rules: []Rule{{Host: "preset.test", Ports: []uint16{80}}}}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	g.who = func(uint8, netip.AddrPort, netip.AddrPort) origin { return origin{} }
	var mu sync.Mutex
	var addrs []string
	g.dial.connect = func(_ context.Context, _ *net.Dialer, addr string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		addrs = append(addrs, addr)
		return nil, errors.New("no outside here")
	}
	g.web = newWeb(tb.Context(), g)
	return g, func() []string {
		mu.Lock()
		defer mu.Unlock()
		got := addrs
		addrs = nil
		return got
	}
}

// FuzzResolver: a name that no rule allows never gets an address, the only
// address is the gateway's, and the answer is small.
func FuzzResolver(f *testing.F) {
	for _, name := range []string{"allowed.test.", "secret.allowed.test.", "evil.test.", "ALLOWED.test.", "a.wild.test.", ".", "_http._tcp.allowed.test."} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS, dns.TypeTXT, dns.TypeANY} {
			b, err := new(dns.Msg).SetQuestion(name, qtype).Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	g, _ := fuzzGateway(f)
	r := newResolver(g)
	f.Fuzz(func(t *testing.T, b []byte) {
		req := new(dns.Msg)
		if err := req.Unpack(b); err != nil {
			return
		}
		resp, e := r.answer(req, origin{})
		packed, err := resp.Pack()
		if err != nil {
			t.Fatalf("answer does not pack: %v", err)
		}
		if len(packed) > dnsMost {
			t.Fatalf("answer of %d bytes", len(packed))
		}
		if e.Verdict == VerdictDeny && (len(resp.Answer) > 0 || resp.Rcode == dns.RcodeSuccess) {
			t.Fatalf("denied %q gets %v", e.Host, resp)
		}
		for _, rr := range resp.Answer {
			a, ok := rr.(*dns.A)
			if !ok || a.A.String() != GatewayAddr {
				t.Fatalf("answer %v", rr)
			}
			host := strings.ToLower(strings.TrimSuffix(req.Question[0].Name, "."))
			if host != "allowed.test" && host != "preset.test" && !strings.HasSuffix(host, ".wild.test") {
				t.Fatalf("%q gets an address", req.Question[0].Name)
			}
		}
	})
}

// FuzzRequest: through the plain door and the explicit proxy, nothing is dialled
// but allowed hosts at their open ports.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n",
		"GET http://evil.test/ HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
		"GET http://allowed.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n",
		"GET http://allowed.test@evil.test/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"PUT /x HTTP/1.1\r\nHost: preset.test\r\nContent-Length: 3\r\n\r\nabc",
		"GET //evil.test/x HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
		"CONNECT allowed.test:443 HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.wild.test:8080\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
		"GET /acme/x HTTP/1.1\r\nHost: git.test\r\n\r\n", "GET /acme/%2e%2e/x HTTP/1.1\r\nHost: git.test\r\n\r\n", "GET /acme/a%2fb HTTP/1.1\r\nHost: git.test\r\n\r\n",
		"GET /pkg/x HTTP/1.1\r\nHost: corp.test\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: allowed.test:443\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
	} {
		f.Add(s, false)
		f.Add(s, true)
	}
	g, dialled := fuzzGateway(f)
	f.Fuzz(func(t *testing.T, s string, proxy bool) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(s)))
		if err != nil {
			return
		}
		c := &doorConn{proxy: proxy, visit: &visit{dst: netip.MustParseAddrPort("198.51.100.7:80"), start: time.Now(), slot: &slot{of: g.hellos}}}
		ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Second, errors.New("too long"))
		defer cancel()
		rw := httptest.NewRecorder()
		g.web.ServeHTTP(rw, r.WithContext(context.WithValue(ctx, doorKey{}, c)))
		_, _ = io.Copy(io.Discard, rw.Result().Body)
		for _, addr := range dialled() {
			host, portText, err := net.SplitHostPort(addr)
			if err != nil {
				t.Fatal(err)
			}
			host = strings.TrimSuffix(host, ".")
			switch {
			case host == "allowed.test" && (portText == "80" || portText == "443"):
			case strings.HasSuffix(host, ".wild.test") && portText == "8080":
			case host == "git.test" && (portText == "80" || portText == "443"):
				// What a server could read as another path was not dialled for.
				clean, err := url.PathUnescape(r.URL.EscapedPath())
				if r.Method != http.MethodGet || err != nil || !strings.HasPrefix(clean, "/acme/") || strings.Contains(strings.TrimPrefix(clean, "/acme/"), "/") || path.Clean(clean) != strings.TrimSuffix(clean, "/") && clean != "/acme/" {
					t.Fatalf("%s %q dialled", r.Method, r.URL)
				}
			case host == "corp.test":
				t.Fatalf("a credential would have gone out without TLS: %q", r.URL)
			case host == "preset.test" && portText == "80":
				if r.Method != http.MethodGet && r.Method != http.MethodHead {
					t.Fatalf("%s dialled a registry", r.Method)
				}
			default:
				t.Fatalf("dialled %s", addr)
			}
		}
		if strings.Contains(rw.Body.String(), "a-credential") {
			t.Fatal("the answer holds a credential")
		}
		if rw.Code < 400 {
			t.Fatalf("status %d without an outside", rw.Code)
		}
	})
}
