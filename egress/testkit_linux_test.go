// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zviz/run/internal/linux"
	"github.com/zviz/run/internal/testenv"
)

// sink is the outside: a server that counts what reaches it.
type sink struct {
	addr     string // of TLS
	plain    string
	roots    []byte
	ca       *jobCA
	bytes    atomic.Int64
	conns    atomic.Int64
	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
	wait     func(*http.Request) // may hold an answer back
	answer   http.HandlerFunc    // in the place of what it says else
}

// countedConn counts the bytes that the outside gets.
type countedConn struct {
	net.Conn
	s *sink
}

func (c countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.s.bytes.Add(int64(n))
	return n, err
}

type countedListener struct {
	net.Listener
	s *sink
}

func (l countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.s.conns.Add(1)
	return countedConn{c, l.s}, nil
}

func newSink(t *testing.T, hosts ...string) *sink {
	t.Helper()
	s := &sink{}
	ca, err := newJobCA("sink", hosts)
	if err != nil {
		t.Fatal(err)
	}
	s.ca, s.roots = ca, ca.pem
	s.addr = s.serve(t, &tls.Config{
		GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return ca.leaf(strings.TrimSuffix(h.ServerName, "."))
		},
	})
	s.plain = s.serve(t, nil)
	return s
}

func (s *sink) serve(t *testing.T, config *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(s)
	server.Listener.Close()
	server.Listener = countedListener{l, s}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	if config == nil {
		server.Start()
	} else {
		server.TLS = config
		server.EnableHTTP2 = true
		server.StartTLS()
	}
	t.Cleanup(server.Close)
	return l.Addr().String()
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.requests = append(s.requests, r)
	s.bodies = append(s.bodies, string(body))
	s.mu.Unlock()
	if s.wait != nil {
		s.wait(r)
	}
	if s.answer != nil {
		s.answer(w, r)
		return
	}
	w.Header().Set("Alt-Svc", `h3=":443"`)
	if strings.HasPrefix(r.URL.Path, "/redirect") {
		http.Redirect(w, r, "https://elsewhere.test/x", http.StatusFound)
		return
	}
	if r.Header.Get("Upgrade") != "" {
		w.WriteHeader(http.StatusSwitchingProtocols)
		return
	}
	_, _ = io.WriteString(w, "hello from "+r.Host+r.URL.Path)
}

func (s *sink) seen() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.requests...)
}

// job is the inside: what it dials is dialled in the job's namespace.
type job struct {
	t    *testing.T
	n    *Network
	ns   *os.File
	sink *sink

	mu     sync.Mutex
	events []Event
}

// openJob opens a network. The names allowed.test and other-allowed.test are
// spliced, preset.test and *.pkg.test are a preset's. All
// of them and some more lead to the sink.
func openJob(t *testing.T, change func(*Config)) *job {
	t.Helper()
	testenv.NeedRoot(t)
	s := newSink(t, "allowed.test", "other-allowed.test", "preset.test", "pkg.test", "evil.test", "audit.test", "mirror.test")
	j := &job{t: t, sink: s}
	hosts := map[string]string{}
	for _, h := range []string{"allowed.test", "other-allowed.test", "preset.test", "a.pkg.test", "b.pkg.test", "c.pkg.test", "evil.test", "audit.test"} {
		hosts[h] = s.addr
	}
	for _, h := range []string{"plain.test", "plain-preset.test"} {
		hosts[h] = s.plain
	}
	cfg := Config{
		ID: "j1",
		Policy: Policy{
			Rules: []Rule{
				{Host: "allowed.test"},
				{Host: "other-allowed.test"},
				{Host: "plain.test", Ports: []uint16{80, 8080}},
			},
			Deny:     []string{"denied.pkg.test"},
			Upstream: Upstream{Hosts: hosts},
		},
		Presets: []Preset{{Name: "npm", Rules: []Rule{
			{Host: "preset.test"}, {Host: "*.pkg.test", MaxNames: 2}, {Host: "plain-preset.test", Ports: []uint16{80}},
		}}},
		Roots:     s.roots,
		Observe:   j.observe,
		Processes: func() []int { return []int{os.Getpid()} },
		patience:  10 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	n, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	if j.ns, err = os.Open(n.Path()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.ns.Close() })
	j.n = n
	return j
}

func (j *job) observe(e Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

// inside runs fn on a thread in the job's namespace.
func (j *job) inside(fn func() error) error {
	return linux.OnDiscardedThread(func() error {
		if err := linux.SetNetNS(j.ns); err != nil {
			return err
		}
		return fn()
	})
}

// dialErr connects from inside the job; addr is an address.
func (j *job) dialErr(network, addr string) (conn net.Conn, err error) {
	err = j.inside(func() error {
		conn, err = (&net.Dialer{Timeout: 5 * time.Second}).Dial(network, addr)
		return err
	})
	return conn, err
}

func (j *job) dial(network, addr string) net.Conn {
	j.t.Helper()
	c, err := j.dialErr(network, addr)
	if err != nil {
		j.t.Fatalf("dial %s: %v", addr, err)
	}
	j.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// pool is what a tool in the job trusts.
func (j *job) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AppendCertsFromPEM(j.n.Files().CABundle)
	return p
}

// client is a tool of the job: every name is at addr.
func (j *job) client(addr string, h2 bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2)
	protocols.SetHTTP2(h2)
	tr := &http.Transport{
		DialContext:     func(context.Context, string, string) (net.Conn, error) { return j.dialErr("tcp", addr) },
		TLSClientConfig: &tls.Config{RootCAs: j.pool()},
		Protocols:       protocols,
	}
	j.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{
		Transport:     tr,
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// do sends a request and returns status and body.
func do(t *testing.T, c *http.Client, r *http.Request) (int, string) {
	t.Helper()
	resp, err := c.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	return resp.StatusCode, string(body)
}

// want waits for an event that is like e in every field that e sets of those
// that tests care about.
func (j *job) want(e Event) Event {
	j.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		j.mu.Lock()
		for _, got := range j.events {
			if like(e, got) {
				j.mu.Unlock()
				if got.Type != "egress" || got.Job != "j1" || got.Time.IsZero() {
					j.t.Errorf("event without its frame: %+v", got)
				}
				return got
			}
		}
		all := append([]Event(nil), j.events...)
		j.mu.Unlock()
		if time.Now().After(deadline) {
			j.t.Fatalf("no event like %+v\nin %+v", e, all)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func like(want, got Event) bool {
	same := func(w, g string) bool { return w == "" || w == g }
	return same(string(want.Verdict), string(got.Verdict)) && same(string(want.Door), string(got.Door)) &&
		same(want.Host, got.Host) && same(want.Dst, got.Dst) && same(want.Reason, got.Reason) &&
		same(want.Method, got.Method) && same(want.Path, got.Path) && same(want.QType, got.QType) &&
		same(want.Transport, got.Transport) && same(want.Rule, got.Rule) && same(want.Proto, got.Proto) &&
		(want.Port == 0 || want.Port == got.Port)
}

// untouched checks that the outside got nothing.
func (j *job) untouched() {
	j.t.Helper()
	if n, c := j.sink.bytes.Load(), j.sink.conns.Load(); n != 0 || c != 0 {
		j.t.Errorf("the outside got %d bytes in %d connections", n, c)
	}
}

// soon is when a test gives up on an answer that must come at once.
func soon() time.Time { return time.Now().Add(10 * time.Second) }

// pipe returns two ends of a connection over loopback.
func pipe(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp4", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}
