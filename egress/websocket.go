// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
)

// asksWebSocket reports whether a request opens a WebSocket in the way of RFC 6455
// section 4.1. That of HTTP/2 (RFC 8441) is not offered: clients use HTTP/1.1.
func asksWebSocket(r *http.Request) bool {
	up := r.Header.Values("Upgrade")
	return r.Method == http.MethodGet && r.ProtoMajor == 1 && len(up) == 1 && strings.EqualFold(up[0], "websocket") &&
		len(r.Header.Values("Sec-Websocket-Key")) == 1 && len(r.Header[":protocol"]) == 0
}

// webSocket is the connection that a request became. Nobody looks at what goes
// through it, so the event calls it opaque.
type webSocket struct {
	q        *request
	path     string // escaped
	ruled    bool   // a rule allows it, else Mode lets it out
	rwc      io.ReadWriteCloser
	sink     io.Writer
	passage  *passage
	up, down atomic.Int64
}

// over takes the place of the answer's body, which is what ReverseProxy joins the
// client to.
func (s *webSocket) over(resp *http.Response) error {
	rwc, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		return errors.New("the server switched protocols on a connection that cannot")
	}
	g, to := s.q.web.g, authority{s.q.event.Host, s.q.event.Port}
	s.rwc, s.sink = rwc, g.budget.writer(to.host, rwc)
	conn, path, ruled := s.q.conn.visit.conn, s.path, s.ruled
	s.passage = &passage{
		conn: conn, opaque: true, to: to, origin: s.q.conn.visit.origin, end: func() { reset(conn); _ = rwc.Close() },
		still: func(d decision) bool {
			r := d.request(http.MethodGet, path)
			return r.websocket || !ruled && r.verdict != VerdictDeny && d.missing != VerdictDeny
		},
	}
	g.opaque.Store(true)
	s.q.event.Opaque = true
	g.depart(s.passage)
	resp.Body = s
	return nil
}

func (s *webSocket) Read(b []byte) (int, error) {
	n, err := s.rwc.Read(b)
	s.down.Add(int64(n))
	return n, err
}

func (s *webSocket) Write(b []byte) (int, error) {
	n, err := s.sink.Write(b)
	s.up.Add(int64(n))
	if errors.Is(err, errUpCap) {
		s.q.over.Store(true)
	}
	return n, err
}

func (s *webSocket) Close() error { return s.rwc.Close() }

// end puts into the event what the connection came to.
func (s *webSocket) end() {
	if s.passage == nil {
		return
	}
	e := &s.q.event
	e.Up += s.up.Load()
	e.Down += s.down.Load()
	s.q.web.g.passages.remove(s.passage)
	s.passage.explain(e)
}
