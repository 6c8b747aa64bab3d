// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	headerMost   = 4 << 10  // of a registry request, what goes out (threat 28)
	headerParsed = 32 << 10 // what is read at all
	maxStreams   = 100      // of HTTP/2 at the same time, on one connection
	idleMost     = 128      // connections to the outside that are kept for later
)

// web is the HTTP server of a job, for plain, proxied and terminated requests,
// and the pooled client behind it.
type web struct {
	g       *gateway
	server  *http.Server
	near    client // of hosts that may be at an address that is not global
	far     client // of all others
	queue   connQueue
	buffers sync.Pool
	tokens  ociTokens

	inFlight chan struct{} // requests that are served: each takes some ten kilobytes

	mu       sync.Mutex
	closed   bool
	requests sync.WaitGroup
}

type doorKey struct{}

func newWeb(ctx context.Context, g *gateway) *web {
	w := &web{g: g, queue: connQueue{conns: make(chan net.Conn), closed: make(chan struct{})}, inFlight: make(chan struct{}, g.limits.Requests)}
	w.buffers.New = func() any { b := make([]byte, 16<<10); return &b } // no TLS record is larger
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	w.server = &http.Server{
		Handler:   w,
		Protocols: protocols,
		// "OPTIONS *" is a request for a host as any.
		DisableGeneralOptionsHandler: true,
		BaseContext:                  func(net.Listener) context.Context { return ctx },
		ConnContext:                  withDoor,
		ConnState: func(c net.Conn, s http.ConnState) {
			if d, ok := doorOf(c).(*doorConn); ok && s == http.StateIdle {
				d.await()
			}
		},
		// What a stream may make us keep is far less than net/http's defaults: a frame
		// of 1 MiB for each connection, and as much of a body for each stream.
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReadFrameSize: 16 << 10,
			MaxReceiveBufferPerConnection: 64 << 10, MaxReceiveBufferPerStream: 64 << 10,
		},
		ReadHeaderTimeout: g.limits.HelloTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    headerParsed,
		// net/http tells there of every aborted handshake.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	return w
}

// client is a pool of connections, made by the first request.
type client struct {
	mu        sync.Mutex
	transport *http.Transport
}

// client is what requests go out with. A connection is kept for later requests, so
// those that a rule lets dial anywhere have a pool of their own.
func (w *web) client(private bool) *http.Transport {
	c := &w.far
	if private {
		c = &w.near
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transport == nil {
		c.transport = w.newTransport(private)
	}
	return c.transport
}

// forget closes the connections that are kept.
func (c *client) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
}

// newTransport speaks HTTP/1.1 only. With HTTP/2 the answers to a job that does
// not read would be kept here, up to 4 MiB for each stream; like this they stay in
// the kernel's buffers, and then with the server.
func (w *web) newTransport(private bool) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			return w.dialContext(ctx, addr, private)
		},
		TLSClientConfig: &tls.Config{
			RootCAs: w.g.roots(), MinVersion: tls.VersionTLS12,
			// A host that closes after each answer is greeted again, at half the cost. The
			// tickets are this job's: the outside links no jobs by them.
			ClientSessionCache: tls.NewLRUClientSessionCache(32),
		},
		Protocols:              protocols,
		DisableCompression:     true,
		MaxIdleConns:           idleMost,
		MaxIdleConnsPerHost:    16,
		MaxResponseHeaderBytes: 256 << 10,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    w.g.limits.ConnectTimeout,
		ResponseHeaderTimeout:  w.g.limits.IdleTimeout, // a long poll has no answer for that long
		Proxy:                  w.proxyFor,
	}
}

// dialContext dials what a request is for; the host was judged by the handler.
func (w *web) dialContext(ctx context.Context, addr string, private bool) (net.Conn, error) {
	if w.g.dial.proxies.is(addr) {
		return w.g.dial.dialForTransport(ctx, addr)
	}
	to, err := parseAuthority(addr, 0)
	if err != nil {
		return nil, err
	}
	return w.g.dial.dial(ctx, to, private)
}

// proxyFor sends plain requests through the operator's proxy in its own way;
// what is TLS goes through dial, which tunnels.
func (w *web) proxyFor(r *http.Request) (*url.URL, error) {
	o, err := w.outlet(r.URL.Scheme, r.URL.Host)
	if o == nil || err != nil {
		return nil, err
	}
	return o.url, nil
}

// outlet is the proxy that a plain request is handed to, or nil.
func (w *web) outlet(scheme, host string) (*outlet, error) {
	to, err := parseAuthority(host, 80)
	if _, over := w.g.dial.hosts[to.host]; over || err != nil || scheme != "http" {
		return nil, err
	}
	return w.g.dial.proxies.of(scheme, to)
}

// run serves until close.
func (w *web) run(ctx context.Context) {
	err := w.server.Serve(&w.queue)
	if err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		w.g.log.LogAttrs(ctx, slog.LevelError, "serve requests", slog.Any("err", err))
	}
}

// close ends every request and waits for it.
func (w *web) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	shut(&w.queue)
	_ = w.server.Close() // its error is that of the queue's Close
	w.requests.Wait()
	w.near.forget()
	w.far.forget()
}

// enter counts a request in, unless close has begun.
func (w *web) enter() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.requests.Add(1)
	}
	return !w.closed
}

// hand gives a connection to the server.
func (w *web) hand(ctx context.Context, c net.Conn) bool {
	select {
	case w.queue.conns <- c:
		return true
	case <-w.queue.closed:
	case <-ctx.Done():
	}
	shut(c)
	return false
}

func withDoor(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, doorKey{}, doorOf(c))
}

// doorOf is the connection below TLS.
func doorOf(c net.Conn) net.Conn {
	switch t := c.(type) {
	case *tls.Conn:
		return t.NetConn()
	case plainConn:
		return t.under
	default:
		return c
	}
}

// serveHTTP is the transparent door for plain HTTP.
func (g *gateway) serveHTTP(ctx context.Context, v *visit) { g.plain(ctx, v, nil, false) }

// serveProxy is the explicit proxy.
func (g *gateway) serveProxy(ctx context.Context, v *visit) { g.plain(ctx, v, nil, true) }

// serveEither is the door of a port that is neither of TLS nor of HTTP by
// custom: the first byte tells. A client that waits for the server to speak
// first gets no answer.
func (g *gateway) serveEither(ctx context.Context, v *visit) {
	first := make([]byte, 1)
	_ = v.conn.SetReadDeadline(time.Now().Add(g.limits.HelloTimeout)) // if it fails, so does the read
	if _, err := v.conn.Read(first); err != nil {
		v.origin = g.whose(v)
		g.refuseHello(v, v.event(v.door), err)
		return
	}
	if first[0] == recordHandshake {
		g.tls(ctx, v, first, authority{})
		return
	}
	v.door = DoorHTTP
	g.plain(ctx, v, first, false)
}

func (g *gateway) plain(ctx context.Context, v *visit, first []byte, proxy bool) {
	v.origin = g.whose(v)
	c := g.door(v, first)
	c.proxy = proxy
	c.badRequest = func(status string) { g.badRequest(v, v.event(v.door), status) }
	if g.web.hand(ctx, c) {
		<-c.done
	}
}

// connQueue is the listener of the web server: doors put connections into it.
type connQueue struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (q *connQueue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

func (q *connQueue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}

func (q *connQueue) Addr() net.Addr { return &net.TCPAddr{} }
