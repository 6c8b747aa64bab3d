// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Retry calls f until it does not return EINTR.
func Retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR { //nolint:errorlint // a raw errno by contract
			return err
		}
	}
}

// Wait waits for a child by its pid and returns its status and what it and the
// children it waited for used.
func Wait(pid int) (syscall.WaitStatus, syscall.Rusage, error) {
	var ws syscall.WaitStatus
	var ru syscall.Rusage
	err := Retry(func() error {
		_, err := syscall.Wait4(pid, &ws, syscall.WALL, &ru)
		return err
	})
	if err != nil {
		return 0, ru, fmt.Errorf("wait4 %d: %w", pid, err)
	}
	return ws, ru, nil
}

// Kill sends a signal through a pidfd; it cannot hit a recycled pid. Whoever may
// close the descriptor meanwhile uses a Handle.
func Kill(pidfd int, sig syscall.Signal) error {
	if err := unix.PidfdSendSignal(pidfd, sig, nil, 0); err != nil {
		return os.NewSyscallError("pidfd_send_signal", err)
	}
	return nil
}

// Handle is a pidfd for several goroutines. A bare number, once closed, is soon
// the pidfd of another job, and a late signal would go there.
type Handle struct {
	mu sync.Mutex
	fd int // -1: closed
}

// NewHandle takes over a pidfd.
func NewHandle(pidfd int) *Handle { return &Handle{fd: pidfd} }

// Kill sends a signal; ESRCH if the process is gone or the handle closed.
func (h *Handle) Kill(sig syscall.Signal) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fd < 0 {
		return os.NewSyscallError("pidfd_send_signal", syscall.ESRCH)
	}
	return Kill(h.fd, sig)
}

// Close closes it; the second time nothing.
func (h *Handle) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fd < 0 {
		return nil
	}
	fd := h.fd
	h.fd = -1
	return os.NewSyscallError("close", unix.Close(fd))
}

// LowFDs is how many descriptors a child's program gives new meanings: the
// standard streams, two of process 1, three of the start, and one of a process 1 that
// waits.
const LowFDs = 9

// HighFD returns fd if it is above the low ones, else a duplicate that is
// (O_CLOEXEC), and closes fd.
func HighFD(fd int) (int, error) {
	if fd >= LowFDs {
		return fd, nil
	}
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, LowFDs)
	if err != nil {
		return -1, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
	}
	return high, unix.Close(fd)
}

// Pipe returns the two ends of a pipe, both O_CLOEXEC and no low ones.
func Pipe() (r, w int, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return -1, -1, os.NewSyscallError("pipe2", err)
	}
	if r, err = HighFD(p[0]); err != nil {
		return -1, -1, err
	}
	if w, err = HighFD(p[1]); err != nil {
		return -1, -1, err
	}
	return r, w, nil
}

// seccompNotif is struct seccomp_notif (seccomp_unotify(2)).
type seccompNotif struct {
	id    uint64
	pid   uint32
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

type seccompNotifResp struct {
	id    uint64
	val   int64
	err   int32
	flags uint32
}

const (
	ioctlNotifRecv = 0xc0502100
	ioctlNotifSend = 0xc0182101
)

// Notification is one system call that waits for the supervisor's answer.
type Notification struct {
	ID   uint64
	PID  int // in the reader's pid namespace
	NR   uint32
	Args [6]uint64
}

// ReceiveNotification takes the next notification of a seccomp listener. It
// returns ENOENT if the calling process died meanwhile.
func ReceiveNotification(fd int) (Notification, error) {
	var n seccompNotif // the kernel refuses a buffer that is not zeroed
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), ioctlNotifRecv, uintptr(unsafe.Pointer(&n))); e != 0 {
		return Notification{}, e
	}
	return Notification{ID: n.id, PID: int(n.pid), NR: uint32(n.nr), Args: n.args}, nil
}

// RefuseNotification makes the call of a notification fail with errno.
func RefuseNotification(fd int, id uint64, errno syscall.Errno) error {
	r := seccompNotifResp{id: id, err: -int32(errno)}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), ioctlNotifSend, uintptr(unsafe.Pointer(&r))); e != 0 {
		return e
	}
	return nil
}
