// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// replaceName puts another server name of the same length into a ClientHello.
func replaceName(raw []byte, from, to string) []byte {
	return bytes.Replace(raw, []byte(from), []byte(to), 1)
}

func TestTLSDoorRefuses(t *testing.T) {
	named := func(name string) []byte {
		return recordHello(t, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	}
	nameless := recordHello(t, &tls.Config{InsecureSkipVerify: true})
	huge := []byte{22, 3, 1, 0x40, 0, 1, 1, 0, 0}
	huge = append(huge, make([]byte, 5+0x4000-len(huge))...)
	tests := []struct {
		name  string
		dst   string
		send  []byte
		alert byte // 0: none, the connection just ends
		want  Event
	}{
		{"denied SNI", "169.254.1.1:443", named("secret.evil.test"), alertUnrecognizedName, Event{Host: "secret.evil.test", Reason: ReasonHost}},
		{"denied SNI to an address", "198.51.100.7:443", named("secret.evil.test"), alertUnrecognizedName, Event{Host: "secret.evil.test", Dst: "198.51.100.7:443", Reason: ReasonHost}},
		{"no SNI", "198.51.100.7:443", nameless, alertUnrecognizedName, Event{Dst: "198.51.100.7:443", Reason: ReasonNoSNI}},
		{"below an exact name", "169.254.1.1:443", named("secret.allowed.test"), alertUnrecognizedName, Event{Host: "secret.allowed.test", Reason: ReasonHost}},
		{"apex of a wildcard", "169.254.1.1:443", named("pkg.test"), alertUnrecognizedName, Event{Host: "pkg.test", Reason: ReasonHost}},
		{"denied below a wildcard", "169.254.1.1:443", named("denied.pkg.test"), alertUnrecognizedName, Event{Host: "denied.pkg.test", Reason: ReasonDenied}},
		{"NUL in SNI", "169.254.1.1:443", replaceName(named("allowed.testx.evil.test"), "allowed.testx.", "allowed.test\x00."), alertDecodeError, Event{Reason: ReasonMalformed}},
		{"address as SNI", "169.254.1.1:443", replaceName(named("aaaaaaa.test"), "aaaaaaa.test", "198.51.100.7"), alertUnrecognizedName, Event{Reason: ReasonIPLiteral}},
		{"homoglyph in punycode", "169.254.1.1:443", named("xn--llowed-4nf.test"), alertUnrecognizedName, Event{Host: "xn--llowed-4nf.test", Reason: ReasonHost}},
		{"fragmented", "169.254.1.1:443", cut(named("evil.test"), 80), alertUnrecognizedName, Event{Host: "evil.test", Reason: ReasonHost}},
		{"too large", "169.254.1.1:443", huge, 0, Event{Reason: ReasonHelloLarge}},
		{"not TLS", "169.254.1.1:443", []byte("SSH-2.0-OpenSSH_9.9\r\n"), 0, Event{Reason: ReasonNotTLS}},
		{"other port", "169.254.1.1:8080", named("allowed.test"), alertUnrecognizedName, Event{Host: "allowed.test", Port: 8080, Reason: ReasonPort}},
	}
	j := openJob(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := j.dial("tcp", tt.dst)
			if _, err := c.Write(tt.send); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(c)
			if err != nil && !isReset(err) {
				t.Fatal(err)
			}
			var want []byte
			if tt.alert != 0 {
				want = tlsAlert(tt.alert)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			tt.want.Verdict, tt.want.Door = VerdictDeny, DoorTLS
			e := j.want(tt.want)
			if e.Argv0 == "" || e.PID == 0 || e.Exe == "" || len(e.Chain) == 0 {
				t.Errorf("event without its process: %+v", e)
			}
		})
	}
	j.untouched()
	if !j.n.Complete() {
		t.Error("incomplete, though nothing left")
	}
}

func isReset(err error) bool {
	_, ok := errors.AsType[*net.OpError](err)
	return ok && !errors.Is(err, io.ErrUnexpectedEOF)
}

func TestTLSDoorSplices(t *testing.T) {
	tests := []struct {
		name string
		dst  string
		sni  string
		host string
	}{
		{"by the resolver's answer", "169.254.1.1:443", "allowed.test", "allowed.test"},
		{"at a foreign address", "198.51.100.7:443", "allowed.test", "allowed.test"},
		{"upper case", "169.254.1.1:443", "OTHER-ALLOWED.TEST", "other-allowed.test"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := openJob(t, nil)
			c := tls.Client(j.dial("tcp", tt.dst), &tls.Config{ServerName: tt.sni, RootCAs: j.pool()})
			_, _ = io.WriteString(c, "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			body, err := io.ReadAll(c)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(body), "hello from x/a") {
				t.Errorf("got %q", body)
			}
			c.Close()
			e := j.want(Event{Verdict: VerdictAllow, Door: DoorTLS, Host: tt.host, Dst: tt.dst})
			if e.Up == 0 || e.Down == 0 || !e.Opaque {
				t.Errorf("event %+v", e)
			}
			if j.n.Complete() {
				t.Error("complete, though spliced")
			}
		})
	}
}

// TestTLSDoorFragments sends a ClientHello in many records and segments.
func TestTLSDoorFragments(t *testing.T) {
	j := openJob(t, nil)
	raw := cut(recordHello(t, &tls.Config{ServerName: "allowed.test"}), 80)
	c := j.dial("tcp", "169.254.1.1:443").(*net.TCPConn)
	if err := c.SetNoDelay(true); err != nil {
		t.Fatal(err)
	}
	for _, b := range raw {
		if _, err := c.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	answer := make([]byte, 6)
	if _, err := io.ReadFull(c, answer); err != nil {
		t.Fatal(err)
	}
	if answer[0] != 22 || answer[5] != 2 { // a ServerHello
		t.Errorf("answer % x", answer)
	}
}

func TestTLSDoorSlowHello(t *testing.T) {
	j := openJob(t, func(c *Config) { c.Policy.Limits.HelloTimeout = 100 * time.Millisecond })
	c := j.dial("tcp", "169.254.1.1:443")
	if _, err := c.Write([]byte{22, 3, 1}); err != nil && !isReset(err) { // too late even for that
		t.Fatal(err)
	}
	if _, err := io.ReadAll(c); err != nil && !isReset(err) {
		t.Fatal(err)
	}
	j.want(Event{Verdict: VerdictDeny, Door: DoorTLS, Reason: ReasonHelloTimeout})
	j.untouched()
}

func TestTLSDoorECH(t *testing.T) {
	j := openJob(t, nil)
	raw := recordHello(t, &tls.Config{ServerName: "allowed.test"})
	// One more extension, of the type of ECH: lengths of record, message and list grow by 4.
	for _, at := range []int{3, 7} {
		n := int(raw[at])<<8 + int(raw[at+1]) + 4
		raw[at], raw[at+1] = byte(n>>8), byte(n)
	}
	at := 9 + 2 + 32
	at += 1 + int(raw[at])
	at += 2 + int(raw[at])<<8 + int(raw[at+1])
	at += 1 + int(raw[at])
	n := int(raw[at])<<8 + int(raw[at+1]) + 4
	raw[at], raw[at+1] = byte(n>>8), byte(n)
	raw = append(raw, 0xfe, 0x0d, 0, 0)
	c := j.dial("tcp", "169.254.1.1:443")
	if _, err := c.Write(raw); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(c); err != nil && !isReset(err) {
		t.Fatal(err)
	}
	j.want(Event{Verdict: VerdictDeny, Door: DoorTLS, Host: "allowed.test", Reason: ReasonECH})
	j.untouched()
}

func TestPrivateAddressIsNotDialled(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "10.0.0.5", "169.254.169.254", "::1", "0.0.0.0", "::ffff:127.0.0.1", "100.64.0.1", "fe80::1"} {
		t.Run(addr, func(t *testing.T) {
			j := openJob(t, func(c *Config) {
				c.Policy.Upstream.DNS = dnsServer(t, addr)
				c.Policy.Rules = append(c.Policy.Rules, Rule{Host: "rebind.test"})
			})
			c := tls.Client(j.dial("tcp", "169.254.1.1:443"), &tls.Config{ServerName: "rebind.test", InsecureSkipVerify: true})
			if err := c.Handshake(); err == nil {
				t.Error("handshake with an address that is not global")
			}
			j.want(Event{Verdict: VerdictDeny, Door: DoorTLS, Host: "rebind.test", Reason: ReasonPrivate})
			status, _ := do(t, j.client("169.254.1.1:80", false), get(t, "http://rebind.test/"))
			if diff := cmp.Diff(http.StatusBadGateway, status); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
			j.want(Event{Verdict: VerdictDeny, Door: DoorHTTP, Host: "rebind.test", Reason: ReasonPrivate})
			j.untouched()
		})
	}
}

// TestPrivateRule dials loopback because the rule says so.
func TestPrivateRule(t *testing.T) {
	outside := newSink(t)
	ap := netip.MustParseAddrPort(outside.plain)
	j := openJob(t, func(c *Config) {
		c.Policy.Upstream.DNS = dnsServer(t, ap.Addr().String())
		c.Policy.Rules = []Rule{{Host: "near.test", Ports: []uint16{ap.Port()}, Private: true}}
	})
	at := netip.AddrPortFrom(netip.MustParseAddr(GatewayAddr), ap.Port()).String()
	status, body := do(t, j.client(at, false), get(t, "http://near.test:"+strconv.Itoa(int(ap.Port()))+"/"))
	if status != http.StatusOK {
		t.Errorf("got %d %q", status, body)
	}
}

// dnsServer is the outside's resolver: every name is at addr.
func dnsServer(t *testing.T, addr string) string {
	t.Helper()
	ip := netip.MustParseAddr(addr)
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg).SetReply(r)
		header := dns.RR_Header{Name: r.Question[0].Name, Class: dns.ClassINET, Rrtype: r.Question[0].Qtype}
		switch {
		case r.Question[0].Qtype == dns.TypeA && ip.Is4():
			m.Answer = []dns.RR{&dns.A{Hdr: header, A: ip.AsSlice()}}
		case r.Question[0].Qtype == dns.TypeAAAA && ip.Is6():
			m.Answer = []dns.RR{&dns.AAAA{Hdr: header, AAAA: ip.AsSlice()}}
		}
		_ = w.WriteMsg(m)
	})}
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.ActivateAndServe() })
	t.Cleanup(func() { pc.Close(); wg.Wait() })
	return pc.LocalAddr().String()
}

func get(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAudit(t *testing.T) {
	j := openJob(t, func(c *Config) { c.Policy.Mode = ModeAudit })
	if status, body := do(t, j.client("198.51.100.7:443", false), get(t, "https://audit.test/x")); status != 200 {
		t.Errorf("got %d %q", status, body)
	}
	j.client("", false).CloseIdleConnections()
	r := get(t, "https://preset.test/evil")
	r.Method = http.MethodPut
	if status, body := do(t, j.client("169.254.1.1:443", false), r); status != 200 {
		t.Errorf("got %d %q", status, body)
	}
	j.want(Event{Verdict: VerdictWouldDeny, Door: DoorHTTP, Host: "preset.test", Reason: ReasonMethod})
	if err := j.n.Close(); err != nil { // ends the idle spliced connection, which makes its event
		t.Error(err)
	}
	j.want(Event{Verdict: VerdictWouldDeny, Door: DoorTLS, Host: "audit.test", Reason: ReasonHost})
}

// In audit and learn a name that is hidden is let through and told of, as all else.
func TestECHInAudit(t *testing.T) {
	for mode, verdict := range map[Mode]Verdict{ModeAudit: VerdictWouldDeny, ModeLearn: VerdictLearned} {
		for _, host := range []string{"evil.test", "allowed.test"} {
			j := openJob(t, func(c *Config) { c.Policy.Mode, c.Policy.Deny = mode, nil })
			if !j.serverHello("169.254.1.1:443", withExtension(helloFor(t, host), extensionECH, nil), false) {
				t.Errorf("%s: %s is not served", mode, host)
			}
			j.want(Event{Verdict: verdict, Door: DoorTLS, Host: host, Reason: ReasonECH})
		}
	}
	for name, change := range map[string]func(*Policy){
		"a policy that narrows": func(p *Policy) { *p = Intersect(*p, Policy{Rules: p.Rules}) },
		"a host that is denied": func(p *Policy) { p.Deny = []string{"other.test"} },
	} {
		j := openJob(t, func(c *Config) {
			c.Policy.Mode, c.Policy.Deny = ModeAudit, nil
			change(&c.Policy)
		})
		if b := j.says("169.254.1.1:443", withExtension(helloFor(t, "allowed.test"), extensionECH, nil)); len(b) > 0 && b[0] != recordAlert {
			t.Errorf("%s: %q", name, b)
		}
		j.want(Event{Verdict: VerdictDeny, Door: DoorTLS, Host: "allowed.test", Reason: ReasonECH})
		j.untouched()
	}
}
