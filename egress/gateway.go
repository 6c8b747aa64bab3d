// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zviz/run/internal/canary"
)

// gateway serves the doors of one job.
type gateway struct {
	limits   Limits
	policies *policies
	filters  []Filter
	// credentials is the last of them.
	credentials *injector
	packages    Packages // nil if the registries themselves are asked
	registries  map[string][]Registry
	budget      budget
	virtual     virtual
	rec         *recorder
	dial        *dialer
	ca          *jobCA // nil if no host is terminated
	web         *web
	services    []*service
	roots       func() *x509.CertPool // parsed when first needed
	log         *slog.Logger
	lacks       []error // credentials of presets that could not be read

	// canaries finds planted credentials; nil if there are none.
	canaries func() *canary.Finder

	// who finds the process behind a packet or connection of the job.
	who func(proto uint8, src, dst netip.AddrPort) origin

	ports  []uint16 // that have a door
	signed []string // the names that the job's CA is for

	opaque   atomic.Bool
	patience time.Duration // with which one waits for a slot
	hellos   chan struct{} // connections that have not said yet what they want
	conns    connSet
	passages passages
	wg       sync.WaitGroup
}

// origin is who asked, as far as it could be seen.
type origin struct {
	Process
	Package
	step string // the id of the one that ran when the connection was made
}

// visit is one connection of the job.
type visit struct {
	conn     *net.TCPConn
	src, dst netip.AddrPort
	door     Door
	start    time.Time
	step     string // that ran when it was made
	stepID   string
	origin   origin
	slot     *slot
}

// whose looks for the process that made the connection.
func (g *gateway) whose(v *visit) origin {
	o := g.who(protoTCP, v.src, v.dst)
	o.step = v.stepID
	return o
}

// event begins an event about the connection.
func (v *visit) event(door Door) Event {
	return Event{
		Time: v.start, Step: v.step, Door: door, Port: v.dst.Port(), Dst: v.dst.String(), Rule: "default",
		Process: v.origin.Process, Package: v.origin.Package,
	}
}

// protoTCP and protoUDP are IPPROTO_TCP and IPPROTO_UDP.
const (
	protoTCP = 6
	protoUDP = 17
)

// serve accepts connections until the listener is closed. Each is served on a
// goroutine of its own; a panic costs that connection only.
func (g *gateway) serve(ctx context.Context, l *net.TCPListener, door Door, handle func(context.Context, *visit)) {
	for {
		conn, err := l.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors: it may pass
			g.log.LogAttrs(ctx, slog.LevelWarn, "accept", slog.String("door", string(door)), slog.Any("err", err))
			select {
			case <-ctx.Done():
				return
			case <-time.After(20 * time.Millisecond):
				continue
			}
		}
		v := &visit{conn: conn, door: door, start: time.Now(), src: tcpAddr(conn.RemoteAddr()), dst: tcpAddr(conn.LocalAddr())}
		v.stepID, v.step = g.policies.now()
		if !g.conns.add(conn) {
			reset(conn)
			g.rec.emit(limited(v.event(door), "connections", g.limits.Connections))
			continue
		}
		v.slot = &slot{of: g.hellos}
		v.slot.take() // in the order of their coming, as long as there are some
		g.wg.Go(func() {
			defer g.conns.remove(conn)
			if !v.slot.wait(ctx, g.patience) {
				reset(conn)
				g.rec.emit(limited(v.event(door), "handshakes", g.limits.Handshakes))
				return
			}
			defer v.slot.give()
			defer g.survive(ctx, door)
			if door == DoorConnect || !g.tcp(ctx, v) {
				handle(ctx, v)
			}
		})
	}
}

// survive, deferred, makes a panic cost what was being served and nothing else: a
// runner may hold other jobs.
func (g *gateway) survive(ctx context.Context, door Door) {
	if r := recover(); r != nil {
		g.log.LogAttrs(ctx, slog.LevelError, "bug: panic in a door, please report", slog.String("door", string(door)), slog.Any("panic", r))
	}
}

// deny records a refusal of the connection.
func (g *gateway) deny(v *visit, e Event, d decision) {
	e.Verdict, e.Reason, e.Rule = VerdictDeny, d.reason, d.rule
	if e.Rule == "" {
		e.Rule = "default"
	}
	if e.Hint == "" {
		e.Hint = fix(e)
	}
	e.MS = time.Since(v.start).Milliseconds()
	g.rec.emit(e)
}

func tcpAddr(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// reset closes a connection so that the client sees it at once.
func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0) // best effort on a connection that goes away
	shut(conn)
}

// shut closes something of which nothing can be done if that fails.
func shut(c io.Closer) { _ = c.Close() }

// farewell writes the last words and closes so that they arrive: closing with
// unread data would reset the connection and destroy them (RFC 9293 section 3.10.4).
func farewell(conn *net.TCPConn, words []byte) {
	defer shut(conn)
	_ = conn.SetDeadline(time.Now().Add(200 * time.Millisecond))
	if len(words) > 0 {
		if _, err := conn.Write(words); err != nil {
			return
		}
	}
	if err := conn.CloseWrite(); err != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, conn, 64<<10) // until the client hangs up, or enough
}

// connSet holds the open connections of a job, so that they can be capped and cut.
type connSet struct {
	most int

	mu     sync.Mutex
	conns  map[*net.TCPConn]struct{}
	closed bool
}

func (s *connSet) add(c *net.TCPConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= s.most {
		return false
	}
	if s.conns == nil {
		s.conns = map[*net.TCPConn]struct{}{}
	}
	s.conns[c] = struct{}{}
	return true
}

// remove closes the connection and forgets it.
func (s *connSet) remove(c *net.TCPConn) {
	shut(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// cut ends every connection and lets none in any more.
func (s *connSet) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.conns {
		reset(c)
	}
}
