// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// The tap sees what the job tries on ports that are no door, and answers it, so
// that a refusal is immediate: every packet of the job is local to the gateway,
// and raw sockets get a copy of it (raw(7)).
//
// A packet socket would see as much, but closing one waits 9 to 12 ms for the
// kernel (synchronize_net in packet_release; measured on 6.18). A prohibit rule
// would answer by itself, but only five times, then once a second
// (ip_rt_error_burst in net/ipv4/route.c, which is not per namespace).

// tapSnap is how much of a packet the tap gets: headers only.
const tapSnap = 128

// tap is one raw socket for each protocol and one to answer with.
type tap struct {
	in  []*os.File // TCP, UDP, ICMP
	out *os.File
}

func openTap(ports []uint16, index int) (*tap, error) {
	t := &tap{}
	for _, in := range []struct {
		proto  int
		filter []unix.SockFilter
	}{
		{unix.IPPROTO_TCP, synFilter(ports)},
		{unix.IPPROTO_UDP, udpFilter()},
		{unix.IPPROTO_ICMP, icmpFilter()},
	} {
		f, err := rawSocket(in.proto, in.filter, 0)
		if err != nil {
			_ = t.close()
			return nil, err
		}
		t.in = append(t.in, f)
	}
	out, err := rawSocket(unix.IPPROTO_RAW, nil, index) // with IP_HDRINCL: we may answer as any address
	if err != nil {
		_ = t.close()
		return nil, err
	}
	t.out = out
	return t, nil
}

func (t *tap) close() error {
	var errs []error
	for _, f := range t.in {
		errs = append(errs, f.Close())
	}
	if t.out != nil {
		errs = append(errs, t.out.Close())
	}
	return errors.Join(errs...)
}

// rawSocket opens a raw socket with a filter. With a device it also joins there
// the groups of service discovery, which is what honest tools send by multicast:
// without a member the kernel drops it before the tap.
func rawSocket(proto int, filter []unix.SockFilter, joinOn int) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	if err != nil {
		return nil, os.NewSyscallError("socket raw", err)
	}
	if len(filter) > 0 {
		prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
		if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
			_ = unix.Close(fd)
			return nil, os.NewSyscallError("setsockopt SO_ATTACH_FILTER", err)
		}
	}
	if joinOn != 0 {
		for _, group := range [][4]byte{{224, 0, 0, 251}, {239, 255, 255, 250}} {
			mreq := &unix.IPMreqn{Multiaddr: group, Ifindex: int32(joinOn)}
			if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, mreq); err != nil {
				_ = unix.Close(fd)
				return nil, os.NewSyscallError("setsockopt IP_ADD_MEMBERSHIP", err)
			}
		}
	}
	return os.NewFile(uintptr(fd), "raw socket"), nil
}

// Opcodes of classic BPF (linux/bpf_common.h, linux/filter.h).
const (
	bpfLoadWord     = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	bpfLoadByteX    = unix.BPF_LD | unix.BPF_B | unix.BPF_IND
	bpfLoadHalfX    = unix.BPF_LD | unix.BPF_H | unix.BPF_IND
	bpfHeaderLength = unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH // X = 4 × low half of the byte
	bpfAnd          = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	bpfIfEqual      = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	bpfReturn       = unix.BPF_RET | unix.BPF_K
)

// synFilter passes the first packet of connections to ports that are no door. It
// bounds what a busy connection costs to one program run a packet. The kernel
// reassembles before it delivers, so there are no fragments.
func synFilter(ports []uint16) []unix.SockFilter {
	f := []unix.SockFilter{
		{Code: bpfHeaderLength, K: 0},
		{Code: bpfLoadByteX, K: 13},
		{Code: bpfAnd, K: 0x12},
		{Code: bpfIfEqual, K: 0x02, Jt: 1}, // SYN without ACK
		{Code: bpfReturn, K: 0},
		{Code: bpfLoadHalfX, K: 2},
	}
	for _, p := range ports {
		f = append(f, unix.SockFilter{Code: bpfIfEqual, K: uint32(p), Jf: 1}, unix.SockFilter{Code: bpfReturn, K: 0})
	}
	return append(f, unix.SockFilter{Code: bpfReturn, K: tapSnap})
}

// udpFilter passes all but questions to our resolver.
func udpFilter() []unix.SockFilter {
	gateway := netip.MustParseAddr(GatewayAddr).As4()
	return []unix.SockFilter{
		{Code: bpfHeaderLength, K: 0},
		{Code: bpfLoadHalfX, K: 2},
		{Code: bpfIfEqual, K: 53, Jf: 3},
		{Code: bpfLoadWord, K: 16},
		{Code: bpfIfEqual, K: binary.BigEndian.Uint32(gateway[:]), Jf: 1},
		{Code: bpfReturn, K: 0},
		{Code: bpfReturn, K: tapSnap},
	}
}

// icmpFilter passes all but error messages about our own packets.
func icmpFilter() []unix.SockFilter {
	return []unix.SockFilter{
		{Code: bpfHeaderLength, K: 0},
		{Code: bpfLoadByteX, K: 0},
		{Code: bpfIfEqual, K: 3, Jt: 2},  // destination unreachable
		{Code: bpfIfEqual, K: 11, Jt: 1}, // time exceeded
		{Code: bpfReturn, K: tapSnap},
		{Code: bpfReturn, K: 0},
	}
}

// packet is what the tap reads of an IPv4 packet.
type packet struct {
	proto    uint8
	src, dst netip.AddrPort // of ICMP: port 0
	ip       []byte         // header and what follows, at most tapSnap
	header   int            // length of the IP header
}

func (p packet) door() Door {
	switch p.proto {
	case unix.IPPROTO_TCP:
		return DoorTCP
	case unix.IPPROTO_UDP:
		return DoorUDP
	default:
		return DoorICMP
	}
}

// parsePacket reads an IPv4 packet, cut at tapSnap.
func parsePacket(b []byte) (packet, error) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return packet{}, fmt.Errorf("packet of %d bytes: no IPv4 header", len(b))
	}
	header := int(b[0]&0xf) * 4
	if header < 20 || len(b) < header+8 {
		return packet{}, fmt.Errorf("packet of %d bytes: header of %d", len(b), header)
	}
	p := packet{proto: b[9], ip: b, header: header}
	src, dst := netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	switch p.proto {
	case unix.IPPROTO_TCP, unix.IPPROTO_UDP:
		p.src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(b[header:]))
		p.dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[header+2:]))
	default:
		p.src, p.dst = netip.AddrPortFrom(src, 0), netip.AddrPortFrom(dst, 0)
	}
	return p, nil
}
