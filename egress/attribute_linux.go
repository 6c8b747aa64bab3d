// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// attributor finds the process behind a socket of the job: 4-tuple → inode by
// sock_diag(7) in the job's namespace, inode → process by its descriptors. It
// works while the socket is open, so it is asked before anything is answered.
type attributor struct {
	diag      *nl.SocketHandle
	processes func() []int

	mu     sync.Mutex
	last   int // the process of the last hit: tools open many connections
	budget time.Duration
	filled time.Time
}

// A job with many processes and descriptors makes a search long. What searches
// take together is bounded to a fifth of one processor, in bursts of a quarter
// of a second; what is over goes without a process.
const (
	searchBurst = 250 * time.Millisecond
	searchShare = 5
	searchLinks = 50_000 // descriptors looked at in one search
)

// begin reports whether there is time for a search.
func (a *attributor) begin(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.filled.IsZero() {
		a.budget = searchBurst
	} else {
		a.budget = min(searchBurst, a.budget+now.Sub(a.filled)/searchShare)
	}
	a.filled = now
	return a.budget > 0
}

// end takes what a search took, and remembers what it found.
func (a *attributor) end(took time.Duration, pid int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.budget -= took
	if pid != 0 {
		a.last = pid
	}
}

func (a *attributor) find(proto uint8, src, dst netip.AddrPort) origin {
	if a.processes == nil || !a.begin(time.Now()) {
		return origin{}
	}
	// Not the time of the clock: on a busy machine a search may wait longer than it
	// works, and who waits takes nothing from others.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	worked := threadTime()
	o := a.search(proto, src, dst)
	a.end(threadTime()-worked, o.PID)
	return o
}

// threadTime is how long this thread has had a processor (clock_gettime(2)).
func threadTime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) // the clock is always there
	return time.Duration(t.Nano())
}

func (a *attributor) search(proto uint8, src, dst netip.AddrPort) origin {
	inode, err := a.inode(proto, src, dst)
	if err != nil || inode == 0 {
		return origin{}
	}
	pids := a.processes()
	a.mu.Lock()
	last := a.last
	a.mu.Unlock()
	if i := slices.Index(pids, last); i > 0 {
		pids = slices.Clone(pids)
		pids[0], pids[i] = pids[i], pids[0]
	}
	link := "socket:[" + strconv.FormatUint(uint64(inode), 10) + "]"
	left := searchLinks
	for _, pid := range pids {
		if holds(pid, link, &left) {
			return describe(pid, pids)
		}
	}
	return origin{}
}

// socketID is struct inet_diag_req_v2 (linux/inet_diag.h).
type diagRequest struct {
	proto    uint8
	src, dst netip.AddrPort
}

func (*diagRequest) Len() int { return 56 }

func (r *diagRequest) Serialize() []byte {
	b := make([]byte, 0, 56)
	b = append(b, unix.AF_INET, r.proto, 0, 0)
	b = binary.NativeEndian.AppendUint32(b, ^uint32(0)) // all states
	b = binary.BigEndian.AppendUint16(b, r.src.Port())
	b = binary.BigEndian.AppendUint16(b, r.dst.Port())
	src, dst := r.src.Addr().As4(), r.dst.Addr().As4()
	b = append(append(b, src[:]...), make([]byte, 12)...)
	b = append(append(b, dst[:]...), make([]byte, 12)...)
	b = binary.NativeEndian.AppendUint32(b, 0)                       // any device
	return append(b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff) // INET_DIAG_NOCOOKIE
}

// inode asks for one socket. A dump, as the library would make, walks the tables
// of the whole machine and does not show IPv4 connections of IPv6 sockets.
func (a *attributor) inode(proto uint8, src, dst netip.AddrPort) (uint32, error) {
	if proto == unix.IPPROTO_UDP {
		src, dst = dst, src // "swapped for historical reasons" (udp_dump_one in net/ipv4/udp_diag.c)
	}
	req := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, 0)
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_INET_DIAG: a.diag}
	req.AddData(&diagRequest{proto, src, dst})
	msgs, err := req.Execute(unix.NETLINK_INET_DIAG, nl.SOCK_DIAG_BY_FAMILY)
	if err != nil {
		return 0, err
	}
	const inodeAt = 68 // idiag_inode of struct inet_diag_msg
	if len(msgs) == 0 || len(msgs[0]) < inodeAt+4 {
		return 0, nil
	}
	return binary.NativeEndian.Uint32(msgs[0][inodeAt:]), nil
}

// holds reports whether a process has the socket open. It looks at no more than
// left descriptors.
func holds(pid int, link string, left *int) bool {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	f, err := os.Open(dir)
	if err != nil {
		return false // it is gone
	}
	defer shut(f)
	for *left > 0 {
		names, err := f.Readdirnames(256)
		*left -= len(names)
		for _, name := range names {
			if to, err := os.Readlink(dir + "/" + name); err == nil && to == link {
				return true
			}
		}
		if err != nil {
			return false // io.EOF: that was all
		}
	}
	return false
}

// describe reads who a process is. What it says of itself, its environment, is
// only claimed, and nothing but three names is taken from it.
func describe(pid int, pids []int) origin {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	o := origin{Process: Process{PID: pid}}
	if exe, err := os.Readlink(dir + "/exe"); err == nil {
		o.Exe = clip(exe)
	}
	argv, _, _ := bytes.Cut(readSome(dir+"/cmdline", 4096), []byte{0})
	o.Argv0 = clip(strings.ToValidUTF8(string(argv), "?"))
	o.Chain = chain(pid, pids)
	o.Package = packageOf(pid, pids)
	return o
}

// ancestryMost bounds how many ancestors of a process are looked at.
const ancestryMost = 16

// chain returns the names of the processes from the job's first one down to pid.
func chain(pid int, pids []int) []string {
	var names []string
	for depth := 0; depth < ancestryMost && slices.Contains(pids, pid); depth++ {
		name, parent, ok := readStat(pid)
		if !ok {
			break
		}
		names = append(names, name)
		pid = parent
	}
	slices.Reverse(names)
	return names
}

// readStat reads the name and the parent of a process (proc_pid_stat(5)). The
// name may hold anything, also parentheses.
func readStat(pid int) (name string, parent int, ok bool) {
	b := readSome(filepath.Join("/proc", strconv.Itoa(pid), "stat"), 4096)
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return "", 0, false
	}
	fields := bytes.Fields(b[end+1:])
	if len(fields) < 2 {
		return "", 0, false
	}
	parent, err := strconv.Atoi(string(fields[1]))
	return clip(strings.ToValidUTF8(string(b[open+1:end]), "?")), parent, err == nil
}

// readSome reads the beginning of a file of /proc, or nothing.
func readSome(path string, most int64) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer shut(f)
	b, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil
	}
	return b
}
