// SPDX-License-Identifier: Apache-2.0

package seccomp

const (
	afUnix    = 1
	afInet    = 2
	afInet6   = 10
	afNetlink = 16

	sockStream    = 1
	sockDgram     = 2
	sockRaw       = 3
	sockSeqpacket = 5

	sockTypeMask = 0xf // the rest are flags: SOCK_CLOEXEC, SOCK_NONBLOCK
)

// checkSocket allows local, TCP and UDP sockets. AF_VSOCK is not bound to a
// network namespace, AF_ALG and the rare protocols are a large surface for
// nothing that a build needs.
func (p Profile) checkSocket() rule {
	// Protocol: default, TCP, UDP. MPTCP 262 gets the answer on which Go falls back
	// to TCP (it asks first since 1.24): Landlock and proxies do not cover it.
	inet := byBits(1, sockTypeMask, fail(eperm),
		oneOf(byArg(2, fail(eprotonosupport), oneOf(allow(), 0, 6, 17)), sockStream, sockDgram))
	families := [][]choice{
		oneOf(byBits(1, sockTypeMask, fail(eperm), oneOf(allow(), sockStream, sockDgram, sockSeqpacket)), afUnix),
		oneOf(inet, afInet, afInet6),
	}
	if p.NetlinkRoute {
		// Reading only: changes need CAP_NET_ADMIN, which a job never has.
		route := byBits(1, sockTypeMask, fail(eperm),
			oneOf(byArg(2, fail(eprotonosupport), oneOf(allow(), 0)), sockDgram, sockRaw))
		families = append(families, oneOf(route, afNetlink))
	}
	return byArg(0, notify(eafnosupport), families...)
}

// checkSockopt allows the levels of the sockets that checkSocket allows. At the
// IP levels it refuses the numbers of iptables, arptables, ebtables and IPVS
// (from 64 on, CVE-2021-22555); IPv6 has ordinary options between and behind.
func (p Profile) checkSockopt() rule {
	const solIP, solSocket, solTCP, solUDP, solIPv6, solNetlink = 0, 1, 6, 17, 41, 270
	ip := byArg(2, fail(eperm), []choice{when(0, 63, allow())})
	ip6 := byArg(2, fail(eperm), []choice{when(0, 63, allow()), when(66, 67, allow()), when(70, 79, allow())})
	levels := [][]choice{
		oneOf(ip, solIP), oneOf(ip6, solIPv6),
		oneOf(allow(), solSocket, solTCP, solUDP),
	}
	if p.NetlinkRoute {
		levels = append(levels, oneOf(allow(), solNetlink))
	}
	// ENOPROTOOPT is what a socket says to a level that is not its own.
	return byArg(1, fail(enoprotoopt), levels...)
}
