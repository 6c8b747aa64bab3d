// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// Proxies are those that the runner's own environment names. They stand beside the
// Policy, not in it, since their URLs may hold a password: they are in no event, no
// error and no report, and a job gets none of them.
type Proxies struct {
	HTTPS string // HTTPS_PROXY: for hosts that are reached by TLS, and for protocol tcp
	HTTP  string // HTTP_PROXY: for plain requests
	No    string // NO_PROXY: what is reached without; names, ".name", addresses, networks, "*"
}

// proxyHeadMost bounds what a proxy may answer to CONNECT.
const proxyHeadMost = 64 << 10

// outlet is one proxy of the operator's. If it cannot be used it says so when it is
// needed, and not before: the environment is of every program on the machine.
type outlet struct {
	url  *url.URL
	from string // where it was written
	err  error
}

// proxies says which requests go through which proxy.
type proxies struct {
	https, http *outlet
	skips       func(*url.URL) bool // reached without
}

func newProxies(u Upstream, env Proxies) (proxies, error) {
	var p proxies
	no := env.No
	if u.Proxy != "" {
		p.https = newOutlet(u.Proxy, "egress.upstream.proxy")
		if p.https.err != nil {
			return p, p.https.err
		}
		p.http, no = p.https, u.NoProxy
	} else {
		p.https, p.http = newOutlet(env.HTTPS, "HTTPS_PROXY"), newOutlet(env.HTTP, "HTTP_PROXY")
	}
	// The library knows the forms of NO_PROXY. It gets no URL of ours to put into an
	// error.
	asked := (&httpproxy.Config{HTTPProxy: "proxy.invalid", HTTPSProxy: "proxy.invalid", NoProxy: no}).ProxyFunc()
	p.skips = func(u *url.URL) bool {
		via, err := asked(u)
		return err == nil && via == nil
	}
	return p, nil
}

// newOutlet reads the URL of a proxy; the scheme may be left out, as curl allows.
// No error repeats it: what does not parse may be a password.
func newOutlet(s, from string) *outlet {
	s = strings.TrimSpace(s)
	if s == "" {
		return nil
	}
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	o := &outlet{from: from}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "":
		o.err = &proxyError{o, "is no URL; want http://HOST:PORT or https://HOST:PORT, with special characters of a password escaped as %40"}
	case u.Scheme != "http" && u.Scheme != "https":
		o.err = &proxyError{o, "has a scheme that is not supported; want http://HOST:PORT or https://HOST:PORT"}
	}
	o.url = u
	return o
}

// of returns the proxy through which a host is reached, or nil.
func (p proxies) of(scheme string, to authority) (*outlet, error) {
	o := p.https
	if scheme == "http" {
		o = p.http
	}
	if o == nil || p.skips(&url.URL{Scheme: scheme, Host: to.String()}) {
		return nil, nil
	}
	return o, o.err
}

// addr is the address of the proxy as http.Transport dials it.
func (o *outlet) addr() string {
	port := o.url.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[o.url.Scheme]
	}
	return net.JoinHostPort(o.url.Hostname(), port)
}

// is reports whether an address that a Transport dials is one of the proxies.
func (p proxies) is(addr string) bool {
	return p.http != nil && p.http.err == nil && p.http.addr() == addr
}

// proxyError says what is wrong with the runner's way out. It names the proxy by
// where it was written and by its host, never by its URL.
type proxyError struct {
	of  *outlet
	why string
}

func (e *proxyError) Error() string {
	name := e.of.from
	if e.of.err == nil && e.of.url != nil {
		name += " (" + e.of.addr() + ")"
	}
	return "the runner's proxy, " + name + ": " + e.why
}

// refused explains an answer of the proxy. Its own words are not repeated: it was
// sent a password.
func (o *outlet) refused(what string, status int) error {
	why := fmt.Sprintf("%s: %d %s", what, status, http.StatusText(status))
	switch status {
	case http.StatusProxyAuthRequired:
		why += "; it wants a user and a password: http://USER:PASSWORD@HOST:PORT"
		if o.url.User != nil {
			why = fmt.Sprintf("%s: %d %s; it does not take the user and the password of its URL, or wants another way to log in than Basic", what, status, http.StatusText(status))
		}
	case http.StatusForbidden:
		why += "; the proxy does not allow the host"
	}
	return &proxyError{o, why}
}

// tunnel connects through a proxy. It resolves the name, so the address cannot be
// checked here.
func (d *dialer) tunnel(ctx context.Context, o *outlet, to authority) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, errors.New("proxy took too long"))
	defer cancel()
	conn, err := d.dialOutlet(ctx, o)
	if err != nil {
		return nil, o.failed("cannot be reached", d.timeout, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err = o.connect(conn, to, d.timeout)
	if !stop() && err == nil {
		err = o.failed("CONNECT "+to.String(), d.timeout, context.Cause(ctx))
	}
	if err != nil {
		shut(conn)
		return nil, err
	}
	return conn, nil
}

func (o *outlet) failed(what string, limit time.Duration, err error) error {
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() || errors.Is(err, os.ErrDeadlineExceeded) {
		return &proxyError{o, fmt.Sprintf("%s: no answer within %s (egress.limits.connect_timeout)", what, limit)}
	}
	return &proxyError{o, fmt.Sprintf("%s: %v", what, err)}
}

// connect asks for a tunnel. Not a byte behind the head of the answer is read: with
// protocol tcp the host may speak first, and what is joined must be the bare
// connection.
func (o *outlet) connect(conn net.Conn, to authority, limit time.Duration) error {
	what := "CONNECT " + to.String()
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: to.String()}, Host: to.String(), Header: http.Header{"User-Agent": {"zviz"}}}
	if u := o.url.User; u != nil {
		password, _ := u.Password()
		req.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	if err := req.Write(conn); err != nil {
		return o.failed(what, limit, err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(io.LimitReader(byteByByte{conn}, proxyHeadMost)), req)
	if err != nil {
		if _, ok := errors.AsType[net.Error](err); !ok {
			err = errors.New("what answers is no HTTP proxy") // its words are not repeated either
		}
		return o.failed(what, limit, err)
	}
	_ = resp.Body.Close()         // it is not read
	if resp.StatusCode/100 != 2 { // RFC 9110 section 9.3.6
		return o.refused(what, resp.StatusCode)
	}
	return nil
}

// byteByByte keeps a buffer above it from reading ahead.
type byteByByte struct{ io.Reader }

func (r byteByByte) Read(b []byte) (int, error) { return r.Reader.Read(b[:min(len(b), 1)]) }

// dialOutlet connects to a proxy itself, wherever it is.
func (d *dialer) dialOutlet(ctx context.Context, o *outlet) (net.Conn, error) {
	nd := &net.Dialer{Timeout: d.timeout}
	nd.SetMultipathTCP(false)
	if o.url.Scheme == "https" {
		td := &tls.Dialer{NetDialer: nd, Config: &tls.Config{RootCAs: d.roots(), ServerName: o.url.Hostname(), MinVersion: tls.VersionTLS12}}
		return td.DialContext(ctx, "tcp", o.addr())
	}
	return nd.DialContext(ctx, "tcp", o.addr())
}

// dialForTransport connects to a proxy for a Transport, which does the rest.
func (d *dialer) dialForTransport(ctx context.Context, addr string) (net.Conn, error) {
	nd := &net.Dialer{Timeout: d.timeout}
	nd.SetMultipathTCP(false)
	conn, err := nd.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, d.proxies.http.failed("cannot be reached", d.timeout, err)
	}
	return conn, nil
}
