// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"context"
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

func network() []Attempt {
	none := []string{"EAFNOSUPPORT"}
	return []Attempt{
		{
			ID: "net-01", Name: "raw_socket", What: "socket(AF_PACKET, SOCK_RAW)", Want: none, Control: InUserNamespace,
			run: socket(unix.AF_PACKET, unix.SOCK_RAW, 0x0300),
		},
		{
			ID: "net-02", Name: "netlink_socket", What: "socket(AF_NETLINK, SOCK_RAW)", Want: none, WantCI: []string{allowed}, Control: InUserNamespace,
			run: socket(unix.AF_NETLINK, unix.SOCK_RAW, 0),
		},
		{
			ID: "net-03", What: "socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)", Want: []string{"EPERM"}, Control: InUserNamespace,
			run: socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP),
		},
		{
			ID: "net-21", What: "socket(AF_VSOCK), a way to the hypervisor", Want: none,
			Control: Nowhere, NoControl: "not in every kernel",
			run: socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0),
		},
		{
			ID: "net-22", What: "socket(AF_ALG), the kernel's crypto", Want: none,
			Control: Nowhere, NoControl: "not in every kernel",
			run: socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0),
		},
		{
			ID: "net-12", What: "connect to a service on the host's 127.0.0.1", Want: []string{"ECONNREFUSED"}, Control: InHostNetwork,
			run: dials("tcp4"),
		},
		{
			ID: "net-13", What: "connect to an abstract socket of the host", Want: []string{"ECONNREFUSED"}, Control: InHostNetwork,
			run: dials("unix"),
		},
		{
			// An address of the documentation's (RFC 5737): it is nobody's.
			ID: "net-04", Name: "public egress", What: "connect to an address outside", Want: []string{"ENETUNREACH"},
			Control: Nowhere, NoControl: "no test of ours sends anything outside",
			run: func([]string) (string, error) { return dials("tcp4")([]string{"203.0.113.10:443"}) },
		},
	}
}

func socket(family, kind, protocol uintptr) func([]string) (string, error) {
	return func([]string) (string, error) {
		return "a socket", inChild(call{unix.SYS_SOCKET, family, kind, protocol})
	}
}

// dials connects to the address that the caller names.
func dials(network string) func([]string) (string, error) {
	return func(args []string) (string, error) {
		if len(args) != 1 {
			return "", errors.New("needs an address")
		}
		ctx, cancel := context.WithTimeoutCause(context.Background(), 5*time.Second, errors.New("no answer"))
		defer cancel()
		var d net.Dialer
		c, err := d.DialContext(ctx, network, args[0])
		if err != nil {
			return "", err
		}
		return "connected to " + args[0], c.Close()
	}
}
