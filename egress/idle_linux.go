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
			if p.conn == nil {
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
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.SOL_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		quiet = time.Duration(min(info.Last_data_sent, info.Last_data_recv)) * time.Millisecond
		ok = true
	})
	return quiet, ok && err == nil
}
