// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// The names and addresses of the network's attempts. AllowedHost, and below
// RebindDomain every name, are allowed; ForeignHost is not. The addresses are the
// documentation's (RFC 5737, RFC 3849): they are nobody's.
const (
	AllowedHost  = "allowed.test"
	ForeignHost  = "foreign.test"
	RebindDomain = "rebind.test"
	foreignAddr  = "203.0.113.10"
	gatewayAddr  = "169.254.1.1" // of the runner, in each job's network; outside every address is local
	proxyAddr    = gatewayAddr + ":3128"
)

// refusalTime is how long a refusal by the policy may take inside. The table says
// 1 s; a refusal that is a dropped packet takes minutes.
const refusalTime = time.Second

// policed holds what the policy of the network stops.
func policed() []Attempt {
	refused, reset := []string{"ECONNREFUSED"}, []string{"alert 112"}
	network := []string{"--allow", AllowedHost + ",*." + RebindDomain}
	row := func(id, what string, want []string, logged *Logged, run func() (string, error)) Attempt {
		return Attempt{
			ID: id, What: what, Want: want, Control: InUserNamespace, Runner: network, Logged: logged,
			run: func([]string) (string, error) { return inTime(run) },
		}
	}
	long := strings.Repeat("5", 60) + "." + strings.Repeat("e", 60) + "." + ForeignHost
	return []Attempt{
		row("net-04-port", "TCP to a public address", refused, &Logged{Door: "tcp", Dst: foreignAddr + ":4444", Reason: "no-name"}, connects("tcp4", foreignAddr+":4444")),
		row("net-04-tls", "TLS to a public address, by a name that is not allowed", reset, &Logged{Door: "tls", Host: ForeignHost, Dst: foreignAddr + ":443", Reason: "host"}, handshakes(foreignAddr+":443", ForeignHost)),
		row("net-04-http", "HTTP to a public address", []string{"403"}, &Logged{Door: "http", Host: foreignAddr, Dst: foreignAddr + ":80", Reason: "ip-literal"}, gets(foreignAddr+":80", foreignAddr)),
		row("net-05", "TCP to the address of an allowed host, another port", refused, &Logged{Door: "tcp", Dst: gatewayAddr + ":4444", Reason: "port", ProcessMayBeGone: true}, connects("tcp4", AllowedHost+":4444")),
		row("net-05-proxy", "an allowed host by another port, through the proxy", []string{"403"}, &Logged{Door: "connect", Host: AllowedHost, Dst: proxyAddr, Reason: "port"}, tunnels(AllowedHost+":4444")),
		row("net-06-sni", "TLS to the address of an allowed host, with a foreign name", reset, &Logged{Door: "tls", Host: ForeignHost, Dst: gatewayAddr + ":443", Reason: "host"}, handshakes(AllowedHost+":443", ForeignHost)),
		row("net-06-host", "HTTP to the address of an allowed host, with a foreign Host", []string{"403"}, &Logged{Door: "http", Host: ForeignHost, Dst: gatewayAddr + ":80", Reason: "host"}, gets(gatewayAddr+":80", ForeignHost)),
		row("net-06-inside", "a CONNECT to an allowed host, with a foreign name inside", reset, &Logged{Door: "connect", Host: ForeignHost, Reason: "sni-mismatch"}, func() (string, error) { return tunnelThenHello(AllowedHost+":443", ForeignHost) }),
		row("net-07", "a DNS question with 60-byte labels to a domain that is not allowed", []string{"NXDOMAIN", "REFUSED"}, &Logged{Door: "dns", Host: long, Reason: "host"}, asks("udp", gatewayAddr+":53", long)),
		row("net-07-tcp", "the same over TCP", []string{"NXDOMAIN", "REFUSED"}, &Logged{Door: "dns", Host: "tcp." + long, Reason: "host"}, asks("tcp", gatewayAddr+":53", "tcp."+long)),
		row("net-08-udp", "DNS to a server outside", refused, &Logged{Door: "udp", Dst: "203.0.113.53:53", Reason: "no-name"}, asks("udp", "203.0.113.53:53", ForeignHost)),
		row("net-08-tcp", "DNS over TCP to a server outside", refused, &Logged{Door: "tcp", Dst: "203.0.113.54:53", Reason: "no-name"}, asks("tcp", "203.0.113.54:53", ForeignHost)),
		row("net-08-dot", "DNS over TLS to a server outside", refused, &Logged{Door: "tcp", Dst: "203.0.113.55:853", Reason: "no-name"}, connects("tcp4", "203.0.113.55:853")),
		rebinds("loopback", row), rebinds("link", row), rebinds("private", row),
		{
			ID: "net-10", What: "connect to the gateway on every port below 1024 but its doors", Want: refused, Control: InUserNamespace, Runner: network,
			Logged: &Logged{Door: "tcp", Reason: "port", ProcessMayBeGone: true},
			run:    func([]string) (string, error) { return scans() },
		},
		{
			ID: "net-11", What: "connect to a service of another job", Want: refused, Control: InUserNamespace, Runner: network,
			run: func(args []string) (string, error) { return dials("tcp4")(args) },
		},
		{
			ID: "net-12-network", What: "connect to a service on the host's 127.0.0.1", Want: refused, Control: InHostNetwork, Runner: network,
			run: dials("tcp4"),
		},
		{
			ID: "net-13-network", What: "connect to an abstract socket of the host", Want: refused, Control: InHostNetwork, Runner: network,
			run: dials("unix"),
		},
		row("net-14", "TCP over IPv6 to an address outside", []string{"ENETUNREACH", "EADDRNOTAVAIL"}, nil, connects("tcp6", "[2001:db8::10]:4444")),
		{
			ID: "net-14-link", What: "TCP over IPv6 to a link-local address", WantCI: []string{"ENETUNREACH", "EADDRNOTAVAIL"}, Want: []string{"EINVAL"}, Runner: network,
			Control: Nowhere, NoControl: "needs a neighbour on a real link",
			run: func([]string) (string, error) { return inTime(connects("tcp6", "[fe80::1%"+device()+"]:4444")) },
		},
		row("net-15-http", "the cloud's metadata service", []string{"403"}, &Logged{Door: "http", Host: "169.254.169.254", Dst: "169.254.169.254:80", Reason: "ip-literal"}, gets("169.254.169.254:80", "169.254.169.254")),
		row("net-15-port", "the cloud's metadata address, another port", refused, &Logged{Door: "tcp", Dst: "169.254.169.254:4444", Reason: "no-name"}, connects("tcp4", "169.254.169.254:4444")),
		row("net-15-ipv6", "the cloud's metadata service over IPv6", []string{"ENETUNREACH", "EADDRNOTAVAIL"}, nil, connects("tcp6", "[fd00:ec2::254]:80")),
		row("net-15-name", "the name of the cloud's metadata service", []string{"NXDOMAIN"}, &Logged{Door: "dns", Host: "metadata.google.internal", Reason: "host"}, asks("udp", gatewayAddr+":53", "metadata.google.internal")),
		{
			ID: "net-16-addr", What: "add an address to the loopback", Want: []string{"EAFNOSUPPORT"}, WantCI: []string{"EPERM"}, Control: InUserNamespace, Runner: network,
			run: func([]string) (string, error) { return addAddress() },
		},
		{
			ID: "net-16-nft", What: "a socket to nftables", Want: []string{"EAFNOSUPPORT"}, WantCI: []string{"EPROTONOSUPPORT"},
			Control: InUserNamespace, Runner: network,
			run: socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER),
		},
		{
			ID: "net-16-ioctl", What: "SIOCSIFADDR, which needs no netlink", Want: []string{"ENOTTY"},
			Control: InUserNamespace, Runner: network,
			run: func([]string) (string, error) { return setAddress() },
		},
		{
			ID: "net-17", What: "a flood of UDP for two seconds", Want: refused, Control: InUserNamespace, Runner: network,
			Logged: &Logged{Door: "udp", Reason: "limit", ProcessMayBeGone: true}, // counted, no longer looked at
			run:    func([]string) (string, error) { return floodUDP(2 * time.Second) },
		},
		row("net-18", "QUIC to the address of an allowed host", refused, &Logged{Door: "udp", Dst: gatewayAddr + ":443", Reason: "port", ProcessMayBeGone: true}, echoes(gatewayAddr+":443")),
		row("net-19", "CONNECT to a host that is not allowed", []string{"403"}, &Logged{Door: "connect", Host: ForeignHost, Dst: proxyAddr, Reason: "host"}, tunnels(ForeignHost+":443")),
		row("net-20", "a host that is not allowed, without the proxy and through it", []string{"both"}, &Logged{Door: "tls", Host: ForeignHost, Dst: "203.0.113.20:443", Reason: "host"}, func() (string, error) {
			return twice(handshakes("203.0.113.20:443", ForeignHost), tunnels(ForeignHost+":443"))
		}),
		{
			ID: "net-20-allowed", What: "an allowed host, without the proxy and through it", Allowed: true, Control: InUserNamespace, Runner: network,
			run: func([]string) (string, error) {
				return twice(handshakes("203.0.113.20:443", AllowedHost), func() (string, error) { return tunnelThenHello(AllowedHost+":443", AllowedHost) })
			},
		},
	}
}

// rebinds is TLS to an allowed name that the resolver of the operator says to be
// at an address of the operator's own networks.
func rebinds(where string, row func(string, string, []string, *Logged, func() (string, error)) Attempt) Attempt {
	name := where + "." + RebindDomain
	return row("net-09-"+where, "an allowed name that DNS puts at an address of the operator's: "+where, []string{"alert 80"},
		&Logged{Door: "tls", Host: name, Reason: "private-address"}, handshakes(gatewayAddr+":443", name))
}

// inTime is run, whose refusal has to come in time.
func inTime(run func() (string, error)) (string, error) {
	start := time.Now()
	what, err := run()
	if took := time.Since(start); err != nil && took > refusalTime {
		return "", broken(fmt.Sprintf("refused after %v", took), err)
	}
	return what, err
}

// patience is how long an attempt waits for anything at all.
const patience = 5 * time.Second

func connects(network, addr string) func() (string, error) {
	return func() (string, error) { return dials(network)([]string{addr}) }
}

func dialFor(network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), patience, errors.New("no answer"))
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(patience))
}

// handshakes begins TLS; the certificate is no matter.
func handshakes(addr, name string) func() (string, error) {
	return func() (string, error) {
		c, err := dialFor("tcp4", addr)
		if err != nil {
			return "", err
		}
		defer c.Close() //nolint:errcheck // the process ends
		return hello(c, name)
	}
}

func hello(c net.Conn, name string) (string, error) {
	t := tls.Client(c, &tls.Config{ServerName: name, InsecureSkipVerify: true}) // whoever answers, it is an escape
	err := t.HandshakeContext(context.Background())
	if alert, ok := errors.AsType[tls.AlertError](err); ok {
		return "", answer("alert " + strconv.Itoa(int(uint8(alert))))
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return "", answer(alertOf(op.Err))
	}
	if err != nil {
		return "", err
	}
	return "TLS with " + name, nil
}

// alertOf names the alerts that the runner sends; crypto/tls has a type of its
// own for those of a peer, whose number it does not show.
func alertOf(err error) string {
	switch text := err.Error(); text {
	case "tls: unrecognized name":
		return "alert 112"
	case "tls: internal error":
		return "alert 80"
	default:
		return text
	}
}

func gets(addr, host string) func() (string, error) {
	return func() (string, error) {
		c, err := dialFor("tcp4", addr)
		if err != nil {
			return "", err
		}
		defer c.Close() //nolint:errcheck // the process ends
		if _, err := fmt.Fprintf(c, "GET /latest/meta-data/ HTTP/1.1\r\nHost: %s\r\n\r\n", host); err != nil {
			return "", err
		}
		return status(bufio.NewReader(c), nil)
	}
}

func status(r *bufio.Reader, to *http.Request) (string, error) {
	resp, err := http.ReadResponse(r, to)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return "", answer(strconv.Itoa(resp.StatusCode))
	}
	return resp.Status, nil
}

func tunnels(to string) func() (string, error) {
	return func() (string, error) {
		c, err := tunnel(to)
		if err != nil {
			return "", err
		}
		return "a tunnel to " + to, c.Close()
	}
}

func tunnelThenHello(to, name string) (string, error) {
	c, err := tunnel(to)
	if err != nil {
		return "", err
	}
	defer c.Close() //nolint:errcheck // the process ends
	return hello(c, name)
}

func tunnel(to string) (net.Conn, error) {
	c, err := dialFor("tcp4", proxyAddr)
	if err != nil {
		return nil, err
	}
	if _, err = fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", to); err == nil {
		_, err = status(bufio.NewReader(c), &http.Request{Method: http.MethodConnect})
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// asks sends one question to a server.
func asks(network, server, name string) func() (string, error) {
	return func() (string, error) {
		c, err := dialFor(network, server)
		if err != nil {
			return "", err
		}
		defer c.Close() //nolint:errcheck // the process ends
		d := &dns.Conn{Conn: c}
		if err := d.WriteMsg(new(dns.Msg).SetQuestion(name+".", dns.TypeA)); err != nil {
			return "", err
		}
		m, err := d.ReadMsg()
		if err != nil {
			return "", err
		}
		if m.Rcode != dns.RcodeSuccess {
			return "", answer(dns.RcodeToString[m.Rcode])
		}
		return fmt.Sprintf("%d records of %s", len(m.Answer), name), nil
	}
}

// echoes sends a datagram and waits for one.
func echoes(addr string) func() (string, error) {
	return func() (string, error) {
		c, err := dialFor("udp4", addr)
		if err != nil {
			return "", err
		}
		defer c.Close() //nolint:errcheck // the process ends
		if _, err := c.Write([]byte("x")); err != nil {
			return "", err
		}
		n, err := c.Read(make([]byte, 8))
		return fmt.Sprintf("%d bytes from %s", n, addr), err
	}
}

// scans tries the ports of the gateway one after the other.
func scans() (string, error) {
	var last error
	for port := 1; port < 1024; port++ {
		if port == 53 || port == 80 || port == 443 {
			continue
		}
		what, err := inTime(func() (string, error) {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return "", err
			}
			err = unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{169, 254, 1, 1}})
			return fmt.Sprintf("port %d", port), errors.Join(err, unix.Close(fd))
		})
		if last = err; !errors.Is(err, unix.ECONNREFUSED) {
			return what, err
		}
	}
	return "", last
}

// twice makes the attempt in two ways, which must end alike.
func twice(direct, proxied func() (string, error)) (string, error) {
	a, errA := direct()
	_, errB := proxied()
	if (errA == nil) != (errB == nil) {
		return "", fmt.Errorf("directly %v, through the proxy %v", errA, errB) //nolint:errorlint // no errno: it is a difference
	}
	if errA != nil {
		return "", answer("both")
	}
	return "both: " + a, nil
}

// floodUDP sends as fast as it can and looks for an answer.
func floodUDP(long time.Duration) (string, error) {
	c, err := dialFor("udp4", "203.0.113.17:9999")
	if err != nil {
		return "", err
	}
	defer c.Close() //nolint:errcheck // the process ends
	b := make([]byte, 1200)
	var refused error
	for end := time.Now().Add(long); time.Now().Before(end); {
		for range 64 {
			if _, err := c.Write(b); err != nil {
				refused = err
			}
		}
	}
	if err := c.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		return "", err
	}
	for {
		_, err := c.Read(b)
		switch {
		case err == nil:
			return "answered", nil
		case errors.Is(err, unix.ECONNREFUSED):
			refused = err
		case refused != nil:
			return "", refused
		default:
			return "", err
		}
	}
}

// device is the first device that is not the loopback.
func device() string {
	all, err := net.Interfaces()
	if err == nil {
		for _, i := range all {
			if i.Flags&net.FlagLoopback == 0 {
				return i.Name
			}
		}
	}
	return "lo"
}

// addAddress is "ip addr add 203.0.113.77/32 dev lo" (rtnetlink(7)).
func addAddress() (string, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd) //nolint:errcheck // the process ends
	// nlmsghdr (16), ifaddrmsg (8), an attribute IFA_LOCAL with its address (8).
	msg := []byte{
		32, 0, 0, 0, unix.RTM_NEWADDR, 0, unix.NLM_F_REQUEST | unix.NLM_F_ACK, unix.NLM_F_CREATE >> 8, 1, 0, 0, 0, 0, 0, 0, 0,
		unix.AF_INET, 32, 0, 0, 1, 0, 0, 0,
		8, 0, unix.IFA_LOCAL, 0, 203, 0, 113, 77,
	}
	if err := unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return "", err
	}
	b := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, b, 0)
	if err != nil {
		return "", err
	}
	if n < 20 {
		return "", io.ErrUnexpectedEOF
	}
	if errno := -int32(uint32(b[16]) | uint32(b[17])<<8 | uint32(b[18])<<16 | uint32(b[19])<<24); errno != 0 {
		return "", syscall.Errno(errno)
	}
	return "an address", nil
}

// setAddress gives the loopback an address (netdevice(7)).
func setAddress() (string, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd) //nolint:errcheck // the process ends
	var req [40]byte
	copy(req[:], "lo:1")
	copy(req[16:], []byte{unix.AF_INET, 0, 0, 0, 203, 0, 113, 78})
	return "an address", inChild(call{unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFADDR, pointer(&req)})
}

// Serve answers on an address until the process ends, and says so.
func Serve(addr string) error {
	l, err := net.Listen("tcp4", addr) // the process ends
	if err != nil {
		return err
	}
	fmt.Println("listening")
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		_ = c.Close()
	}
}

// hostsFile makes the allowed name known outside, where no resolver is.
func hostsFile() error {
	return os.WriteFile("/etc/hosts", []byte("127.0.0.1 localhost\n"+gatewayAddr+" "+AllowedHost+"\n"), 0o644) // a mount of the attempt's own
}
