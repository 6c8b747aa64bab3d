// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	dnsTTL     = 60  // seconds
	dnsStreams = 32  // TCP connections
	dnsMost    = 512 // bytes of an answer, RFC 1035 section 4.2.1: no answer of ours is near it
)

// resolver answers allowed names with the gateway's own address. It never asks
// anybody, so a question carries nothing out (threats 5 to 8).
type resolver struct {
	g       *gateway
	bucket  bucket
	mu      sync.Mutex
	told    map[string]bool // allowed questions that made an event already
	servers []*dns.Server
}

func newResolver(g *gateway) *resolver {
	return &resolver{g: g, bucket: bucket{perSecond: g.limits.DNSPerSecond}, told: map[string]bool{}}
}

// run serves until close.
func (r *resolver) run(ctx context.Context, udp *net.UDPConn, tcp net.Listener) {
	tcpLimited := &limitListener{Listener: tcp, slots: make(chan struct{}, dnsStreams), over: func() {
		e := limited(Event{Door: DoorDNS, Transport: "tcp"}, "", 0)
		e.Hint = "at most " + strconv.Itoa(dnsStreams) + " connections at the same time are served"
		r.g.rec.emit(e)
	}}
	for _, s := range []*dns.Server{
		{PacketConn: pacedConn{udp, r}, Handler: r, MsgAcceptFunc: r.accept, MsgInvalidFunc: r.invalid, UDPSize: 4096},
		{Listener: tcpLimited, Handler: r, MsgAcceptFunc: r.accept, MsgInvalidFunc: r.invalid, MaxTCPQueries: 128, ReadTimeout: 5 * time.Second},
	} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		failed := make(chan struct{})
		r.g.wg.Go(func() {
			defer close(failed)
			if err := s.ActivateAndServe(); err != nil {
				r.g.log.LogAttrs(ctx, slog.LevelDebug, "resolver", slog.Any("err", err))
			}
		})
		select { // Shutdown of a server that has not started does nothing
		case <-started:
		case <-failed:
		}
		r.servers = append(r.servers, s)
	}
}

func (r *resolver) close() {
	ctx, cancel := context.WithTimeoutCause(context.Background(), time.Second, net.ErrClosed)
	defer cancel()
	for _, s := range r.servers {
		_ = s.ShutdownContext(ctx) // its sockets are closed by the cell as well
	}
}

// accept refuses what is no plain question before it is parsed.
func (r *resolver) accept(h dns.Header) dns.MsgAcceptAction {
	const response, opcode = 1 << 15, 0xf << 11
	switch {
	case h.Bits&response != 0:
		return dns.MsgIgnore
	case h.Bits&opcode != 0:
		r.malformed()
		return dns.MsgRejectNotImplemented
	case h.Qdcount != 1 || h.Ancount != 0 || h.Nscount != 0 || h.Arcount > 2:
		r.malformed()
		return dns.MsgReject
	default:
		return dns.MsgAccept
	}
}

func (r *resolver) invalid([]byte, error) { r.malformed() }

func (r *resolver) malformed() {
	r.g.rec.emit(Event{Door: DoorDNS, Verdict: VerdictDeny, Rule: "default", Reason: ReasonMalformed})
}

// ServeDNS answers one question.
func (r *resolver) ServeDNS(w dns.ResponseWriter, req *dns.Msg) {
	defer r.g.survive(context.Background(), DoorDNS)
	start := time.Now()
	local, remote := addrPort(w.LocalAddr()), addrPort(w.RemoteAddr())
	proto := uint8(protoUDP) // of which each was let in by pacedConn
	if w.LocalAddr().Network() == "tcp" {
		if proto = protoTCP; !r.admit(start) {
			return
		}
	}
	var o origin
	many := r.g.policies.many()
	if many {
		o = r.g.who(proto, remote, local)
	}
	resp, e := r.answer(req, o)
	e.Time, e.Dst, e.Transport = start, local.String(), w.LocalAddr().Network()
	if e.Verdict == VerdictDeny || r.first(e) {
		if !many {
			o = r.g.who(proto, remote, local) // before the answer: then it is gone
		}
		e.by(o)
		r.g.rec.emit(e)
	}
	_ = w.WriteMsg(resp) // the client may be gone
}

// admit reports whether one more question is answered. Else there is silence: the
// client tries again later.
func (r *resolver) admit(now time.Time) bool {
	if r.bucket.take(now) {
		return true
	}
	r.g.rec.emit(limited(Event{Door: DoorDNS}, "dns_per_second", r.g.limits.DNSPerSecond))
	return false
}

// pacedConn drops packets that are too many where they are read: the server starts a
// goroutine for each one that it gets, and a flood would be a hundred thousand of them.
type pacedConn struct {
	*net.UDPConn
	r *resolver
}

func (c pacedConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err != nil {
			return n, nil, err
		}
		if c.r.admit(time.Now()) {
			return n, net.UDPAddrFromAddrPort(from), nil
		}
	}
}

// first reports whether the question was not told of yet. Allowed ones are
// repeated for every connection and would drown the rest.
func (r *resolver) first(e Event) bool {
	key := e.Host + " " + e.QType + " " + e.Transport + " " + string(e.Verdict)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told[key] || len(r.told) >= 4096 {
		return false
	}
	r.told[key] = true
	return true
}

// answer makes the answer to a message of a process and the event about it.
func (r *resolver) answer(req *dns.Msg, o origin) (*dns.Msg, Event) {
	e := Event{Door: DoorDNS, Verdict: VerdictDeny, Rule: "default", Reason: ReasonMalformed}
	resp := new(dns.Msg)
	if req.Response || req.Opcode != dns.OpcodeQuery || len(req.Question) != 1 || req.Question[0].Qclass != dns.ClassINET {
		return resp.SetRcodeFormatError(req), e
	}
	q := req.Question[0]
	e.QType = dns.Type(q.Qtype).String()
	resp.SetReply(req)
	resp.Authoritative, resp.RecursionAvailable = true, true
	if req.IsEdns0() != nil {
		resp.SetEdns0(dnsMost, false)
	}
	host, err := normalizeHost(q.Name)
	if err != nil {
		e.Host = clip(q.Name)
		resp.Rcode = dns.RcodeNameError
		return resp, e
	}
	d := r.g.policies.host(o, host, 0)
	if base, ok := serviceOf(host); ok && d.denied() && d.reason == ReasonHost && !r.g.policies.host(o, base, 0).denied() {
		// apt and others ask where a service of an allowed host is: nowhere else.
		d.verdict, d.reason = VerdictNote, ReasonService
		resp.Rcode = dns.RcodeNameError
		e.Host, e.Verdict, e.Reason, e.Rule = host, d.verdict, d.reason, d.rule
		return resp, e
	}
	e.Host, e.Verdict, e.Reason, e.Rule = host, d.verdict, d.reason, d.rule
	e.Hint = fix(e)
	if d.denied() {
		resp.Rcode = dns.RcodeNameError
		return resp, e
	}
	header := dns.RR_Header{Name: q.Name, Class: dns.ClassINET, Ttl: dnsTTL}
	if q.Qtype == dns.TypeA {
		header.Rrtype = dns.TypeA
		addr := net.ParseIP(GatewayAddr)
		if slices.ContainsFunc(d.rules, func(r Rule) bool { return r.Protocol == ProtocolTCP }) {
			own, ok := r.g.virtual.addr(host)
			if !ok {
				resp.Rcode = dns.RcodeServerFailure
				return resp, e
			}
			addr = own.AsSlice()
		}
		resp.Answer = []dns.RR{&dns.A{Hdr: header, A: addr}}
		return resp, e
	}
	// No data. HTTPS and SVCB stay empty too: without a key there is no ECH (threat 13).
	header.Rrtype = dns.TypeSOA
	resp.Ns = []dns.RR{&dns.SOA{Hdr: header, Ns: ".", Mbox: ".", Serial: 1, Refresh: dnsTTL, Retry: dnsTTL, Expire: dnsTTL, Minttl: dnsTTL}}
	return resp, e
}

// serviceOf returns the host of "_service._proto.host" (RFC 2782).
func serviceOf(name string) (host string, ok bool) {
	service, rest, _ := strings.Cut(name, ".")
	proto, host, ok := strings.Cut(rest, ".")
	return host, ok && strings.HasPrefix(service, "_") && (proto == "_tcp" || proto == "_udp")
}

func addrPort(a net.Addr) netip.AddrPort {
	if u, ok := a.(*net.UDPAddr); ok {
		ap := u.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return tcpAddr(a)
}

// limitListener caps how many connections are open; what is over is closed.
type limitListener struct {
	net.Listener
	slots chan struct{}
	over  func() // called for each one that is closed
}

func (l *limitListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.slots <- struct{}{}:
			return &limitedConn{Conn: c, slots: l.slots}, nil
		default:
			shut(c)
			l.over()
		}
	}
}

type limitedConn struct {
	net.Conn
	slots chan struct{}
	once  sync.Once
}

func (c *limitedConn) Close() error {
	c.once.Do(func() { <-c.slots })
	return c.Conn.Close()
}

// bucket is a token bucket that holds one second's worth.
type bucket struct {
	perSecond int

	mu     sync.Mutex
	tokens float64
	last   time.Time
}

func (b *bucket) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.last.IsZero() {
		b.tokens = float64(b.perSecond)
	} else {
		b.tokens = min(float64(b.perSecond), b.tokens+now.Sub(b.last).Seconds()*float64(b.perSecond))
	}
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
