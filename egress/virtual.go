// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"encoding/binary"
	"net/netip"
	"sync"
)

// virtual hands out an address inside to each host that has a rule of ProtocolTCP:
// such a connection names nobody, so its address must. They are of the block for
// benchmarks (RFC 2544), which is nobody's, and mean something in this job only.
type virtual struct {
	mu    sync.Mutex
	addrs map[string]netip.Addr
	hosts []string // by number
}

// virtualFirst is the first address, virtualMost how many there are.
const (
	virtualFirst = 198<<24 | 18<<16 | 1
	virtualMost  = 1<<17 - 2
)

// addr returns the address of a host that was judged. The judge bounds how many
// there can be.
func (v *virtual) addr(host string) (netip.Addr, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if a, ok := v.addrs[host]; ok {
		return a, true
	}
	if len(v.hosts) >= virtualMost {
		return netip.Addr{}, false
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], virtualFirst+uint32(len(v.hosts)))
	if v.addrs == nil {
		v.addrs = map[string]netip.Addr{}
	}
	v.hosts = append(v.hosts, host)
	v.addrs[host] = netip.AddrFrom4(b)
	return v.addrs[host], true
}

// host returns whose an address is.
func (v *virtual) host(a netip.Addr) (string, bool) {
	if !a.Is4() {
		return "", false
	}
	b := a.As4()
	i := binary.BigEndian.Uint32(b[:]) - virtualFirst // below the first: a large number
	v.mu.Lock()
	defer v.mu.Unlock()
	if uint64(i) >= uint64(len(v.hosts)) {
		return "", false
	}
	return v.hosts[i], true
}
