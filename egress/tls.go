// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// serveTLS is the transparent door for TLS: it reads the ClientHello and judges
// the name in it.
func (g *gateway) serveTLS(ctx context.Context, v *visit) { g.tls(ctx, v, nil, authority{}) }

// tls judges a connection by its ClientHello. initial was read from it already;
// want is what a CONNECT was for, or nothing.
func (g *gateway) tls(ctx context.Context, v *visit, initial []byte, want authority) {
	if !v.slot.wait(ctx, g.patience) { // after a CONNECT it was given back
		g.rec.emit(limited(v.event(v.door), "handshakes", g.limits.Handshakes))
		reset(v.conn)
		return
	}
	_ = v.conn.SetReadDeadline(time.Now().Add(g.limits.HelloTimeout)) // if it fails, so does the read
	rest := bytes.NewReader(initial)
	raw, h, err := readHello(io.MultiReader(rest, v.conn))
	raw = append(raw, initial[len(initial)-rest.Len():]...)
	_ = v.conn.SetReadDeadline(time.Time{})
	v.origin = g.whose(v)
	e := v.event(v.door)
	if want.host != "" {
		e.Host, e.Port = want.host, want.port
	}
	if err != nil {
		v.slot.give()
		g.refuseHello(v, e, err)
		return
	}
	to, d := g.judgeHello(v, &e, h, want)
	if d.denied() || !d.terminate {
		v.slot.give() // else after the handshake: until then we keep the hello
	}
	switch {
	case d.denied():
		g.deny(v, e, d)
		code := byte(alertUnrecognizedName)
		if d.reason == ReasonMalformed {
			code = alertDecodeError
		}
		farewell(v.conn, tlsAlert(code))
	case d.terminate:
		g.terminate(ctx, v, raw, to, d)
	default:
		g.splice(ctx, v, e, raw, to, d)
	}
}

// judgeHello decides about a well-formed ClientHello; e gets the host. An empty
// host of the result means the address that the job asked for.
func (g *gateway) judgeHello(v *visit, e *Event, h hello, want authority) (authority, decision) {
	refused := func(reason string) (authority, decision) {
		return authority{}, decision{verdict: VerdictDeny, reason: reason, rule: "default"}
	}
	if !h.hasName {
		if want.host != "" {
			return refused(ReasonNoSNI)
		}
		return authority{}, g.policies.nameless(v.origin, ReasonNoSNI)
	}
	name, err := normalizeHost(h.serverName)
	if err != nil {
		e.Host = clip(strings.ToValidUTF8(h.serverName, "?"))
		if errors.Is(err, errIPLiteral) {
			return refused(ReasonIPLiteral)
		}
		return refused(ReasonMalformed)
	}
	if want.host != "" && want.host != name {
		e.Host = name
		return refused(ReasonSNIMismatch)
	}
	to := authority{name, v.dst.Port()}
	if want.host != "" {
		to = want
	}
	e.Host = name
	d := g.policies.host(v.origin, name, to.port)
	if h.ech && !d.denied() && !d.terminate {
		// The name outside may not be the one inside (threat 13).
		if d.hidden() == VerdictDeny {
			return refused(ReasonECH)
		}
		d.verdict, d.reason = d.hidden(), ReasonECH
	}
	return to, d
}

// refuseHello ends a connection that did not begin with a ClientHello.
func (g *gateway) refuseHello(v *visit, e Event, err error) {
	var words []byte
	reason := ReasonMalformed
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		reason = ReasonHelloTimeout
	case errors.Is(err, errNotTLS):
		reason = ReasonNotTLS
	case errors.Is(err, errHelloLarge):
		reason = ReasonHelloLarge
	case errors.Is(err, errHello):
		words = tlsAlert(alertDecodeError)
	default: // the client hung up
		reason = ReasonNotTLS
	}
	g.deny(v, e, decision{reason: reason})
	farewell(v.conn, words)
}

// splice joins the connection to the host. Nobody knows what goes through.
func (g *gateway) splice(ctx context.Context, v *visit, e Event, raw []byte, to authority, d decision) {
	var up net.Conn
	var err error
	if to.host == "" {
		up, err = g.dial.dialAddr(ctx, v.dst)
	} else {
		up, err = g.dial.dial(ctx, to, d.private())
	}
	e.Verdict, e.Reason, e.Rule = d.verdict, d.reason, d.rule
	if err != nil {
		g.dialFailed(v, e, err)
		farewell(v.conn, tlsAlert(alertInternalError))
		return
	}
	g.opaque.Store(true)
	e.Opaque = true
	stop := context.AfterFunc(ctx, func() { shut(up) })
	defer stop()
	p := &passage{
		conn: v.conn, opaque: true, to: to, origin: v.origin, end: func() { reset(v.conn); shut(up) },
		still: func(d decision) bool { return !d.terminate }, // else requests are to be seen
	}
	g.depart(p)
	e.Up, e.Down, err = join(v.conn, up, raw, g.budget.writer(to.host, up))
	g.passages.remove(p)
	if errors.Is(err, errUpCap) {
		e.Verdict, e.Reason, e.Hint = VerdictDeny, ReasonUpCap, upCapHint
	}
	p.explain(&e)
	e.MS = time.Since(v.start).Milliseconds()
	g.rec.emit(e)
}

// dialFailed records why an allowed host could not be reached.
func (g *gateway) dialFailed(v *visit, e Event, err error) {
	e.unreachable(err)
	e.MS = time.Since(v.start).Milliseconds()
	g.rec.emit(e)
}

// join copies both ways until both ends are done. The copies are splice(2) as
// long as both are plain TCP, so nothing wraps them.
// sink writes to out: out itself, or a bound around it.
func join(job *net.TCPConn, out net.Conn, first []byte, sink io.Writer) (up, down int64, err error) {
	defer shut(out)
	defer shut(job)
	done := make(chan int64)
	go func() {
		n, err := io.Copy(job, out)
		if err != nil {
			shut(job) // the other direction has nobody to answer it
		} else {
			_ = job.CloseWrite()
		}
		done <- n
	}()
	if len(first) > 0 {
		var n int
		n, err = sink.Write(first)
		up = int64(n)
	}
	if err == nil {
		var m int64
		m, err = io.Copy(sink, job)
		up += m
	}
	if errors.Is(err, errUpCap) {
		reset(job)
	}
	if half, ok := out.(interface{ CloseWrite() error }); ok && err == nil {
		_ = half.CloseWrite()
	} else {
		shut(out)
	}
	return up, <-done, err
}
