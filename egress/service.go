// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Service is what the runner itself serves to a job over HTTP/1.1: on GatewayAddr, in
// the job's network only. It is not the outside: no policy is asked and no event made
// but where a limit refuses a connection. What the job sends is hostile, and a handler
// judges who may do what; that it panics costs the request only.
type Service struct {
	Name    string // for Network.ServiceURL
	Handler http.Handler
}

const (
	servicePort  = 8480 // of the first one; ports with a door are left out
	servicesMost = 8
)

// service serves one of them.
type service struct {
	name   string
	port   uint16
	g      *gateway
	server *http.Server
	queue  connQueue

	inFlight chan struct{} // requests that are served
	served   atomic.Int64

	mu       sync.Mutex
	closed   bool
	requests sync.WaitGroup
}

// newServices makes what Config.Services says. g.ports are known.
func newServices(g *gateway, list []Service) ([]*service, error) {
	if len(list) > servicesMost {
		return nil, fmt.Errorf("%d services, at most %d", len(list), servicesMost)
	}
	var out []*service
	port := uint16(servicePort)
	for _, s := range list {
		if s.Name == "" || s.Handler == nil || slices.ContainsFunc(out, func(o *service) bool { return o.name == s.Name }) {
			return nil, fmt.Errorf("bug: service %q needs a name of its own and a handler", clip(s.Name))
		}
		for slices.Contains(g.ports, port) {
			port++
		}
		out = append(out, newService(g, s, port))
		port++
	}
	return out, nil
}

func newService(g *gateway, s Service, port uint16) *service {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	v := &service{
		name: s.Name, port: port, g: g,
		queue:    connQueue{conns: make(chan net.Conn), closed: make(chan struct{})},
		inFlight: make(chan struct{}, g.limits.Requests),
	}
	v.server = &http.Server{
		Handler:     http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { v.handle(rw, r, s.Handler) }),
		Protocols:   protocols,
		ConnContext: withDoor,
		// The web server would answer "OPTIONS *" and keep its slot.
		DisableGeneralOptionsHandler: true,
		ConnState: func(c net.Conn, s http.ConnState) {
			if d, ok := c.(*doorConn); ok && s == http.StateIdle {
				d.await()
			}
		},
		ReadHeaderTimeout: g.limits.HelloTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    headerParsed,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	return v
}

// handle serves one request.
func (s *service) handle(rw http.ResponseWriter, r *http.Request, h http.Handler) {
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.requests.Add(1)
	}
	s.mu.Unlock()
	if closed {
		return
	}
	defer s.requests.Done()
	defer s.survive(r.Context())
	if c, ok := r.Context().Value(doorKey{}).(*doorConn); ok {
		c.asked()
	}
	if !takeWithin(r.Context(), s.inFlight, s.g.patience) {
		http.Error(rw, "too many requests at once", http.StatusServiceUnavailable)
		return
	}
	defer func() { <-s.inFlight }()
	s.served.Add(1)
	h.ServeHTTP(rw, r)
}

// survive, deferred, tells of a panic that net/http recovers from silently.
func (s *service) survive(ctx context.Context) {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
		s.g.log.LogAttrs(ctx, slog.LevelError, "bug: panic in a service, please report", slog.String("service", s.name), slog.Any("panic", p))
	}
	panic(http.ErrAbortHandler)
}

// run serves what connection brings until close.
func (s *service) run(ctx context.Context) {
	s.server.BaseContext = func(net.Listener) context.Context { return ctx }
	err := s.server.Serve(&s.queue)
	if err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		s.g.log.LogAttrs(ctx, slog.LevelError, "serve a service", slog.String("service", s.name), slog.Any("err", err))
	}
}

// connection is the service's door.
func (s *service) connection(ctx context.Context, v *visit) {
	c := s.g.door(v, nil)
	select {
	case s.queue.conns <- c:
		<-c.done
	case <-s.queue.closed:
		shut(c)
	case <-ctx.Done():
		shut(c)
	}
}

// close ends every request and waits for it.
func (s *service) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	shut(&s.queue)
	_ = s.server.Close() // its error is that of the queue's Close
	s.requests.Wait()
}

// url is what a job finds the service by.
func (s *service) url() string {
	return "http://" + net.JoinHostPort(GatewayAddr, strconv.Itoa(int(s.port)))
}

// isOwn reports whether a port of GatewayAddr is the gateway's own.
func (g *gateway) isOwn(port uint16) bool {
	return port == 53 || port == ProxyPort || slices.ContainsFunc(g.services, func(s *service) bool { return s.port == port })
}
