// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// ask sends a message from inside the job and returns the answer.
func (j *job) ask(network string, m *dns.Msg) *dns.Msg {
	j.t.Helper()
	c := &dns.Conn{Conn: j.dial(network, "169.254.1.1:53")}
	if err := c.WriteMsg(m); err != nil {
		j.t.Fatal(err)
	}
	resp, err := c.ReadMsg()
	if err != nil {
		j.t.Fatal(err)
	}
	return resp
}

func TestResolver(t *testing.T) {
	question := func(name string, qtype uint16) *dns.Msg { return new(dns.Msg).SetQuestion(name, qtype) }
	padded := question("allowed.test.", dns.TypeA)
	padded.SetEdns0(4096, false)
	padded.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_PADDING{Padding: make([]byte, 400)}}
	chaos := question("version.bind.", dns.TypeTXT)
	chaos.Question[0].Qclass = dns.ClassCHAOS
	update := question("allowed.test.", dns.TypeA)
	update.Opcode = dns.OpcodeUpdate
	two := question("allowed.test.", dns.TypeA)
	two.Question = append(two.Question, two.Question[0])
	tests := []struct {
		name    string
		network string
		ask     *dns.Msg
		rcode   int
		answer  string
		want    Event
	}{
		{"allowed", "udp", question("allowed.test.", dns.TypeA), dns.RcodeSuccess, GatewayAddr, Event{Verdict: VerdictAllow, Host: "allowed.test", QType: "A"}},
		{"allowed, upper case", "udp", question("ALLOWED.Test.", dns.TypeA), dns.RcodeSuccess, GatewayAddr, Event{Verdict: VerdictAllow, Host: "allowed.test"}},
		{"allowed over TCP", "tcp", question("allowed.test.", dns.TypeA), dns.RcodeSuccess, GatewayAddr, Event{Verdict: VerdictAllow, Host: "allowed.test", Transport: "tcp"}},
		{"allowed, padded", "udp", padded, dns.RcodeSuccess, GatewayAddr, Event{Verdict: VerdictAllow, Host: "allowed.test"}},
		{"allowed AAAA", "udp", question("allowed.test.", dns.TypeAAAA), dns.RcodeSuccess, "", Event{Verdict: VerdictAllow, Host: "allowed.test", QType: "AAAA"}},
		{"allowed HTTPS", "udp", question("allowed.test.", dns.TypeHTTPS), dns.RcodeSuccess, "", Event{Verdict: VerdictAllow, Host: "allowed.test", QType: "HTTPS"}},
		{"wildcard", "udp", question("a.pkg.test.", dns.TypeA), dns.RcodeSuccess, GatewayAddr, Event{Verdict: VerdictAllow, Host: "a.pkg.test"}},
		{"denied", "udp", question("c2VjcmV0.evil.test.", dns.TypeA), dns.RcodeNameError, "", Event{Verdict: VerdictDeny, Host: "c2vjcmv0.evil.test", QType: "A", Reason: ReasonHost}},
		{"denied over TCP", "tcp", question("secret.evil.test.", dns.TypeA), dns.RcodeNameError, "", Event{Verdict: VerdictDeny, Host: "secret.evil.test", Transport: "tcp"}},
		{"below an exact name", "udp", question("secret.allowed.test.", dns.TypeA), dns.RcodeNameError, "", Event{Verdict: VerdictDeny, Host: "secret.allowed.test"}},
		{"apex of a wildcard", "udp", question("pkg.test.", dns.TypeA), dns.RcodeNameError, "", Event{Verdict: VerdictDeny, Host: "pkg.test"}},
		{"TXT", "udp", question("t.evil.test.", dns.TypeTXT), dns.RcodeNameError, "", Event{Verdict: VerdictDeny, QType: "TXT"}},
		{"ANY", "udp", question("t.evil.test.", dns.TypeANY), dns.RcodeNameError, "", Event{Verdict: VerdictDeny, QType: "ANY"}},
		{"NULL", "udp", question("t.evil.test.", dns.TypeNULL), dns.RcodeNameError, "", Event{Verdict: VerdictDeny, QType: "NULL"}},
		{"PTR", "udp", question("7.100.51.198.in-addr.arpa.", dns.TypePTR), dns.RcodeNameError, "", Event{Verdict: VerdictDeny, QType: "PTR"}},
		{"two questions", "udp", two, dns.RcodeFormatError, "", Event{Verdict: VerdictDeny, Reason: ReasonMalformed}},
		{"class", "udp", chaos, dns.RcodeFormatError, "", Event{Verdict: VerdictDeny, Reason: ReasonMalformed}},
		{"opcode", "udp", update, dns.RcodeNotImplemented, "", Event{Verdict: VerdictDeny, Reason: ReasonMalformed}},
	}
	j := openJob(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := j.ask(tt.network, tt.ask)
			if diff := cmp.Diff(tt.rcode, resp.Rcode); diff != "" {
				t.Errorf("rcode (-want +got):\n%s", diff)
			}
			var answer []string
			for _, rr := range resp.Answer {
				if rr.Header().Ttl > 60 {
					t.Errorf("TTL %d", rr.Header().Ttl)
				}
				answer = append(answer, rr.(*dns.A).A.String())
			}
			if diff := cmp.Diff(tt.answer, strings.Join(answer, " ")); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			tt.want.Door = DoorDNS
			j.want(tt.want)
		})
	}
	if e := j.want(Event{Door: DoorDNS, Verdict: VerdictDeny, Host: "secret.allowed.test"}); e.PID == 0 || e.Dst != "169.254.1.1:53" {
		t.Errorf("event without its process: %+v", e)
	}
	j.untouched()
}

// TestResolverPipelined sends an allowed and a denied question in one segment.
func TestResolverPipelined(t *testing.T) {
	j := openJob(t, nil)
	var segment []byte
	for _, name := range []string{"allowed.test.", "secret.evil.test."} {
		b, err := new(dns.Msg).SetQuestion(name, dns.TypeA).Pack()
		if err != nil {
			t.Fatal(err)
		}
		segment = append(append(segment, byte(len(b)>>8), byte(len(b))), b...)
	}
	c := &dns.Conn{Conn: j.dial("tcp", "169.254.1.1:53")}
	if _, err := c.Conn.Write(segment); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{dns.RcodeSuccess, dns.RcodeNameError} {
		resp, err := c.ReadMsg()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, resp.Rcode); diff != "" {
			t.Errorf("rcode (-want +got):\n%s", diff)
		}
	}
}

func TestWildcardNamesAreCapped(t *testing.T) {
	j := openJob(t, nil)
	for _, tt := range []struct {
		name  string
		rcode int
	}{{"a.pkg.test.", dns.RcodeSuccess}, {"b.pkg.test.", dns.RcodeSuccess}, {"c.pkg.test.", dns.RcodeNameError}, {"a.pkg.test.", dns.RcodeSuccess}} {
		resp := j.ask("udp", new(dns.Msg).SetQuestion(tt.name, dns.TypeA))
		if diff := cmp.Diff(tt.rcode, resp.Rcode); diff != "" {
			t.Errorf("%s: rcode (-want +got):\n%s", tt.name, diff)
		}
	}
	j.want(Event{Verdict: VerdictDeny, Door: DoorDNS, Host: "c.pkg.test", Reason: ReasonMaxNames})
}

// TestResolverRate floods the resolver with a bounded number of questions.
func TestResolverRate(t *testing.T) {
	j := openJob(t, func(c *Config) { c.Policy.Limits.DNSPerSecond = 5 })
	c := &dns.Conn{Conn: j.dial("udp", "169.254.1.1:53")}
	for range 50 {
		if err := c.WriteMsg(new(dns.Msg).SetQuestion("allowed.test.", dns.TypeA)); err != nil {
			t.Fatal(err)
		}
	}
	j.want(Event{Verdict: VerdictDeny, Door: DoorDNS, Reason: ReasonLimit})
}

func TestClosedPorts(t *testing.T) {
	tests := []struct {
		name    string
		network string
		dst     string
		want    Event
	}{
		{"TCP to an address", "tcp", "198.51.100.7:4444", Event{Door: DoorTCP, Reason: ReasonNoName}},
		{"DNS over TCP elsewhere", "tcp", "198.51.100.53:53", Event{Door: DoorTCP}},
		{"DNS over TLS", "tcp", "198.51.100.53:853", Event{Door: DoorTCP}},
		{"the proxy's port elsewhere", "tcp", "198.51.100.53:3128", Event{Door: DoorTCP}},
		{"TCP to the gateway", "tcp", "169.254.1.1:22", Event{Door: DoorTCP, Reason: ReasonPort}},
		{"TCP from an IPv6 socket", "tcp", "[::ffff:198.51.100.7]:4445", Event{Door: DoorTCP, Dst: "198.51.100.7:4445"}},
		{"metadata", "tcp", "169.254.169.254:81", Event{Door: DoorTCP}},
		{"a neighbour's address", "tcp", "169.254.1.3:4444", Event{}},
		{"UDP", "udp", "198.51.100.7:9999", Event{Door: DoorUDP, Reason: ReasonNoName}},
		{"DNS elsewhere", "udp", "198.51.100.53:53", Event{Door: DoorUDP}},
		{"QUIC", "udp", "198.51.100.7:443", Event{Door: DoorUDP}},
		{"QUIC to the gateway", "udp", "169.254.1.1:443", Event{Door: DoorUDP, Reason: ReasonPort}},
	}
	j := openJob(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := j.dialErr(tt.network, tt.dst)
			if tt.network == "udp" {
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if _, err := c.Write([]byte("secret")); err != nil {
					t.Fatal(err)
				}
				_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
				_, err = c.Read(make([]byte, 10))
			}
			if err == nil {
				t.Fatal("there is somebody")
			}
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				t.Errorf("not refused at once: %v", err)
			}
			if tt.want.Door == "" {
				return // the link itself says no: nobody has the address
			}
			tt.want.Verdict = VerdictDeny
			if tt.want.Dst == "" {
				tt.want.Dst = tt.dst
			}
			if e := j.want(tt.want); e.PID == 0 {
				t.Errorf("event without its process: %+v", e)
			}
		})
	}
	j.untouched()
}

// TestClosedPortsAtOnce makes more attempts than the kernel would answer by
// itself.
func TestClosedPortsAtOnce(t *testing.T) {
	j := openJob(t, nil)
	for range 30 {
		c, err := j.dialErr("tcp", "198.51.100.7:4444")
		if err == nil {
			c.Close()
			t.Fatal("there is somebody")
		}
		if !strings.Contains(err.Error(), "connection refused") {
			t.Fatalf("got %v", err)
		}
	}
}

func TestNoIPv6(t *testing.T) {
	j := openJob(t, nil)
	for _, addr := range []string{"[2001:db8::1]:443", "[fe80::1%eth0]:443"} {
		if c, err := j.dialErr("tcp", addr); err == nil {
			c.Close()
			t.Errorf("%s: there is somebody", addr)
		}
	}
	var l net.Listener
	err := j.inside(func() (err error) { // no capability is needed for port 80, but root has them all
		l, err = net.Listen("tcp", "[::1]:80")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, addr := range []string{"[::1]:80"} {
		c, err := j.dialErr("tcp", addr)
		if err != nil {
			t.Errorf("%s: %v", addr, err)
			continue
		}
		c.Close()
	}
}

func TestMulticast(t *testing.T) {
	j := openJob(t, nil)
	c := j.dial("udp", "224.0.0.251:5353")
	if _, err := c.Write([]byte("secret")); err != nil {
		t.Fatal(err)
	}
	j.want(Event{Verdict: VerdictDeny, Door: DoorUDP, Dst: "224.0.0.251:5353"})
}
