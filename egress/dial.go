// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// dialer reaches the outside from the host's namespace.
type dialer struct {
	hosts    map[string]netip.AddrPort // overrides; port 0 keeps the asked one
	proxies  proxies
	timeout  time.Duration // of one dial, and of a proxy's answer to CONNECT
	resolver *net.Resolver
	own      []netip.Addr
	roots    func() *x509.CertPool // for a proxy that is reached by TLS
	connect  func(context.Context, *net.Dialer, string) (net.Conn, error)
}

func newDialer(u Upstream, env Proxies, timeout time.Duration, roots func() *x509.CertPool) (*dialer, error) {
	d := &dialer{hosts: map[string]netip.AddrPort{}, timeout: timeout, roots: roots, connect: connectTCP}
	for name, addr := range u.Hosts {
		host, err := normalizeHost(name)
		if err != nil {
			return nil, fmt.Errorf("upstream host %q: %w", clip(name), err)
		}
		if d.hosts[host], err = parseOverride(addr); err != nil {
			return nil, fmt.Errorf("upstream host %s: %w", host, err)
		}
	}
	var err error
	if d.proxies, err = newProxies(u, env); err != nil {
		return nil, err
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
			return (&net.Dialer{Timeout: timeout}).DialContext(ctx, network, u.DNS)
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
// that the checked one is the dialled one (threat 17). Plain requests never
// come here if a proxy is for them: see web.proxyFor.
func (d *dialer) dial(ctx context.Context, to authority, private bool) (net.Conn, error) {
	nd := &net.Dialer{Timeout: d.timeout, Resolver: d.resolver}
	nd.SetMultipathTCP(false)
	if over, ok := d.hosts[to.host]; ok {
		if over.Port() == 0 {
			over = netip.AddrPortFrom(over.Addr(), to.port)
		}
		return d.connect(ctx, nd, over.String())
	}
	if out, err := d.proxies.of("https", to); err != nil {
		return nil, err
	} else if out != nil {
		return d.tunnel(ctx, out, to)
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
	nd := &net.Dialer{Timeout: d.timeout}
	nd.SetMultipathTCP(false)
	return d.connect(ctx, nd, to.String())
}

// unreachable makes the event one about a host that was allowed and not reached.
func (e *Event) unreachable(err error) {
	e.Verdict, e.Reason, e.Hint = VerdictNote, ReasonDial, clip(err.Error())
	if errors.Is(err, errPrivate) {
		e.Verdict, e.Reason = VerdictDeny, ReasonPrivate
		e.Hint = "a rule with private: true, or egress.upstream.hosts, allows the address"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		e.Hint += "; if a proxy on the way inspects TLS, egress.upstream.ca_file or SSL_CERT_FILE of the runner must hold its CA"
	}
	if p, ok := errors.AsType[*proxyError](err); ok {
		e.Reason, e.Hint = ReasonProxy, clipTo(p.Error(), 400)
	}
}
