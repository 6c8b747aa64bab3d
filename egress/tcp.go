// SPDX-License-Identifier: Apache-2.0

package egress

import "context"

// tcp serves a connection to the virtual address of a host, if the host has that
// port for any protocol. It reports whether the connection was served.
func (g *gateway) tcp(ctx context.Context, v *visit) bool {
	host, ok := g.virtual.host(v.dst.Addr())
	if !ok {
		return false
	}
	v.origin = g.whose(v)
	to := authority{host, v.dst.Port()}
	d := g.policies.host(v.origin, to.host, to.port)
	if !d.tcp {
		return false // TLS or HTTP on another port of the same host: its door looks for the name
	}
	v.slot.give()
	e := v.event(DoorTCP)
	e.Host = to.host
	if d.denied() {
		g.deny(v, e, d)
		reset(v.conn)
		return true
	}
	g.splice(ctx, v, e, nil, to, d)
	return true
}
