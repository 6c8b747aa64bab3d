// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// pathMost caps a path in an event: that of a package is evidence.
const pathMost = 1024

// ServeHTTP judges each request by itself: a connection may carry requests to
// several hosts (threat 12).
func (w *web) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	c, ok := r.Context().Value(doorKey{}).(*doorConn)
	if !ok {
		http.Error(rw, "bug: connection without a door", http.StatusInternalServerError)
		return
	}
	if !w.enter() {
		return
	}
	defer w.requests.Done()
	defer w.survive(r.Context(), c.visit.door)
	c.asked()
	q := &request{web: w, conn: c, start: time.Now(), http1: r.ProtoMajor == 1, event: c.visit.event(DoorHTTP)}
	q.event.Method, q.event.Path = clip(r.Method), clipTo(r.URL.Path, pathMost)
	q.event.Time, q.event.Step = q.start, w.g.policies.step()
	if name := q.planted(r); name != "" {
		q.leak(rw, r, name)
		return
	}
	if c.proxy && r.Method == http.MethodConnect {
		q.connect(rw, r) // it counts as a connection
		return
	}
	if !w.serveNow(r) {
		q.busy(rw, r)
		return
	}
	defer func() { <-w.inFlight }()
	switch {
	case r.URL.Opaque != "":
		// "x:secret" is a request target to net/url and would go out as it is, with
		// no path to judge or to record (RFC 9112 section 3.2 knows no such form).
		q.event.Host, q.event.Path = clip(r.Host), clipTo(r.RequestURI, pathMost)
		q.refuse(rw, http.StatusBadRequest, ReasonMalformed)
	case c.proxy:
		q.proxied(rw, r)
	case c.to.host != "":
		q.terminated(rw, r)
	default:
		q.transparent(rw, r)
	}
}

// serveNow takes one of the places of requests that are served. Without one a request
// of HTTP/1.1 waits: of those there is one on each connection, and connections are
// capped. Streams do not: each holds a head, and a connection has a hundred.
func (w *web) serveNow(r *http.Request) bool {
	select {
	case w.inFlight <- struct{}{}:
		return true
	default:
		return r.ProtoMajor == 1 && takeWithin(r.Context(), w.inFlight, w.g.patience)
	}
}

// survive, deferred, tells of a panic that net/http recovers from silently.
func (w *web) survive(ctx context.Context, door Door) {
	r := recover()
	if r == nil {
		return
	}
	if err, ok := r.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
		w.g.log.LogAttrs(ctx, slog.LevelError, "bug: panic in a door, please report", slog.String("door", string(door)), slog.Any("panic", r))
	}
	panic(http.ErrAbortHandler)
}

// request is one request on its way.
type request struct {
	web       *web
	conn      *doorConn
	start     time.Time
	http1     bool
	event     Event
	x         *Exchange              // nil if no rule allows it
	found     *findings              // what answered instead of a registry found out
	registry  *Registry              // that a store of packages answers for; nil if none
	over      atomic.Bool            // the host got all that it may get
	way       *passage               // once it is on its way
	leaks     atomic.Pointer[string] // the planted credential that the body holds
	websocket bool                   // asked for, and allowed
}

// terminated judges a request that came through our TLS.
func (q *request) terminated(rw http.ResponseWriter, r *http.Request) {
	to := q.conn.to
	q.event.Host, q.event.Port, q.event.Rule = to.host, to.port, q.conn.decision.rule
	got, err := parseAuthority(r.Host, to.port)
	if err != nil || got != to {
		q.event.Host = clip(r.Host)
		q.refuse(rw, http.StatusMisdirectedRequest, ReasonHostMismatch)
		return
	}
	q.forward(rw, r, "https", to, q.judge(to))
}

// judge judges anew each time: a policy may have changed since the connection began.
func (q *request) judge(to authority) decision {
	return q.web.g.policies.host(q.conn.visit.origin, to.host, to.port)
}

// transparent judges a plain request by its Host.
func (q *request) transparent(rw http.ResponseWriter, r *http.Request) {
	q.named(rw, r, r.Host, q.conn.visit.dst.Port())
}

// proxied judges a request with an absolute URL.
func (q *request) proxied(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Scheme != "http" || r.URL.Host == "" {
		q.event.Host = clip(r.Host)
		q.refuse(rw, http.StatusBadRequest, ReasonMalformed)
		return
	}
	q.named(rw, r, r.URL.Host, 80)
}

func (q *request) named(rw http.ResponseWriter, r *http.Request, host string, port uint16) {
	to, err := parseAuthority(host, port)
	if err != nil || r.URL.User != nil {
		q.event.Host = clip(host)
		q.refuseName(rw, err)
		return
	}
	q.event.Host, q.event.Port = to.host, to.port
	q.forward(rw, r, "http", to, q.judge(to))
}

func (q *request) refuseName(rw http.ResponseWriter, err error) {
	if errors.Is(err, errIPLiteral) {
		q.refuse(rw, http.StatusForbidden, ReasonIPLiteral)
		return
	}
	q.refuse(rw, http.StatusBadRequest, ReasonMalformed)
}

// forward sends an allowed request on.
func (q *request) forward(rw http.ResponseWriter, r *http.Request, scheme string, to authority, d decision) {
	q.event.Verdict, q.event.Reason, q.event.Rule = d.verdict, d.reason, d.rule
	if d.denied() {
		q.refuse(rw, http.StatusForbidden, d.reason)
		return
	}
	ruled := d.request(r.Method, r.URL.EscapedPath())
	if ruled.ruled() {
		if reason := form(r, ruled); reason != "" {
			ruled = ruling{verdict: d.missing, reason: reason}
		}
	}
	q.event.Verdict, q.event.Reason = ruled.verdict, ruled.reason
	if ruled.verdict == VerdictDeny {
		q.refuse(rw, http.StatusForbidden, ruled.reason)
		return
	}
	q.websocket = upgrades(r) && (ruled.ruled() || asksWebSocket(r)) // else Mode lets it out
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	out := r.Clone(ctx)
	out.Trailer = nil // its names would go out uncounted; what it says comes after all was judged
	if ruled.ruled() {
		if ruled.judged {
			q.event.Redacted = overrides(out)
		}
		if preset := ruled.rule.Preset; preset != "" {
			q.event.Redacted = append(q.event.Redacted, sanitize(out, preset)...)
			if size := headSize(out); size > headerMost {
				q.refuse(rw, http.StatusRequestHeaderFieldsTooLarge, ReasonHeaderSize)
				return
			}
		}
		q.x = &Exchange{Host: to.host, Port: to.port, TLS: scheme == "https", Rule: ruled.rule, Asked: r.Header, Out: out, Event: &q.event, inject: ruled.inject, digests: ruled.digests}
	}
	q.registry = q.findRegistry(out, scheme, to)
	answer, err := q.ask() //nolint:bodyclose // whoever copies it to the job closes it
	if err != nil {
		q.filtered(r.Context(), rw, err)
		return
	}
	if q.event.Injected || q.registry != nil { // a registry gets its credential later
		rw = finalOnly{rw}
	}
	method, path := r.Method, r.URL.EscapedPath()
	q.way = &passage{
		conn: q.conn.visit.conn, to: to, origin: q.conn.visit.origin, end: func() { cancel(errStep) },
		still: func(d decision) bool { return d.request(method, path).verdict != VerdictDeny },
	}
	q.web.g.depart(q.way)
	defer q.web.g.passages.remove(q.way)
	q.send(rw, out, scheme, to, d.private(), answer)
}

// form refuses what a request must not carry whatever its path.
func form(r *http.Request, ruled ruling) string {
	if reason := refuseBody(r, ruled.rule.Preset); reason != "" {
		return reason
	}
	if upgrades(r) && (!ruled.websocket || !asksWebSocket(r)) {
		return ReasonUpgrade
	}
	return ""
}

// ask asks the filters. An answer goes out in the host's place.
func (q *request) ask() (*http.Response, error) {
	if q.x == nil {
		return nil, nil
	}
	for _, f := range q.web.g.filters {
		if f == Filter(q.web.g.credentials) && q.registry != nil {
			continue // it goes in where the registry is asked
		}
		answer, err := f.Request(q.x)
		if answer != nil || err != nil {
			return answer, err
		}
	}
	return nil, nil
}

// look shows an answer to the filters.
func (q *request) look(resp *http.Response) error {
	if q.x == nil {
		return nil
	}
	for _, f := range slices.Backward(q.web.g.filters) {
		if f == Filter(q.web.g.credentials) && q.registry != nil {
			continue
		}
		if err := f.Response(q.x, resp); err != nil {
			return err
		}
	}
	return nil
}

// filtered answers what a filter did not let pass.
func (q *request) filtered(ctx context.Context, rw http.ResponseWriter, err error) {
	if r, ok := errors.AsType[*RefusalError](err); ok {
		q.event.Hint = r.Hint
		q.refuse(rw, cmp.Or(r.Status, http.StatusForbidden), r.Reason)
		return
	}
	q.web.g.log.LogAttrs(ctx, slog.LevelError, "filter of requests", slog.String("host", q.event.Host), slog.Any("err", err))
	q.event.Hint = "a rule about packages could not be kept"
	q.refuse(rw, http.StatusBadGateway, ReasonFilter)
}

// packBodyMost bounds what a job may say of what it has, when it fetches by git: 50
// bytes a commit, and none of it is kept there.
const packBodyMost = 256 << 10

// refuseBody refuses what a request to a registry must not carry. ReverseProxy
// would forward the body of a GET (threat 35).
func refuseBody(r *http.Request, preset string) string {
	if isForge(preset) && r.Method == http.MethodPost {
		if r.Header.Get("Content-Type") == "application/x-git-upload-pack-request" && r.ContentLength > 0 && r.ContentLength <= packBodyMost {
			return ""
		}
		return ReasonBody
	}
	if (preset != "" || r.Method == http.MethodGet || r.Method == http.MethodHead) && (r.ContentLength != 0 || len(r.TransferEncoding) > 0) {
		return ReasonBody
	}
	return ""
}

// upgrades reports whether a request wants to leave HTTP; ReverseProxy would
// tunnel it (threat 33). HTTP/2 without TLS is declined instead, by dropping the header.
func upgrades(r *http.Request) bool {
	up := r.Header.Values("Upgrade")
	if len(up) == 1 && strings.EqualFold(up[0], "h2c") {
		r.Header.Del("Upgrade")
		r.Header.Del("Http2-Settings")
		r.Header.Del("Connection")
		return false
	}
	return len(up) > 0 || r.Method == http.MethodConnect || len(r.Header[":protocol"]) > 0
}

// send passes the request on and the answer back, and records it.
func (q *request) send(rw http.ResponseWriter, out *http.Request, scheme string, to authority, private bool, answer *http.Response) {
	via, err := q.web.outlet(scheme, to.String())
	if err != nil {
		q.failed(out.Context(), rw, err)
		q.web.g.rec.emit(q.event)
		return
	}
	if via != nil {
		// A proxy that answers TRACE itself repeats what it got, with the operator's
		// password in it (RFC 9110 section 9.3.8).
		if out.Method == http.MethodTrace {
			q.refuse(rw, http.StatusForbidden, ReasonMethod)
			return
		}
		out.Header.Del("Max-Forwards")
	}
	host := to.host
	if scheme == "http" && to.port != 80 || scheme == "https" && to.port != 443 {
		host = to.String()
	}
	var transport http.RoundTripper = answered{answer}
	body := &counter{r: out.Body}
	switch store, err := q.packages(); {
	case answer != nil:
	case err != nil:
		q.filtered(out.Context(), rw, err)
		return
	case store != nil:
		transport = store
	default:
		transport = q.client(private)
		head := headSize(out)
		if q.web.g.budget.take(to.host, head) < head {
			q.failed(out.Context(), rw, errUpCap)
			return
		}
		q.event.Up = int64(head)
		if out.Body != nil && out.Body != http.NoBody {
			out.Body = body
			body.r = budgetReader{body.r, &q.web.g.budget, to.host, &q.over}
		}
	}
	down := &counter{}
	socket := &webSocket{q: q, path: out.URL.EscapedPath(), ruled: q.x != nil}
	told := false
	proxy := &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.Out.URL.Scheme, pr.Out.URL.Host = scheme, to.String()
			pr.Out.URL.User = nil
			pr.Out.Host = host
		},
		Transport:     transport,
		FlushInterval: -1,
		BufferPool:    q.web,
		ErrorLog:      q.web.server.ErrorLog,
		ModifyResponse: func(resp *http.Response) error {
			if via != nil && resp.StatusCode == http.StatusProxyAuthRequired {
				return via.refused(out.Method+" for "+to.String(), resp.StatusCode)
			}
			if resp.StatusCode == http.StatusSwitchingProtocols && !q.websocket {
				return errors.New("the server switched protocols unasked")
			}
			resp.Header.Del("Alt-Svc") // there is no UDP
			q.event.Status = resp.StatusCode
			if answer == nil {
				if err := q.look(resp); err != nil {
					return err
				}
			}
			if resp.StatusCode == http.StatusSwitchingProtocols {
				return socket.over(resp)
			}
			down.r = &stepReader{resp.Body, q.way, resp.ContentLength}
			resp.Body = down
			return nil
		},
		ErrorHandler: func(rw http.ResponseWriter, r *http.Request, err error) { told = q.failed(r.Context(), rw, err) },
	}
	// Deferred: ReverseProxy panics with http.ErrAbortHandler when a copy breaks off.
	defer func() {
		q.event.Up += body.n
		q.event.Down += down.n
		socket.end()
		q.event.MS = time.Since(q.start).Milliseconds()
		if q.found != nil {
			q.found.into(&q.event)
		}
		q.way.explain(&q.event)
		if !told {
			q.stopped()
			q.web.g.rec.emit(q.event)
		}
	}()
	proxy.ServeHTTP(rw, out)
	if q.way.ended() && !told {
		panic(http.ErrAbortHandler) // what was cut off must not look whole, nor the connection live on
	}
}

// client is what the request goes out with.
func (q *request) client(private bool) http.RoundTripper {
	var transport http.RoundTripper = q.web.client(private)
	if q.x == nil {
		return transport
	}
	if q.x.Rule.Preset == "oci" {
		transport = ociAuth{q, transport}
	}
	if q.x.Rule.Redirects {
		transport = follower{q, transport}
	}
	return transport
}

// failed answers for a host that could not be reached. It reports whether the event
// was recorded.
func (q *request) failed(ctx context.Context, rw http.ResponseWriter, err error) (told bool) {
	if _, ok := errors.AsType[*RefusalError](err); ok {
		q.filtered(ctx, rw, err)
		return true
	}
	if name := q.leaks.Load(); name != nil {
		q.event.Canary = *name
		q.refuse(rw, http.StatusForbidden, ReasonCanary)
		return true
	}
	if errors.Is(err, errUpCap) || q.over.Load() {
		q.event.Hint = upCapHint
		q.refuse(rw, http.StatusForbidden, ReasonUpCap)
		return true
	}
	q.event.Status = http.StatusBadGateway
	why := "cannot reach " + q.event.Host
	switch {
	case errors.Is(err, errPrivate):
		q.event.unreachable(err)
		why = q.event.Host + " is at an address that is not global"
	case isIdle(err):
		q.event.Verdict, q.event.Reason = VerdictNote, ReasonIdle
		q.event.Hint = "no answer within " + q.web.g.limits.IdleTimeout.String() + ": egress.limits.idle_timeout of the policy file"
		why = q.event.Host + " does not answer"
	case errors.Is(err, context.Canceled), errors.Is(err, errStep):
	default:
		q.event.unreachable(err)
	}
	writeText(rw, http.StatusBadGateway, why, q.event.Hint)
	return false
}

// stopped puts into the event of a request what ended its body after the host had
// begun to answer.
func (q *request) stopped() {
	if name := q.leaks.Load(); name != nil {
		q.event.Verdict, q.event.Reason, q.event.Hint, q.event.Canary = VerdictDeny, ReasonCanary, "", *name
	} else if q.over.Load() {
		q.event.Verdict, q.event.Reason, q.event.Hint = VerdictDeny, ReasonUpCap, upCapHint
	}
}

// isIdle reports whether a Transport gave up on an answer; what could not be dialled
// is an OpError.
func isIdle(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	_, dial := errors.AsType[*net.OpError](err)
	_, proxy := errors.AsType[*proxyError](err)
	return ok && ne.Timeout() && !dial && !proxy && strings.Contains(err.Error(), "response headers")
}

// refuse answers and records a refusal. The body is for people: it is what curl
// and apt show.
func (q *request) refuse(rw http.ResponseWriter, status int, reason string) {
	e := q.event
	e.Status = status
	if e.Method == http.MethodPost && reason == ReasonMethod && e.Rule == "npm" {
		e.Hint = "npm asks for an audit; npm_config_audit=false stops it"
	}
	d := decision{reason: reason, rule: e.Rule}
	hint := e.Hint
	q.web.g.deny(q.conn.visit, e, d)
	e.Verdict, e.Reason = VerdictDeny, reason
	if hint == "" {
		hint = fix(e)
		if hint != "" {
			hint = "To allow it: " + hint
		}
	}
	what := fmt.Sprintf("zviz refused %s %s:%d%s (%s; rule: %s)", e.Method, e.Host, e.Port, e.Path, reason, e.Rule)
	if q.http1 {
		rw.Header().Set("Connection", "close") // a body that is refused is not read
	}
	writeText(rw, status, what, hint)
}

// busy refuses a request because too many are served already.
func (q *request) busy(rw http.ResponseWriter, r *http.Request) {
	e := q.event
	e.Host, e.Path, e.Status = clip(r.Host), "", http.StatusServiceUnavailable
	if q.conn.to.host != "" {
		e.Host, e.Port = q.conn.to.host, q.conn.to.port
	}
	e = limited(e, "requests", q.web.g.limits.Requests)
	q.web.g.rec.emit(e)
	if q.http1 {
		rw.Header().Set("Connection", "close")
	}
	writeText(rw, http.StatusServiceUnavailable, "zviz: too many requests at the same time", e.Hint)
}

func writeText(rw http.ResponseWriter, status int, lines ...string) {
	text := strings.TrimSpace(strings.Join(lines, "\n")) + "\n"
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	rw.Header().Set("X-Content-Type-Options", "nosniff")
	rw.Header().Set("Content-Length", strconv.Itoa(len(text)))
	rw.WriteHeader(status)
	_, _ = io.WriteString(rw, text) // the client may be gone
}

// headSize is what a request takes without its body, about.
func headSize(r *http.Request) int {
	n := len(r.Method) + len((&url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}).RequestURI()) + len(r.Host) + 20
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + 4
		}
	}
	return n
}

// Get and Put make web the buffer pool of its ReverseProxies.
func (w *web) Get() []byte { return *w.buffers.Get().(*[]byte) }

// Put takes a buffer back.
func (w *web) Put(b []byte) { w.buffers.Put(&b) }

// counter counts what is read through it.
type counter struct {
	r io.ReadCloser
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

func (c *counter) Close() error { return c.r.Close() }
