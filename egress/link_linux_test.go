// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Until the kernel has made the gateway's end of the veth active it drops what is sent
// there, and the job's first packet gets its answer a second later.
func TestLinkIsActive(t *testing.T) {
	down := 0
	for range 200 {
		j := openJob(t, nil)
		raw, err := j.n.cell.proxy.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		ifr, err := unix.NewIfreq(gatewayIf)
		if err != nil {
			t.Fatal(err)
		}
		if cerr := raw.Control(func(fd uintptr) { err = unix.IoctlIfreq(int(fd), unix.SIOCGIFFLAGS, ifr) }); cerr != nil || err != nil {
			t.Fatal(cerr, err)
		}
		if ifr.Uint16()&unix.IFF_RUNNING == 0 {
			down++
		}
		_ = j.n.Close()
	}
	if down > 0 {
		t.Errorf("the link was not active %d times", down)
	}
}
