// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// watch ends passages through which nothing went for limit. The kernel knows when
// the job's end last sent and got something (tcp_info, tcp(7)), so that nothing has
// to stand between the two connections: they stay joined by splice(2).
func (s *passages) watch(ctx context.Context, limit time.Duration) {
	tick := time.NewTicker(max(limit/8, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, p := range s.all() {
			if !p.opaque {
				continue
			}
			if quiet, ok := quietFor(p.conn); ok && quiet >= limit {
				p.idle.Store(true)
				reset(p.conn)
			}
		}
	}
}

// quietFor is how long a connection neither sent nor got any data.
func quietFor(c *net.TCPConn) (quiet time.Duration, ok bool) {
	info, ok := tcpInfo(c)
	return time.Duration(min(info.Last_data_sent, info.Last_data_recv)) * time.Millisecond, ok
}

// hungUp reports whether the other end has closed its side of the connection, or
// reset it.
func hungUp(c *net.TCPConn) bool {
	info, ok := tcpInfo(c)
	return !ok || info.State != unix.BPF_TCP_ESTABLISHED && info.State != unix.BPF_TCP_FIN_WAIT1 && info.State != unix.BPF_TCP_FIN_WAIT2
}

// tcpInfo returns false for a connection that we have closed.
func tcpInfo(c *net.TCPConn) (info unix.TCPInfo, ok bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return info, false
	}
	err = raw.Control(func(fd uintptr) {
		if got, err := unix.GetsockoptTCPInfo(int(fd), unix.SOL_TCP, unix.TCP_INFO); err == nil {
			info, ok = *got, true
		}
	})
	return info, ok && err == nil
}
