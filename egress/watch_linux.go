// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// What a flood of packets may cost us. Past the first bound a packet is refused as
// the others but only counted: to look for its process costs a hundred times the
// answer. Past the second it gets none.
const (
	watchPerSecond  = 500
	answerPerSecond = 20_000
)

// watcher answers and records what the tap sees.
type watcher struct {
	g      *gateway
	tap    *tap
	bucket bucket
	answer bucket
}

// run reads one raw socket until it is closed.
func (w *watcher) run(ctx context.Context, in *os.File) {
	buf := make([]byte, tapSnap)
	for {
		n, err := in.Read(buf)
		if errors.Is(err, fs.ErrClosed) {
			return
		}
		if err != nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(20 * time.Millisecond):
				continue
			}
		}
		p, err := parsePacket(buf[:n])
		if err != nil {
			continue
		}
		w.packet(ctx, p)
	}
}

func (w *watcher) packet(ctx context.Context, p packet) {
	defer w.g.survive(ctx, p.door())
	gateway := netip.MustParseAddr(GatewayAddr)
	toGateway := p.dst.Addr() == gateway
	if p.proto == unix.IPPROTO_TCP && toGateway && w.g.isOwn(p.dst.Port()) {
		return // these doors are open at that address only
	}
	if p.src.Addr() == gateway { // our own answers pass lo
		return
	}
	e := Event{Verdict: VerdictDeny, Rule: "default", Door: p.door(), Proto: string(p.door()), Port: p.dst.Port(), Dst: p.dst.String(), Reason: ReasonNoName}
	if p.proto == unix.IPPROTO_ICMP {
		e.Dst = p.dst.Addr().String()
	} else if host, ok := w.g.virtual.host(p.dst.Addr()); ok {
		e.Host, e.Reason = host, ReasonPort
	} else if toGateway {
		e.Reason = ReasonPort
	}
	if !w.bucket.take(time.Now()) {
		e.Reason, e.Dst, e.Port = ReasonLimit, "", 0
		e.Hint = "at most " + strconv.Itoa(watchPerSecond) + " packets a second are looked at"
		w.g.rec.emit(e)
		w.refuse(p)
		return
	}
	// Before the answer: then the socket is gone.
	if p.proto != unix.IPPROTO_ICMP {
		o := w.g.who(p.proto, p.src, p.dst)
		e.by(o)
	}
	w.g.rec.emit(e)
	w.refuse(p)
}

func (w *watcher) refuse(p packet) {
	if !w.answer.take(time.Now()) {
		return
	}
	if b := refusal(p); b != nil {
		w.send(b, p.src.Addr())
	}
}

func (w *watcher) send(b []byte, to netip.Addr) {
	raw, err := w.tap.out.SyscallConn()
	if err != nil {
		return
	}
	// Best effort: without the answer the client waits for its own time-out.
	_ = raw.Write(func(fd uintptr) bool {
		_ = unix.Sendto(int(fd), b, unix.MSG_DONTWAIT, &unix.SockaddrInet4{Addr: to.As4()})
		return true
	})
}
