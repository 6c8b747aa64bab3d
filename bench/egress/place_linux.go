// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/linux"
)

const (
	vethServer = "169.254.2.1"
	vethClient = "169.254.2.2"
)

// veth is a pair of namespaces that one veth joins, with nothing of ours between.
type veth struct {
	client *os.File
	listen [2]*os.File // in the server's namespace: raw, TLS
}

// newVeth makes it on a thread that is then thrown away.
func newVeth(ctx context.Context) (*veth, error) {
	v := &veth{}
	err := linux.OnDiscardedThread(func() error {
		ns, err := linux.NewNetNS()
		if err != nil {
			return err
		}
		v.client = ns
		near, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer near.Close()
		server, err := linux.NewNetNS()
		if err != nil {
			return err
		}
		defer func() { _ = server.Close() }() // the listeners keep it
		far, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer far.Close()
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "out0"
		if err := far.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(v.client.Fd()))}); err != nil {
			return fmt.Errorf("link add: %w", err)
		}
		for _, end := range []struct {
			h          *netlink.Handle
			name, addr string
		}{{far, "out0", vethServer}, {near, "eth0", vethClient}} {
			if err := address(end.h, end.name, end.addr); err != nil {
				return err
			}
		}
		for i := range v.listen {
			if v.listen[i], err = listen(ctx, vethServer+":0"); err != nil {
				return err
			}
		}
		return nil
	})
	return v, err
}

func address(h *netlink.Handle, name, addr string) error {
	l, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	ipnet := &net.IPNet{IP: net.ParseIP(addr).To4(), Mask: net.CIDRMask(30, 32)}
	if err := h.AddrAdd(l, &netlink.Addr{IPNet: ipnet}); err != nil {
		return fmt.Errorf("addr add %s: %w", addr, err)
	}
	return h.LinkSetUp(l)
}

// listen returns the descriptor of a listener in the thread's namespace.
func listen(ctx context.Context, addr string) (*os.File, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = l.Close() }() // its copy stays
	return l.(*net.TCPListener).File()
}

// addrOf is where a listener of listen listens.
func addrOf(f *os.File) (string, error) {
	sa, err := unix.Getsockname(int(f.Fd()))
	if err != nil {
		return "", err
	}
	four, ok := sa.(*unix.SockaddrInet4)
	if !ok {
		return "", errors.New("bug: a listener that is not of IPv4")
	}
	return fmt.Sprintf("%s:%d", net.IP(four.Addr[:]), four.Port), nil
}

// child is one of our processes: it ends when its stdin does.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	enc *json.Encoder
	dec *json.Decoder
}

// start runs ourselves in a role, in a network namespace if one is given.
func start(ctx context.Context, role string, netns *os.File, files ...*os.File) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.CommandContext(ctx, self, "-role", role)}
	c.cmd.Stderr, c.cmd.ExtraFiles = os.Stderr, files
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.enc, c.dec = json.NewEncoder(c.in), json.NewDecoder(out)
	if netns == nil {
		return c, c.cmd.Start()
	}
	return c, linux.OnDiscardedThread(func() error {
		if err := linux.SetNetNS(netns); err != nil {
			return err
		}
		return c.cmd.Start() // a child is in the namespace of the thread that makes it
	})
}

// order has something done.
func (c *child) order(o order) (answer, error) {
	if err := c.enc.Encode(o); err != nil {
		return answer{}, err
	}
	var a answer
	if err := c.dec.Decode(&a); err != nil {
		return a, err
	}
	if a.Err != "" {
		return a, fmt.Errorf("%s of %s at %s: %s", o.Kind, o.Host, o.Addr, a.Err)
	}
	return a, nil
}

func (c *child) end() error {
	return errors.Join(c.in.Close(), c.cmd.Wait())
}
