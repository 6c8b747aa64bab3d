// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// call is one system call: its number and arguments.
type call [7]uintptr

// inChild makes the calls in a child process and returns the errno of the last
// one; errors of those before it do not count. A child, since a Go process has
// threads: unshare(2) and setns(2) refuse user namespaces to such a process, and
// what succeeds must not last.
func inChild(calls ...call) error {
	// Shared with the child, since its exit status has no room for "none of them".
	page, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return broken("mmap", err)
	}
	defer unix.Munmap(page) //nolint:errcheck // ours, and the process ends soon
	last := (*uint32)(unsafe.Pointer(&page[0]))
	*last = notReached

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, errno := forkAndCall(calls, last)
	if errno != 0 {
		return broken("fork", errno)
	}
	var status unix.WaitStatus
	for {
		if _, err = unix.Wait4(int(pid), &status, 0, nil); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return broken("wait4", err)
	}
	if status.Signaled() {
		return killedError{status.Signal()}
	}
	switch *last {
	case 0:
		return nil
	case notReached:
		return fmt.Errorf("the child did not get to the attempt, exit status %d", status.ExitStatus())
	default:
		return syscall.Errno(*last)
	}
}

// notReached is no errno: the kernel's end at 4095.
const notReached uint32 = 5000

// forkAndCall is fork(2) and, in the child, the calls and nothing else: no
// allocation, no lock, no Go that could need another thread.
//
//go:noinline
//go:norace
//go:nocheckptr
func forkAndCall(calls []call, last *uint32) (uintptr, syscall.Errno) {
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return pid, errno
	}
	for i := range calls {
		c := &calls[i]
		var e syscall.Errno
		if c[0] == callInt80 {
			e = int80(c[1])
		} else {
			_, _, e = syscall.RawSyscall6(c[0], c[1], c[2], c[3], c[4], c[5], c[6])
		}
		if i == len(calls)-1 {
			*last = uint32(e)
		}
	}
	for {
		_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
	}
}

// callInt80 in place of a number makes the call through the 32-bit entry.
const callInt80 = ^uintptr(0)

// pointer is the address of v as a system call wants it. The caller keeps v
// alive: everything that attempts point to is a variable of the package's or
// lives until the process ends.
func pointer[T any](v *T) uintptr {
	kept = append(kept, v)
	return uintptr(unsafe.Pointer(v))
}

// kept holds what system calls point to; the garbage collector cannot see it.
var kept []any //nolint:gochecknoglobals // as the comment says

// text is the address of a string that ends in a zero byte.
func text(s string) uintptr {
	b := append([]byte(s), 0)
	return pointer(&b[0])
}
