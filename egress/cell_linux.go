// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/linux"
)

const (
	gatewayIf    = "gw0"
	jobIf        = "eth0"
	linkBits     = 30
	localTable   = 100
	rulePriority = 100 // after the local table (0), before main (32766)
)

// cell is the pair of namespaces of a job and what we hold in them. Its sockets
// stay in the namespace they were made in, whoever uses them (socket(7)).
type cell struct {
	jobNS    *os.File
	diag     *nl.SocketHandle // sock_diag(7) of the job's namespace
	doors    map[uint16]*net.TCPListener
	proxy    *net.TCPListener
	services []*net.TCPListener
	dnsTCP   *net.TCPListener
	dnsUDP   *net.UDPConn
	tap      *tap
	closers  []func() error
}

// openCell makes the namespaces on a thread that is then thrown away. Nothing is
// ever moved or deleted on the job's path: moving a device costs 20 ms and
// deleting one 30 ms; a namespace whose last user is gone is removed by the
// kernel in its own time.
//
// listen is called on that thread, in the gateway's namespace; index is of the device
// that leads to the job.
func openCell(listen func(c *cell, index int) error) (c *cell, err error) {
	c = &cell{doors: map[uint16]*net.TCPListener{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
			c = nil
		}
	}()
	err = linux.OnDiscardedThread(func() error {
		inJob, err := c.makeJobNS()
		if err != nil {
			return fmt.Errorf("job namespace: %w", err)
		}
		defer inJob.Close()
		// The same thread goes on into the gateway's namespace; inJob's socket and
		// the descriptor keep the job's.
		if err := c.makeGatewayNS(listen, inJob); err != nil {
			return fmt.Errorf("gateway namespace: %w", err)
		}
		return nil
	})
	return c, err
}

func (c *cell) push(f func() error) { c.closers = append(c.closers, f) }

// close undoes in reverse.
func (c *cell) close() error {
	var errs []error
	for _, f := range slices.Backward(c.closers) {
		if err := f(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	c.closers = nil
	return errors.Join(errs...)
}

// makeJobNS makes the namespace with lo up and everything set that a device born
// later inherits.
func (c *cell) makeJobNS() (*netlink.Handle, error) {
	ns, err := linux.NewNetNS()
	if err != nil {
		return nil, err
	}
	c.jobNS = ns
	c.push(ns.Close)
	for _, s := range [][2]string{
		// default, not all: eth0 is born with it, while lo keeps ::1.
		{"net/ipv6/conf/default/disable_ipv6", "1"},
		// The job has no capability, and its tests may want port 80.
		{"net/ipv4/ip_unprivileged_port_start", "0"},
	} {
		if err := sysctlIfAny(s[0], s[1]); err != nil {
			return nil, err
		}
	}
	diag, err := nl.Subscribe(unix.NETLINK_INET_DIAG)
	if err != nil {
		return nil, fmt.Errorf("socket sock_diag: %w", err)
	}
	c.diag = &nl.SocketHandle{Socket: diag}
	c.push(func() error { diag.Close(); return nil })
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("socket rtnetlink: %w", err)
	}
	lo, err := h.LinkByName("lo")
	if err != nil {
		h.Close()
		return nil, fmt.Errorf("link lo: %w", err)
	}
	if err := h.LinkSetUp(lo); err != nil {
		h.Close()
		return nil, fmt.Errorf("link lo up: %w", err)
	}
	return h, nil
}

// makeGatewayNS makes the other namespace, the veth, the routing and the sockets.
func (c *cell) makeGatewayNS(listen func(c *cell, index int) error, inJob *netlink.Handle) error {
	ns, err := linux.NewNetNS()
	if err != nil {
		return err
	}
	defer shut(ns) // our sockets keep the namespace
	for _, s := range [][2]string{
		{"net/ipv6/conf/all/disable_ipv6", "1"},
		{"net/ipv6/conf/default/disable_ipv6", "1"},
		// Every address is local here, but there is nobody to answer a ping.
		{"net/ipv4/icmp_echo_ignore_all", "1"},
	} {
		if err := sysctlIfAny(s[0], s[1]); err != nil {
			return err
		}
	}
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("socket rtnetlink: %w", err)
	}
	defer h.Close()
	index, err := c.link(h, inJob)
	if err != nil {
		return err
	}
	if err := routeAll(h); err != nil {
		return err
	}
	return listen(c, index)
}

// link makes the veth, its peer born in the job's namespace.
//
// The gateway's end has no address: GatewayAddr is local as every other one is, by
// routeAll. Of an address of its own the kernel would refuse closed ports itself,
// and the socket that asked would be gone before we can look whose it was.
func (c *cell) link(h, inJob *netlink.Handle) (index int, err error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = gatewayIf
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: jobIf, PeerNamespace: netlink.NsFd(int(c.jobNS.Fd()))}
	if err := h.LinkAdd(veth); err != nil {
		return 0, fmt.Errorf("link add %s type veth: %w", gatewayIf, err)
	}
	gw, err := up(h, gatewayIf, "")
	if err != nil {
		return 0, err
	}
	job := &net.IPNet{IP: net.ParseIP(JobAddr).To4(), Mask: net.CIDRMask(32, 32)}
	if err := h.RouteAdd(&netlink.Route{LinkIndex: gw, Dst: job, Scope: netlink.SCOPE_LINK}); err != nil {
		return 0, fmt.Errorf("route add %s dev %s: %w", job, gatewayIf, err)
	}
	eth, err := up(inJob, jobIf, JobAddr)
	if err != nil {
		return 0, err
	}
	err = inJob.RouteAdd(&netlink.Route{LinkIndex: eth, Gw: net.ParseIP(GatewayAddr)})
	if err != nil {
		return 0, fmt.Errorf("route add default via %s: %w", GatewayAddr, err)
	}
	if lo, err := h.LinkByName("lo"); err != nil {
		return 0, fmt.Errorf("link lo: %w", err)
	} else if err := h.LinkSetUp(lo); err != nil { // table 100's route is on it
		return 0, fmt.Errorf("link lo up: %w", err)
	}
	return gw, active(h, gatewayIf)
}

// activeWait is how long a link may take to become active: long, since it waits for
// the lock that the end of other networks holds.
const activeWait = 10 * time.Second

// active waits until the kernel sends by a link. An end that was up before its peer is
// activated by a worker (net/core/link_watch.c), and drops what is sent by it until
// then: the answer to a job's first packet, which would come a second later. Newer
// kernels do that work when they are asked (rtnl_getlink).
func active(h *netlink.Handle, name string) error {
	for begin := time.Now(); ; time.Sleep(100 * time.Microsecond) {
		l, err := h.LinkByName(name)
		if err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
		if l.Attrs().OperState == netlink.OperUp {
			return nil
		}
		if time.Since(begin) > activeWait {
			return fmt.Errorf("link %s: the kernel has not activated it within %v", name, activeWait)
		}
	}
}

func up(h *netlink.Handle, name, addr string) (index int, err error) {
	l, err := h.LinkByName(name)
	if err != nil {
		return 0, fmt.Errorf("link %s: %w", name, err)
	}
	if addr != "" {
		ipnet := &net.IPNet{IP: net.ParseIP(addr).To4(), Mask: net.CIDRMask(linkBits, 32)}
		if err := h.AddrAdd(l, &netlink.Addr{IPNet: ipnet}); err != nil {
			return 0, fmt.Errorf("addr add %s dev %s: %w", ipnet, name, err)
		}
	}
	if err := h.LinkSetUp(l); err != nil {
		return 0, fmt.Errorf("link %s up: %w", name, err)
	}
	return l.Attrs().Index, nil
}

// routeAll makes every packet of the job local, whatever its address: to our
// listeners, or to nobody. Nothing is forwarded.
//
// The route cannot stand in the local table: it would swallow the answers to the
// job.
func routeAll(h *netlink.Handle) error {
	r := netlink.NewRule()
	r.Priority, r.IifName, r.Table = rulePriority, gatewayIf, localTable
	if err := h.RuleAdd(r); err != nil {
		return fmt.Errorf("rule add iif %s lookup %d: %w", gatewayIf, localTable, err)
	}
	_, all, err := net.ParseCIDR("0.0.0.0/0")
	if err != nil {
		return err
	}
	lo, err := h.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("link lo: %w", err)
	}
	route := &netlink.Route{LinkIndex: lo.Attrs().Index, Dst: all, Table: localTable, Type: unix.RTN_LOCAL, Scope: netlink.SCOPE_HOST}
	if err := h.RouteAdd(route); err != nil {
		return fmt.Errorf("route add local %s table %d: %w", all, localTable, err)
	}
	return nil
}

// listen opens every socket of the gateway. It does not hop threads: only name
// resolution would, and there is none.
func (c *cell) listen(ctx context.Context, ports []uint16, services []*service, index int) error {
	anyAddr := netip.IPv4Unspecified()
	gateway := netip.MustParseAddr(GatewayAddr)
	for _, port := range ports {
		l, err := listenTCP(ctx, netip.AddrPortFrom(anyAddr, port))
		if err != nil {
			return err
		}
		c.doors[port] = l
		c.push(l.Close)
	}
	var err error
	if c.proxy, err = listenTCP(ctx, netip.AddrPortFrom(gateway, ProxyPort)); err != nil {
		return err
	}
	c.push(c.proxy.Close)
	for _, s := range services {
		l, err := listenTCP(ctx, netip.AddrPortFrom(gateway, s.port))
		if err != nil {
			return err
		}
		c.services = append(c.services, l)
		c.push(l.Close)
	}
	if c.dnsTCP, err = listenTCP(ctx, netip.AddrPortFrom(gateway, 53)); err != nil {
		return err
	}
	c.push(c.dnsTCP.Close)
	if c.dnsUDP, err = listenUDP(ctx, netip.AddrPortFrom(gateway, 53)); err != nil {
		return err
	}
	c.push(c.dnsUDP.Close)
	if c.tap, err = openTap(ports, index); err != nil {
		return err
	}
	c.push(c.tap.close)
	return nil
}

// listenTCP listens with IP_TRANSPARENT.
func listenTCP(ctx context.Context, addr netip.AddrPort) (*net.TCPListener, error) {
	lc := net.ListenConfig{Control: transparent}
	lc.SetMultipathTCP(false) // splice(2) between sockets wants plain TCP
	l, err := lc.Listen(ctx, "tcp4", addr.String())
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

func listenUDP(ctx context.Context, addr netip.AddrPort) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: transparent}
	c, err := lc.ListenPacket(ctx, "udp4", addr.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}

// transparent sets IP_TRANSPARENT: else an answer as an address that is not the
// namespace's own has no valid source, and the client waits in vain (ip(7)).
func transparent(_, _ string, c syscall.RawConn) error {
	var errno error
	err := c.Control(func(fd uintptr) {
		errno = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_TRANSPARENT, 1)
	})
	return errors.Join(err, os.NewSyscallError("setsockopt IP_TRANSPARENT", errno))
}

// sysctlIfAny ignores a file that this kernel does not have: without IPv6 there
// is nothing to switch off.
func sysctlIfAny(path, value string) error {
	err := linux.Sysctl(path, value)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
