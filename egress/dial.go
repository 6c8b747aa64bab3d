// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
	"time"
)

const dialTimeout = 10 * time.Second

// dialer reaches the outside from the host's namespace.
type dialer struct {
	hosts    map[string]netip.AddrPort // overrides; port 0 keeps the asked one
	proxy    *url.URL
	resolver *net.Resolver
	own      []netip.Addr
	roots    func() *x509.CertPool // for a proxy that is reached by TLS
	connect  func(context.Context, *net.Dialer, string) (net.Conn, error)
}

func newDialer(u Upstream, roots func() *x509.CertPool) (*dialer, error) {
	d := &dialer{hosts: map[string]netip.AddrPort{}, roots: roots, connect: connectTCP}
	for name, addr := range u.Hosts {
		host, err := normalizeHost(name)
		if err != nil {
			return nil, fmt.Errorf("upstream host %q: %w", clip(name), err)
		}
		if d.hosts[host], err = parseOverride(addr); err != nil {
			return nil, fmt.Errorf("upstream host %s: %w", host, err)
		}
	}
	if u.Proxy != "" {
		proxy, err := url.Parse(u.Proxy)
		if err != nil || proxy.Host == "" || proxy.Scheme != "http" && proxy.Scheme != "https" {
			return nil, errors.New("upstream proxy: want http://HOST:PORT or https://HOST:PORT")
		}
		d.proxy = proxy
	}
	// PreferGo: the resolver of the C library would load plugins of the host, and
	// its answer is not what is checked.
	d.resolver = &net.Resolver{PreferGo: true}
	if u.DNS != "" {
		_, port, err := net.SplitHostPort(u.DNS)
		if err == nil {
			_, err = parsePort(port)
		}
		if err != nil {
			return nil, fmt.Errorf("upstream dns %q: want HOST:PORT", clip(u.DNS))
		}
		d.resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, u.DNS)
		}
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		if ipnet, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(ipnet.IP); ok {
				d.own = append(d.own, ip.Unmap())
			}
		}
	}
	return d, nil
}

func connectTCP(ctx context.Context, nd *net.Dialer, addr string) (net.Conn, error) {
	return nd.DialContext(ctx, "tcp", addr)
}

// parseOverride reads ADDR or ADDR:PORT.
func parseOverride(s string) (netip.AddrPort, error) {
	if ip, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(ip, 0), nil
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q: want ADDRESS or ADDRESS:PORT", clip(s))
	}
	return ap, nil
}

// dial connects to a host that was judged. The address is checked in Control, so
// that the checked one is the dialled one (threat 17).
func (d *dialer) dial(ctx context.Context, to authority, private bool) (net.Conn, error) {
	nd := &net.Dialer{Timeout: dialTimeout, Resolver: d.resolver}
	nd.SetMultipathTCP(false)
	if over, ok := d.hosts[to.host]; ok {
		if over.Port() == 0 {
			over = netip.AddrPortFrom(over.Addr(), to.port)
		}
		return d.connect(ctx, nd, over.String())
	}
	if d.proxy != nil {
		return d.tunnel(ctx, to)
	}
	if !private {
		nd.Control = func(_, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return err
			}
			return checkGlobal(ap.Addr(), d.own)
		}
	}
	// The dot keeps the search list of the host out of it.
	return d.connect(ctx, nd, net.JoinHostPort(to.host+".", strconv.Itoa(int(to.port))))
}

// dialAddr connects to an address that the job asked for without a name; audit
// mode only.
func (d *dialer) dialAddr(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	if err := checkGlobal(to.Addr(), d.own); err != nil {
		return nil, err
	}
	nd := &net.Dialer{Timeout: dialTimeout}
	nd.SetMultipathTCP(false)
	return d.connect(ctx, nd, to.String())
}

// tunnel connects through the operator's proxy. It resolves the name, so the
// address cannot be checked here.
func (d *dialer) tunnel(ctx context.Context, to authority) (net.Conn, error) {
	conn, err := d.dialProxy(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		shut(conn)
		return nil, err
	}
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: to.String()}, Host: to.String(), Header: http.Header{}}
	if u := d.proxy.User; u != nil {
		password, _ := u.Password()
		req.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	if err := req.Write(conn); err != nil {
		shut(conn)
		return nil, err
	}
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, req)
	if err != nil {
		shut(conn)
		return nil, fmt.Errorf("proxy %s: %w", d.proxy.Host, err)
	}
	_ = resp.Body.Close()                                      // there is none to a CONNECT
	if resp.StatusCode != http.StatusOK || br.Buffered() > 0 { // the client speaks first in what we tunnel
		shut(conn)
		return nil, fmt.Errorf("proxy %s: CONNECT %s: %s", d.proxy.Host, to, clip(resp.Status))
	}
	return conn, conn.SetDeadline(time.Time{})
}

// dialTCPProxy connects to the operator's proxy for a Transport, which does the
// rest.
func (d *dialer) dialTCPProxy(ctx context.Context, addr string) (net.Conn, error) {
	return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", addr)
}

// canonical is the address of a proxy as http.Transport dials it.
func canonical(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// dialProxy connects to the operator's proxy itself, wherever it is.
func (d *dialer) dialProxy(ctx context.Context) (net.Conn, error) {
	nd := &net.Dialer{Timeout: dialTimeout}
	nd.SetMultipathTCP(false)
	if d.proxy.Scheme == "https" {
		td := &tls.Dialer{NetDialer: nd, Config: &tls.Config{RootCAs: d.roots(), ServerName: d.proxy.Hostname()}}
		return td.DialContext(ctx, "tcp", canonical(d.proxy))
	}
	return nd.DialContext(ctx, "tcp", canonical(d.proxy))
}
