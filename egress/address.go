// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// errPrivate is the reason why an address is not dialled.
var errPrivate = errors.New("address is not global")

// notGlobal are the blocks that IsGlobalUnicast and IsPrivate do not know of and
// that lead into this machine, its network or its cloud (IANA special-purpose
// registries; threats 17 and 20).
func notGlobal() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("100.64.0.0/10"),    // carrier-grade NAT, and metadata of some clouds
		netip.MustParsePrefix("168.63.129.16/32"), // host services of a cloud, in a public block
		netip.MustParsePrefix("192.0.0.0/24"),
		netip.MustParsePrefix("198.18.0.0/15"), // benchmarks, and false addresses of VPN clients
		netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("64:ff9b:1::/48"),
		netip.MustParsePrefix("100::/64"),
		netip.MustParsePrefix("2001::/32"), // Teredo
		netip.MustParsePrefix("2002::/16"), // 6to4
		netip.MustParsePrefix("fec0::/10"),
		netip.MustParsePrefix("::/96"), // IPv4-compatible
	}
}

// checkGlobal returns errPrivate for an address that is not reachable from
// everywhere, and for the machine's own.
func checkGlobal(addr netip.Addr, own []netip.Addr) error {
	ip := addr.Unmap().WithZone("")
	if nat64 := netip.MustParsePrefix("64:ff9b::/96"); nat64.Contains(ip) {
		// Networks with IPv6 only reach a host of IPv4 by this prefix (RFC 6052 section
		// 2.1): it is that address which is dialled in the end.
		b := ip.As16()
		ip = netip.AddrFrom4([4]byte(b[12:]))
	}
	refuse := !ip.IsValid() || !ip.IsGlobalUnicast() || ip.IsPrivate() || slices.Contains(own, ip) ||
		slices.ContainsFunc(notGlobal(), func(p netip.Prefix) bool { return p.Contains(ip) })
	if refuse {
		return fmt.Errorf("%w: %s", errPrivate, addr)
	}
	return nil
}
