// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// terminate ends the TLS of the connection with a certificate of the job's CA
// and hands its requests to the web server.
func (g *gateway) terminate(ctx context.Context, v *visit, raw []byte, to authority, d decision) {
	if g.ca == nil {
		return // no rule that terminates, so no such decision
	}
	under := g.door(v, raw)
	under.to, under.decision = to, d
	conn := tls.Server(under, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"}, // npm speaks the one, go the other
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return g.ca.leaf(to.host) },
	})
	shaking, cancel := context.WithTimeoutCause(ctx, 2*g.limits.HelloTimeout, errors.New("TLS handshake took too long"))
	err := conn.HandshakeContext(shaking)
	cancel()
	v.slot.give()
	if err != nil {
		g.handshakeFailed(v, to, d, err)
		return
	}
	under.h2 = conn.ConnectionState().NegotiatedProtocol == "h2"
	under.await()
	var served net.Conn = conn // of which the web server has to see that it speaks HTTP/2
	if !under.h2 {
		e := v.event(DoorHTTP)
		e.Host, e.Port, e.Rule = to.host, to.port, d.rule
		under.badRequest = func(status string) { g.badRequest(v, e, status) }
		served = plainConn{conn, under}
	}
	if !g.web.hand(ctx, served) {
		return
	}
	<-under.done // the web server has closed it
}

// handshakeFailed notes a client that hung up on our certificate. npm then opens
// hundreds of connections and ends without a message that helps, so the event
// names the variable to set.
func (g *gateway) handshakeFailed(v *visit, to authority, d decision, err error) {
	e := v.event(DoorHTTP)
	e.Host, e.Port, e.Rule = to.host, to.port, d.rule
	e.Verdict, e.Reason = VerdictNote, ReasonUntrusted
	e.Hint = "the client refused the TLS handshake (" + clip(err.Error()) + "); if it does not trust the job's CA: " +
		"SSL_CERT_FILE, NODE_EXTRA_CA_CERTS, npm_config_cafile, PIP_CERT or GIT_SSL_CAINFO of the job name a bundle that does, " +
		"or name the host with tls: splice"
	e.MS = time.Since(v.start).Milliseconds()
	g.rec.emit(e)
}

// doorConn is a connection that the web server serves: it begins with what was
// read already, and knows what was decided about it.
type doorConn struct {
	*net.TCPConn
	first *bytes.Reader
	visit *visit
	proxy bool // the explicit proxy: each request names its host

	to       authority // of a terminated connection
	decision decision

	patience   time.Duration
	badRequest func(status string) // called when the web server answers for itself
	done       chan struct{}
	once       sync.Once

	h2      bool        // frames come whenever they like
	waiting atomic.Bool // for the first byte of a request
	expired func()      // the head of a request took too long
	refused func()      // there was no slot for one
}

// asked is called when the head of a request was read.
func (c *doorConn) asked() {
	c.waiting.Store(false)
	c.visit.slot.give()
}

// await makes the next byte the first one of a request. The head of one takes
// memory like a ClientHello, so it takes a slot like it. Not with HTTP/2, where
// the web server bounds what a connection takes.
func (c *doorConn) await() { c.waiting.Store(!c.h2) }

func (c *doorConn) Read(b []byte) (int, error) {
	if c.first != nil {
		if n, err := c.first.Read(b); err == nil {
			return n, nil
		}
		c.first = nil // a hello of many records is large, and a connection may stay
	}
	n, err := c.TCPConn.Read(b)
	switch {
	case n > 0 && c.waiting.CompareAndSwap(true, false) && !c.visit.slot.wait(context.Background(), c.patience):
		c.refused()
		return 0, errBusy
	case c.expired != nil && errors.Is(err, os.ErrDeadlineExceeded) && c.visit.slot.has():
		c.expired()
	}
	return n, err
}

var errBusy = errors.New("too many requests that have not said yet what they want")

// door wraps a connection for the web server; first was read from it already.
func (g *gateway) door(v *visit, first []byte) *doorConn {
	c := &doorConn{TCPConn: v.conn, first: bytes.NewReader(first), visit: v, patience: g.patience, done: make(chan struct{})}
	event := func() Event {
		e := v.event(v.door)
		e.Host = c.to.host
		return e
	}
	c.refused = func() { g.rec.emit(limited(event(), "handshakes", g.limits.Handshakes)) }
	c.expired = func() { g.deny(v, event(), decision{reason: ReasonHelloTimeout}) }
	return c
}

// ownAnswer is how net/http ends the head of an answer that no handler gave
// (errorHeaders in net/http/server.go).
const ownAnswer = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"

// look looks for requests that the web server refused by itself, because it could not
// parse them: they would leave no event.
func (c *doorConn) look(b []byte) {
	if c.badRequest != nil && bytes.HasPrefix(b, []byte("HTTP/1.1 ")) {
		if line, _, ok := bytes.Cut(b[:min(len(b), 512)], []byte(ownAnswer)); ok && !bytes.Contains(line, []byte("\r")) {
			c.badRequest(string(line[len("HTTP/1.1 "):]))
		}
	}
}

// badRequest records a request that the web server refused by itself.
func (g *gateway) badRequest(v *visit, e Event, status string) {
	reason := ReasonMalformed
	if strings.HasPrefix(status, "431") {
		reason = ReasonHeaderSize
	}
	e.Time, e.Step = time.Now(), g.policies.step()
	g.deny(v, e, decision{reason: reason, rule: e.Rule})
}

func (c *doorConn) Write(b []byte) (int, error) {
	c.look(b)
	return c.TCPConn.Write(b)
}

// plainConn is a connection whose TLS we have ended, for HTTP/1.1.
type plainConn struct {
	*tls.Conn
	under *doorConn
}

func (c plainConn) Write(b []byte) (int, error) {
	c.under.look(b)
	return c.Conn.Write(b)
}

func (c *doorConn) Close() error {
	c.once.Do(func() { close(c.done) })
	return c.TCPConn.Close()
}
