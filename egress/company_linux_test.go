// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/testenv"
)

// dnsOf is the outside's resolver for names with addresses of both families.
func dnsOf(t *testing.T, addrs ...string) string {
	t.Helper()
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg).SetReply(r)
		header := dns.RR_Header{Name: r.Question[0].Name, Class: dns.ClassINET, Rrtype: r.Question[0].Qtype}
		for _, a := range addrs {
			switch ip := netip.MustParseAddr(a); {
			case header.Rrtype == dns.TypeA && ip.Is4():
				m.Answer = append(m.Answer, &dns.A{Hdr: header, A: ip.AsSlice()})
			case header.Rrtype == dns.TypeAAAA && ip.Is6():
				m.Answer = append(m.Answer, &dns.AAAA{Hdr: header, AAAA: ip.AsSlice()})
			}
		}
		_ = w.WriteMsg(m)
	})}
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.ActivateAndServe() })
	t.Cleanup(func() { pc.Close(); wg.Wait() })
	return pc.LocalAddr().String()
}

// deaf listens on an address and takes no connection: the queue is full, so that
// the kernel drops what asks for one, as a host behind a broken route would.
func deaf(t *testing.T, addr string) {
	t.Helper()
	ap := netip.MustParseAddrPort(addr)
	family, sa := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: int(ap.Port()), Addr: [4]byte{127, 0, 0, 1}})
	if ap.Addr().Is6() {
		family, sa = unix.AF_INET6, &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, sa); err != nil {
		testenv.Missing(t, "bind %s: %v", addr, err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a backlog of 0 holds one
		c, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if err == nil {
			t.Cleanup(func() { c.Close() })
		}
	}
}

// TestIPv6Upstream reaches hosts that have addresses of IPv6 only, or of both
// families of which one does not answer.
func TestIPv6Upstream(t *testing.T) {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		testenv.Missing(t, "no IPv6 here: %v", err)
	}
	six := netip.MustParseAddrPort(l.Addr().String()).Port()
	outside := newSink(t, "dual.test")
	serve := func(l net.Listener) {
		server := &http.Server{Handler: outside}
		var wg sync.WaitGroup
		wg.Go(func() { _ = server.Serve(l) })
		t.Cleanup(func() { server.Close(); wg.Wait() })
	}
	serve(l)
	four := netip.MustParseAddrPort(outside.plain).Port()
	deaf(t, fmt.Sprintf("[::1]:%d", four))
	tests := []struct {
		name  string
		addrs []string
		port  uint16
	}{
		{"IPv6 only", []string{"::1"}, six},
		{"both, IPv4 refuses", []string{"127.0.0.1", "::1"}, six},
		{"both, IPv6 is silent", []string{"::1", "127.0.0.1"}, four},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := openJob(t, func(c *Config) {
				c.Policy.Upstream.DNS = dnsOf(t, tt.addrs...)
				c.Policy.Rules = []Rule{{Host: "dual.test", Ports: []uint16{tt.port}, Private: true}}
			})
			host := "dual.test:" + itoa(tt.port)
			if status, body := do(t, j.client("169.254.1.1:"+itoa(tt.port), false), get(t, "http://"+host+"/a")); status != 200 || body != "hello from "+host+"/a" {
				t.Errorf("got %d %q", status, body)
			}
		})
	}
}

// TestKeepAlive sends requests one after another, and several at once, over one
// connection: each is judged, and one connection goes out.
func TestKeepAlive(t *testing.T) {
	dials := map[string]func(*job) net.Conn{
		"plain":      func(j *job) net.Conn { return j.dial("tcp", "169.254.1.1:80") },
		"terminated": func(j *job) net.Conn { return j.dialTLS("preset.test") },
	}
	hosts := map[string]string{"plain": "plain-preset.test", "terminated": "preset.test"}
	for kind, dial := range dials {
		t.Run(kind, func(t *testing.T) {
			request := func(method, path string) string {
				return method + " " + path + " HTTP/1.1\r\nHost: " + hosts[kind] + "\r\n\r\n"
			}
			j := openJob(t, nil)
			c := dial(j)
			br := bufio.NewReader(c)
			read := func() (int, string) {
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					return 0, err.Error()
				}
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				if err != nil {
					return 0, err.Error()
				}
				return resp.StatusCode, string(b)
			}
			for _, path := range []string{"/1", "/2"} {
				_, _ = io.WriteString(c, request("GET", path))
				if status, body := read(); status != 200 || body != "hello from "+hosts[kind]+path {
					t.Errorf("one after another: %d %q", status, body)
				}
			}
			// The last one stands behind a refusal and must not slip through with it.
			_, _ = io.WriteString(c, request("GET", "/3")+request("GET", "/4")+request("PUT", "/5")+request("GET", "/6"))
			for _, want := range []int{200, 200, 403, 0} {
				if status, body := read(); status != want {
					t.Errorf("at once: got %d %q, want %d", status, body, want)
				}
			}
			var paths []string
			for _, r := range j.sink.seen() {
				paths = append(paths, r.Method+" "+r.URL.Path)
			}
			if diff := cmp.Diff([]string{"GET /1", "GET /2", "GET /3", "GET /4"}, paths); diff != "" {
				t.Errorf("the outside got (-want +got):\n%s", diff)
			}
			if n := j.sink.conns.Load(); n != 1 {
				t.Errorf("%d connections to the outside", n)
			}
			j.want(Event{Verdict: VerdictDeny, Method: "PUT", Path: "/5", Reason: ReasonMethod})
		})
	}
}

// TestResumption has a host that closes after each answer: the second handshake is
// the short one.
func TestResumption(t *testing.T) {
	j := openJob(t, nil)
	j.sink.answer = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		fmt.Fprintf(w, "%v", r.TLS.DidResume)
	}
	c := j.client("169.254.1.1:443", false)
	for _, want := range []string{"false", "true"} {
		if status, body := do(t, c, get(t, "https://preset.test/a")); status != 200 || body != want {
			t.Errorf("resumed: got %d %s, want %s", status, body, want)
		}
	}
	if n := j.sink.conns.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// TestManyAtOnce opens far more connections in one moment than may shake hands at the
// same time, and has more requests than may be served: all wait their turn.
func TestManyAtOnce(t *testing.T) {
	for _, host := range []string{"allowed.test", "preset.test"} {
		t.Run(host, func(t *testing.T) {
			j := openJob(t, func(c *Config) {
				c.patience = time.Minute
				c.Policy.Limits.Handshakes, c.Policy.Limits.Requests = 4, 4
				c.Policy.Limits.HelloTimeout = time.Minute
			})
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					c, err := j.dialErr("tcp", "169.254.1.1:443")
					if err != nil {
						t.Error(err)
						return
					}
					defer c.Close()
					tc := tls.Client(c, &tls.Config{ServerName: host, RootCAs: j.pool()})
					_, _ = io.WriteString(tc, "GET /a HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
					if body, err := io.ReadAll(tc); err != nil || !strings.HasSuffix(string(body), "hello from "+host+"/a") {
						t.Errorf("got %q, %v", body, err)
					}
				})
			}
			wg.Wait()
			j.mu.Lock()
			defer j.mu.Unlock()
			for _, e := range j.events {
				if e.Reason == ReasonLimit {
					t.Errorf("event %+v", e)
				}
			}
		})
	}
}

// TestLongPoll holds an answer back. It is not cut before the limit, and then in
// words.
func TestLongPoll(t *testing.T) {
	for _, tt := range []struct {
		name        string
		limit, long time.Duration
		status      int
	}{{"within the limit", 0, time.Second, 200}, {"over it", 100 * time.Millisecond, time.Minute, 502}} {
		t.Run(tt.name, func(t *testing.T) {
			j := openJob(t, func(c *Config) { c.Policy.Limits.IdleTimeout = tt.limit })
			j.sink.wait = func(r *http.Request) {
				select {
				case <-r.Context().Done():
				case <-time.After(tt.long):
				}
			}
			status, body := do(t, j.client("169.254.1.1:443", false), get(t, "https://preset.test/poll"))
			if status != tt.status {
				t.Errorf("got %d %q", status, body)
			}
			if tt.status == 502 {
				if !strings.Contains(body, "egress.limits.idle_timeout") {
					t.Errorf("got %q", body)
				}
				j.want(Event{Verdict: VerdictNote, Host: "preset.test", Reason: ReasonIdle})
			}
		})
	}
}

// TestIdleSplice leaves a spliced connection alone, and one that is used.
func TestIdleSplice(t *testing.T) {
	const limit = time.Second
	j := openJob(t, func(c *Config) { c.Policy.Limits.IdleTimeout = limit })
	dial := func() *tls.Conn {
		c := tls.Client(j.dial("tcp", "169.254.1.1:443"), &tls.Config{ServerName: "allowed.test", RootCAs: j.pool()})
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	quiet, busy := dial(), dial()
	br := bufio.NewReader(busy)
	ended := make(chan struct{})
	go func() { _, _ = quiet.Read(make([]byte, 1)); close(ended) }()
	for n, since := 0, time.Now(); ; n++ {
		_, _ = io.WriteString(busy, "GET / HTTP/1.1\r\nHost: allowed.test\r\n\r\n")
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatalf("request %d, after %v: %v", n, time.Since(since), err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		select {
		case <-ended:
			j.want(Event{Verdict: VerdictNote, Door: DoorTLS, Host: "allowed.test", Reason: ReasonIdle})
			if time.Since(since) > 2*limit {
				return
			}
		default:
		}
		if time.Since(since) > 20*time.Second {
			t.Fatal("an idle connection lives on")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// zeros is n bytes that cost nothing.
type zeros struct{ n int64 }

func (z *zeros) Read(b []byte) (int, error) {
	if z.n == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(b)), z.n)
	clear(b[:n])
	z.n -= n
	return int(n), nil
}

// TestLargeUpload sends a gibibyte to an allowed host. Nothing of it may pile up.
func TestLargeUpload(t *testing.T) {
	if testing.Short() {
		t.Skip("moves gibibytes")
	}
	const size = 1 << 30
	for _, tt := range []struct {
		host string
		h2   bool
	}{{"allowed.test", false}, {"audit.test", false}, {"audit.test", true}} {
		t.Run(fmt.Sprintf("%s h2=%v", tt.host, tt.h2), func(t *testing.T) {
			j := openJob(t, func(c *Config) {
				c.Policy.Rules = append(c.Policy.Rules, Rule{Host: "audit.test", TLS: TLSTerminate, Methods: []string{"PUT"}})
			})
			var got atomic.Int64
			server := serveTLSFor(t, j, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				n, _ := io.Copy(io.Discard, r.Body)
				got.Store(n)
			}))
			j.n.gateway.dial.hosts[tt.host] = netip.MustParseAddrPort(server)
			r := get(t, "https://"+tt.host+"/file")
			r.Method, r.Body, r.ContentLength = http.MethodPut, io.NopCloser(&zeros{size}), size
			client := j.client("169.254.1.1:443", tt.h2)
			client.Timeout = 5 * time.Minute
			stop := make(chan struct{})
			var most uint64
			var wg sync.WaitGroup
			runtime.GC()
			wg.Go(func() { most = mostHeap(stop) })
			resp, err := client.Do(r)
			close(stop)
			wg.Wait()
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK || got.Load() != size {
				t.Errorf("status %d, the host got %d bytes", resp.StatusCode, got.Load())
			}
			client.CloseIdleConnections()
			if e := j.want(Event{Verdict: VerdictAllow, Host: tt.host}); e.Up < size {
				t.Errorf("event %+v", e)
			}
			// Client and server are in this process too.
			if most > 64<<20 {
				t.Errorf("%d MiB of heap", most>>20)
			}
			t.Logf("at most %.1f MiB of heap", float64(most)/(1<<20))
		})
	}
}

// mostHeap is the most that the heap held, until stop.
func mostHeap(stop <-chan struct{}) uint64 {
	var most uint64
	for {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse)
		select {
		case <-stop:
			return most
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// serveTLSFor serves with certificates of the job's outside.
func serveTLSFor(t *testing.T, j *job, h http.Handler) string {
	t.Helper()
	l, err := tls.Listen("tcp4", "127.0.0.1:0", &tls.Config{
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return j.sink.ca.leaf(hello.ServerName) },
	})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() { server.Close(); wg.Wait() })
	return l.Addr().String()
}

// registry is one of npm's with a single package, below a prefix.
type registry struct {
	base  string // URL
	asked sync.Map
	tgz   []byte
}

func newRegistry(t *testing.T, base string) *registry {
	t.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	tw := tar.NewWriter(zw)
	for name, text := range map[string]string{"package/package.json": `{"name":"left","version":"1.0.0"}`, "package/index.js": "module.exports = 1\n"} {
		if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tw, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return &registry{base: base, tgz: b.Bytes()}
}

func (s *registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked.Store(fmt.Sprintf("%s HTTP/%d", r.URL.Path, r.ProtoMajor), true)
	switch {
	case strings.HasSuffix(r.URL.Path, "/repo/npm/left"):
		sum := sha512.Sum512(s.tgz)
		fmt.Fprintf(w, `{"name":"left","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"left","version":"1.0.0","dist":{"tarball":"%s/left/-/left-1.0.0.tgz","integrity":"sha512-%s"}}}}`,
			s.base, base64.StdEncoding.EncodeToString(sum[:]))
	case strings.HasSuffix(r.URL.Path, "/repo/npm/left/-/left-1.0.0.tgz"):
		_, _ = w.Write(s.tgz)
	default:
		http.NotFound(w, r)
	}
}

// TestMirror installs with npm from a registry below a prefix, on HTTP and on HTTPS.
// The job's side of a terminated host is HTTP/2 for a client that wants it.
func TestMirror(t *testing.T) {
	testenv.NeedRoot(t)
	testenv.NeedTool(t, "npm")
	nsenter, curl := testenv.NeedTool(t, "nsenter"), testenv.NeedTool(t, "curl")
	for _, base := range []string{"http://mirror.test:8081/repo/npm", "https://mirror.test/repo/npm"} {
		t.Run(base, func(t *testing.T) {
			outside := newRegistry(t, base)
			preset, err := Discover(t.Context(), "npm", func(context.Context, []string) ([]byte, error) {
				return fmt.Appendf(nil, `{"registry":%q}`, base+"/"), nil
			})
			if err != nil {
				t.Fatal(err)
			}
			j := openJob(t, func(c *Config) {
				c.Presets = []Preset{preset}
				c.Policy.Upstream.Hosts["mirror.test"] = serveOn(t, outside)
			})
			if strings.HasPrefix(base, "https") {
				j.n.gateway.dial.hosts["mirror.test"] = netip.MustParseAddrPort(serveTLSFor(t, j, outside))
			}
			dir := t.TempDir()
			script := `echo '{"name":"x","version":"1.0.0","dependencies":{"left":"1.0.0"}}' > package.json &&
				npm install --no-fund --no-audit && npm ci --no-fund --no-audit && test "$(node -p 'require("left")')" = 1`
			if out, err := runInside(t, nsenter, j.n, dir, script); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			out, err := runInside(t, nsenter, j.n, dir, curl+" -sS --http2 -o /dev/null -w '%{http_code} by %{http_version}' "+base+"/left")
			if want := map[bool]string{true: "200 by 2", false: "200 by 1.1"}[strings.HasPrefix(base, "https")]; err != nil || string(out) != want {
				t.Errorf("curl --http2: %v %s", err, out)
			}
			got := map[string]bool{}
			outside.asked.Range(func(k, _ any) bool { got[k.(string)] = true; return true })
			want := map[string]bool{"/repo/npm/left HTTP/1": true, "/repo/npm/left/-/left-1.0.0.tgz HTTP/1": true}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the mirror was asked (-want +got):\n%s", diff)
			}
			if !j.n.Complete() {
				t.Error("incomplete, though every request was seen")
			}
		})
	}
}
