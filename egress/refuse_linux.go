// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// refusal builds the answer that makes the job's kernel give up at once: a
// reset for TCP (RFC 9293 section 3.10.7.1), else an ICMP error (RFC 792). Nil
// if there is none to give.
func refusal(p packet) []byte {
	switch p.proto {
	case unix.IPPROTO_TCP:
		if len(p.ip) < p.header+20 {
			return nil
		}
		seg := p.ip[p.header:]
		b := ipHeader(unix.IPPROTO_TCP, 20, p.dst.Addr().As4(), p.src.Addr().As4())
		t := b[20:]
		copy(t[0:2], seg[2:4])
		copy(t[2:4], seg[0:2])
		binary.BigEndian.PutUint32(t[8:], binary.BigEndian.Uint32(seg[4:])+1)
		t[12] = 5 << 4
		t[13] = 0x14 // RST, ACK
		pseudo := append(append([]byte{}, b[12:20]...), 0, unix.IPPROTO_TCP, 0, 20)
		binary.BigEndian.PutUint16(t[16:], checksum(append(pseudo, t...)))
		return b
	case unix.IPPROTO_UDP:
		return unreachable(p, 3) // port
	default:
		return unreachable(p, 13) // communication administratively prohibited
	}
}

// unreachable is an ICMP error with the head of the packet that it is about.
func unreachable(p packet, code byte) []byte {
	about := p.ip[:p.header+8]
	b := ipHeader(unix.IPPROTO_ICMP, 8+len(about), p.dst.Addr().As4(), p.src.Addr().As4())
	if p.dst.Addr().IsMulticast() {
		return nil // RFC 1122 section 3.2.2: never about a multicast
	}
	m := b[20:]
	m[0], m[1] = 3, code
	copy(m[8:], about)
	binary.BigEndian.PutUint16(m[2:], checksum(m))
	return b
}

// ipHeader returns a packet with its header filled in; the kernel adds the
// length, the identification and the checksum (raw(7)).
func ipHeader(proto byte, payload int, src, dst [4]byte) []byte {
	b := make([]byte, 20+payload)
	b[0] = 4<<4 | 5
	b[8] = 64
	b[9] = proto
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	return b
}

// checksum is the Internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
