// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"net/http"
	"time"
)

// connect serves CONNECT of the explicit proxy. The authority is read from the
// request line as it came: a URL parser would take "a:443@b" for b (threat 16).
func (q *request) connect(rw http.ResponseWriter, r *http.Request) {
	g, v := q.web.g, q.conn.visit
	q.event.Door, q.event.Path = DoorConnect, ""
	to, err := parseAuthority(r.RequestURI, 0)
	if err != nil {
		q.event.Host = clip(r.RequestURI)
		q.refuseName(rw, err)
		return
	}
	q.event.Host, q.event.Port = to.host, to.port
	d := q.judge(to)
	if d.denied() {
		q.event.Rule = d.rule
		q.refuse(rw, http.StatusForbidden, d.reason)
		return
	}
	hijacker, ok := rw.(http.Hijacker)
	if !ok {
		http.Error(rw, "CONNECT needs HTTP/1.1", http.StatusHTTPVersionNotSupported)
		return
	}
	conn, buffered, err := hijacker.Hijack()
	if err != nil {
		return // the client is gone
	}
	defer shut(conn) // ends the wait of the door's goroutine
	initial := make([]byte, buffered.Reader.Buffered())
	if _, err := buffered.Read(initial); err != nil && len(initial) > 0 {
		return
	}
	if _, err := conn.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		return
	}
	if d.terminate {
		// Its requests make events of their own; a spliced connection makes one at its end.
		e := q.event
		e.Verdict, e.Rule, e.MS = d.verdict, d.rule, time.Since(q.start).Milliseconds()
		g.rec.emit(e)
	}
	through := *v
	through.door, through.step = DoorConnect, q.event.Step
	if d.tcp {
		e := through.event(DoorConnect)
		e.Host, e.Port = to.host, to.port
		g.splice(r.Context(), &through, e, initial, to, d)
		return
	}
	g.tls(r.Context(), &through, initial, to)
}
