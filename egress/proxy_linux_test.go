// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// TestUpstreamProxy reaches the outside through a proxy of the operator's.
func TestUpstreamProxy(t *testing.T) {
	var asked sync.Map
	outside := newSink(t, "allowed.test", "preset.test")
	proxy := proxyServer(t, func(r *http.Request) string {
		asked.Store(r.Method+" "+r.Host+" "+r.Header.Get("Proxy-Authorization"), true)
		if r.Method == http.MethodConnect {
			return outside.addr
		}
		return outside.plain
	})
	j := openJob(t, func(c *Config) {
		c.Roots = outside.roots
		c.Policy.Upstream = Upstream{Proxy: "http://user:pass@" + proxy}
	})
	for _, url := range []string{"https://allowed.test/a", "https://preset.test/a"} {
		if status, body := do(t, j.client("169.254.1.1:443", false), get(t, url)); status != 200 || !strings.HasPrefix(body, "hello") {
			t.Errorf("%s: got %d %q", url, status, body)
		}
	}
	if status, body := do(t, j.client("169.254.1.1:80", false), get(t, "http://plain.test/a")); status != 200 || body != "hello from plain.test/a" {
		t.Errorf("got %d %q", status, body)
	}
	for _, want := range []string{"CONNECT allowed.test:443 Basic dXNlcjpwYXNz", "CONNECT preset.test:443 Basic dXNlcjpwYXNz", "GET plain.test Basic dXNlcjpwYXNz"} {
		if _, ok := asked.Load(want); !ok {
			t.Errorf("the proxy was not asked: %s", want)
		}
	}
}

// TestProxiesOfTheEnvironment goes out as the runner's own environment says.
func TestProxiesOfTheEnvironment(t *testing.T) {
	const secret = "pa%2Fss"
	var asked sync.Map
	outside := newSink(t, "allowed.test", "preset.test")
	serve := func(name string) string {
		return proxyServer(t, func(r *http.Request) string {
			asked.Store(name+" "+r.Method+" "+r.Host, true)
			if r.Method == http.MethodConnect {
				return outside.addr
			}
			return outside.plain
		})
	}
	tls, plain := serve("tls"), serve("plain")
	j := openJob(t, func(c *Config) {
		c.Roots = outside.roots
		hosts := map[string]string{"other-allowed.test": outside.addr}
		c.Policy.Upstream = Upstream{Hosts: hosts, DNS: dnsServer(t, "127.0.0.1")}
		c.Policy.Rules = append(c.Policy.Rules, Rule{Host: "near.corp.test", Ports: []uint16{80, port(outside.plain)}, Private: true})
		c.Proxies = Proxies{HTTPS: "user:" + secret + "@" + tls, HTTP: "http://user:" + secret + "@" + plain, No: ".corp.test"}
	})
	for _, u := range []string{"https://allowed.test/a", "https://preset.test/a"} {
		if status, body := do(t, j.client("169.254.1.1:443", false), get(t, u)); status != 200 || !strings.HasPrefix(body, "hello") {
			t.Errorf("%s: got %d %q", u, status, body)
		}
	}
	if status, body := do(t, j.client("169.254.1.1:80", false), get(t, "http://plain.test/a")); status != 200 || body != "hello from plain.test/a" {
		t.Errorf("got %d %q", status, body)
	}
	near := "near.corp.test:" + itoa(port(outside.plain))
	if status, body := do(t, j.client("169.254.1.1:"+itoa(port(outside.plain)), false), get(t, "http://"+near+"/a")); status != 200 || body != "hello from "+near+"/a" {
		t.Errorf("NO_PROXY: got %d %q", status, body)
	}
	got := map[string]bool{}
	asked.Range(func(k, _ any) bool { got[k.(string)] = true; return true })
	want := map[string]bool{"tls CONNECT allowed.test:443": true, "tls CONNECT preset.test:443": true, "plain GET plain.test": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the proxies were asked (-want +got):\n%s", diff)
	}
	for _, r := range outside.seen() {
		if r.Header.Get("Proxy-Authorization") != "" {
			t.Errorf("the outside got the password of the proxy: %v", r.Header)
		}
	}
	j.holdsNo(secret, "pa/ss", "dXNlcjpwYS9zcw")
}

// holdsNo looks for words in everything that a job gets and that is recorded.
func (j *job) holdsNo(words ...string) {
	j.t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	text, err := json.Marshal([]any{j.events, j.n.Files()})
	if err != nil {
		j.t.Fatal(err)
	}
	for _, w := range words {
		if strings.Contains(string(text), w) {
			j.t.Errorf("%q is in the events or the files of the job", w)
		}
	}
}

// TestProxyRefuses has a proxy that does not let through. What the job and the
// operator see says so and holds neither the password nor the proxy's own words.
func TestProxyRefuses(t *testing.T) {
	refusing := func(status int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Proxy-Authenticate", "Basic realm=corp")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "you sent "+r.Header.Get("Proxy-Authorization"))
		})
	}
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	hangs := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-hold:
		}
	})
	closed := refusingAddr(t)
	tests := []struct {
		name    string
		user    string
		handler http.Handler // nil: nobody listens
		say     string
		plain   int // what a plain request gets, if not 502
	}{
		{"wants a user", "", refusing(407), "407 Proxy Authentication Required; it wants a user", 0},
		{"wants another user", "user:secret@", refusing(407), "407 Proxy Authentication Required; it does not take the user", 0},
		{"forbids", "user:secret@", refusing(403), "403 Forbidden; the proxy does not allow the host", 403},
		{"hangs", "user:secret@", hangs, "no answer within 1s (egress.limits.connect_timeout)", -1},
		{"is not there", "user:secret@", nil, "cannot be reached", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at := closed
			if tt.handler != nil {
				at = serveOn(t, tt.handler)
			}
			j := openJob(t, func(c *Config) {
				c.Policy.Upstream = Upstream{Proxy: "http://" + tt.user + at}
				if tt.plain < 0 {
					c.Policy.Limits.ConnectTimeout = time.Second // the others answer
				}
			})
			c := tls.Client(j.dial("tcp", "169.254.1.1:443"), &tls.Config{ServerName: "allowed.test", RootCAs: j.pool()})
			if err := c.Handshake(); err == nil {
				t.Error("a handshake with nobody")
			}
			says := func(where, text string) {
				t.Helper()
				if !strings.Contains(text, tt.say) || !strings.Contains(text, "the runner's proxy, egress.upstream.proxy ("+at+")") {
					t.Errorf("%s: %q does not say %q", where, text, tt.say)
				}
			}
			says("spliced", j.want(Event{Verdict: VerdictNote, Door: DoorTLS, Host: "allowed.test", Reason: ReasonProxy}).Hint)
			status, body := do(t, j.client("169.254.1.1:443", false), get(t, "https://preset.test/a"))
			if status != http.StatusBadGateway {
				t.Errorf("terminated: %d", status)
			}
			says("terminated", body)
			says("terminated", j.want(Event{Verdict: VerdictNote, Door: DoorHTTP, Host: "preset.test", Reason: ReasonProxy}).Hint)
			if tt.plain >= 0 {
				status, body = do(t, j.client("169.254.1.1:80", false), get(t, "http://plain.test/a"))
				switch {
				case tt.plain != 0 && status != tt.plain:
					t.Errorf("plain: %d", status)
				case tt.plain == 0 && status != http.StatusBadGateway:
					t.Errorf("plain: %d %q", status, body)
				case tt.plain == 0:
					if e := j.want(Event{Verdict: VerdictNote, Door: DoorHTTP, Host: "plain.test", Reason: ReasonProxy}); tt.name == "is not there" {
						says("plain", body)
						says("plain", e.Hint)
					}
				}
			}
			j.holdsNo("secret", "dXNlcjpzZWNyZXQ")
		})
	}
}

// refusingAddr is an address on loopback at which nobody listens, nor can anybody: the
// port is bound.
func refusingAddr(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	addr, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + strconv.Itoa(addr.(*unix.SockaddrInet4).Port)
}

// TestProxyThatRepeats has a proxy that answers TRACE itself, with what it got.
func TestProxyThatRepeats(t *testing.T) {
	var got sync.Map
	at := serveOn(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.Store(r.Method, r.Header.Get("Max-Forwards"))
		_ = r.Header.Write(w)
	}))
	j := openJob(t, func(c *Config) { c.Policy.Upstream = Upstream{Proxy: "http://user:secret@" + at} })
	for _, method := range []string{"TRACE", "OPTIONS"} {
		r := get(t, "http://plain.test/a")
		r.Method = method
		r.Header.Set("Max-Forwards", "0")
		status, body := do(t, j.client("169.254.1.1:80", false), r)
		if method == "TRACE" && (status != 403 || strings.Contains(body, "dXNlcjpzZWNyZXQ")) {
			t.Errorf("%s: got %d %q", method, status, body)
		}
	}
	if _, ok := got.Load("TRACE"); ok {
		t.Error("TRACE reached the proxy")
	}
	if hops, ok := got.Load("OPTIONS"); !ok || hops != "" {
		t.Errorf("OPTIONS reached the proxy: %v, with Max-Forwards %v", ok, hops)
	}
}

// TestProxyThatCannotBeUsed is not an error before something has to go through it:
// the environment is everybody's.
func TestProxyThatCannotBeUsed(t *testing.T) {
	for _, tt := range []struct{ name, url, say string }{
		{"SOCKS", "socks5://user:secret@127.0.0.1:1080", "HTTPS_PROXY: has a scheme that is not supported"},
		{"no URL", "http://user:sec%ret@127.0.0.1:1080", "HTTPS_PROXY: is no URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := openJob(t, func(c *Config) {
				c.Proxies.HTTPS = tt.url
				delete(c.Policy.Upstream.Hosts, "preset.test")
			})
			status, body := do(t, j.client("169.254.1.1:443", false), get(t, "https://preset.test/a"))
			if status != http.StatusBadGateway || !strings.Contains(body, tt.say) {
				t.Errorf("got %d %q", status, body)
			}
			j.want(Event{Verdict: VerdictNote, Host: "preset.test", Reason: ReasonProxy})
			j.holdsNo("secret", "sec%ret")
			j.untouched()
			_, err := newDialer(Upstream{Proxy: tt.url}, Proxies{}, time.Second, nil)
			if err == nil || strings.Contains(err.Error(), "sec") {
				t.Errorf("as egress.upstream.proxy: %v", err)
			}
		})
	}
}

// TestInspectingProxy goes through a proxy that ends TLS with a CA of the company's.
func TestInspectingProxy(t *testing.T) {
	company := newSink(t, "allowed.test", "preset.test") // its certificates are what everybody sees
	proxy := proxyServer(t, func(*http.Request) string { return company.addr })
	key := "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
	for _, tt := range []struct {
		name  string
		trust func(*Config)
		ok    bool
	}{
		{"egress.upstream.ca_file", func(c *Config) { c.Policy.Upstream.CAFile = writeFile(t, key+string(company.roots)) }, true},
		{"SSL_CERT_FILE", func(c *Config) { c.Roots = append([]byte(key), company.roots...) }, true},
		{"nothing", func(*Config) {}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := openJob(t, func(c *Config) {
				c.Policy.Upstream = Upstream{Proxy: "http://" + proxy}
				c.Policy.Limits.HelloTimeout = 20 * time.Second
				tt.trust(c)
			})
			if strings.Contains(string(j.n.Files().CABundle), "PRIVATE KEY") {
				t.Error("the job's bundle holds a key")
			}
			status, body := do(t, j.client("169.254.1.1:443", false), get(t, "https://preset.test/a"))
			if tt.ok && (status != 200 || body != "hello from preset.test/a") {
				t.Errorf("terminated: got %d %q", status, body)
			}
			if !tt.ok && (status != http.StatusBadGateway || !strings.Contains(body, "egress.upstream.ca_file")) {
				t.Errorf("terminated: got %d %q", status, body)
			}
			// The job itself verifies a spliced host, with the bundle that it was given.
			resp, err := j.client("169.254.1.1:443", false).Do(get(t, "https://allowed.test/a"))
			if err == nil {
				resp.Body.Close()
			}
			if (err == nil) != tt.ok {
				t.Errorf("spliced: %v", err)
			}
		})
	}
}

// TestProxyByTLS tunnels through a proxy that is itself reached by TLS, to a host
// that speaks first: nothing of its words may be lost with the head of the answer.
func TestProxyByTLS(t *testing.T) {
	const words = "220 mail.test ready\r\n"
	for _, secure := range []bool{false, true} {
		handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			down, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer down.Close()
			_, _ = io.WriteString(down, "HTTP/1.1 200 OK\r\n\r\n"+words) // one segment
			_, _ = io.Copy(io.Discard, down)
		})
		j := openJob(t, func(c *Config) {
			at := "http://" + serveOn(t, handler)
			if secure {
				at, c.Roots = serveTLSOn(t, handler)
			}
			c.Policy.Upstream = Upstream{Proxy: at}
			c.Policy.Rules = []Rule{{Host: "mail.test", Ports: []uint16{25}, Protocol: ProtocolTCP}}
		})
		addr, ok := j.n.gateway.virtual.addr("mail.test")
		if !ok {
			t.Fatal("no address")
		}
		got := make([]byte, len(words))
		if _, err := io.ReadFull(j.dial("tcp", addr.String()+":25"), got); err != nil {
			t.Errorf("by TLS %v: %v", secure, err)
		}
		if diff := cmp.Diff(words, string(got)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// proxyServer is an HTTP proxy that leads to where dial says.
func proxyServer(t *testing.T, dial func(*http.Request) string) string {
	t.Helper()
	return serveOn(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := dial(r)
		if r.Method != http.MethodConnect {
			out := r.Clone(r.Context())
			out.RequestURI, out.URL.Host = "", to
			out.Header.Del("Proxy-Authorization")
			resp, err := http.DefaultTransport.RoundTrip(out)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			defer resp.Body.Close()
			_, _ = io.Copy(w, resp.Body)
			return
		}
		up, err := net.Dial("tcp", to)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		down, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			up.Close()
			return
		}
		_, _ = io.WriteString(down, "HTTP/1.1 200 OK\r\n\r\n")
		_, _, _ = join(down.(*net.TCPConn), up, nil, up)
	}))
}

// serveOn serves on loopback and returns the address.
func serveOn(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// serveTLSOn does so by TLS and returns the URL and the certificate.
func serveTLSOn(t *testing.T, h http.Handler) (at string, roots []byte) {
	t.Helper()
	server := httptest.NewTLSServer(h)
	t.Cleanup(server.Close)
	return server.URL, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func port(addr string) uint16 { return netip.MustParseAddrPort(addr).Port() }

func itoa(n uint16) string { return strconv.Itoa(int(n)) }
