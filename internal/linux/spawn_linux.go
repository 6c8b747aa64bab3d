// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Op is one system call of a program, laid out for the assembly that walks it
// (spawn_linux_*.s knows the offsets). It lives in an Arena.
type Op struct {
	NR    uint64    // 0
	Args  [6]uint64 // 8
	Ret   int64     // 56: what the call returned; notReached before
	From  uint64    // 64: address of another Op's Ret that is copied to To before the call; 0 for none
	To    uint64    // 72: address of one of this Op's Args
	Flags uint64    // 80
	_     uint64    // 88
}

// The flags of an Op.
const (
	OpMayFail  = 1 << 0 // an error does not end the program
	OpZeroEnds = 1 << 1 // a result of 0 ends the program: read(2) at end of file
)

const notReached = int64(1) << 62

// Reached reports whether the call was made.
func (o *Op) Reached() bool { return o.Ret != notReached }

// Errno is the error that the call returned, 0 if none.
func (o *Op) Errno() syscall.Errno {
	if o.Ret < 0 && o.Ret > -4096 {
		return syscall.Errno(-o.Ret)
	}
	return 0
}

// cloneArgs is struct clone_args of clone3(2), version 2 (Linux 5.7).
type cloneArgs struct {
	flags, pidfd uint64
	_, _         uint64 // child_tid, parent_tid
	exitSignal   uint64
	_, _, _      uint64 // stack, stack_size, tls: the child uses no stack
	_, _         uint64 // set_tid, set_tid_size
	cgroup       uint64
}

// clone3 starts a child that walks ops up to end and never returns; it gives
// the parent the child's pid, or a negative errno.
//
//go:noescape
func clone3(args *cloneArgs, size uintptr, ops, end unsafe.Pointer) int64

// SpawnFlags are clone(2) flags for Spawn. CLONE_VM, CLONE_PIDFD and
// CLONE_CLEAR_SIGHAND are always set.
type SpawnFlags uint64

// CLONE_CLEAR_SIGHAND and CLONE_INTO_CGROUP do not fit the 32 bits of
// golang.org/x/sys's constants on every architecture (clone(2)).
const (
	cloneClearSighand = 0x100000000
	cloneIntoCgroup   = 0x200000000
)

// Spawn starts a child that walks the program of a. The child shares the
// runner's memory until execve and uses none of its stack. cgroupFD is the
// cgroup v2 directory to start in, or -1.
//
// The caller owns the returned pidfd (O_CLOEXEC) and must wait for the child.
func Spawn(a *Arena, flags SpawnFlags, cgroupFD int) (pid, pidfd int, err error) {
	if len(a.ops) == 0 {
		return 0, -1, errors.New("bug: empty program")
	}
	// Not on the stack, which may move before the kernel writes to it.
	slot := a.Bytes(make([]byte, 8))
	args := cloneArgs{
		flags:      uint64(flags) | unix.CLONE_VM | unix.CLONE_PIDFD | cloneClearSighand,
		pidfd:      slot,
		exitSignal: uint64(unix.SIGCHLD),
	}
	if cgroupFD >= 0 {
		args.flags |= cloneIntoCgroup
		args.cgroup = uint64(cgroupFD)
	}
	// A signal handler of the Go runtime must not run in the child: it would find
	// the parent's g. All signals are blocked across the clone; the child keeps
	// them blocked for pid 1, which takes them with rt_sigtimedwait.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, old uint64
	all = ^uint64(0)
	if _, _, e := syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&old)), 8, 0, 0); e != 0 {
		return 0, -1, fmt.Errorf("rt_sigprocmask: %w", e)
	}
	ops := unsafe.Pointer(&a.ops[0])
	end := unsafe.Add(ops, uintptr(len(a.ops))*unsafe.Sizeof(Op{}))
	// The child keeps copies of all descriptors until execve: those that must not be
	// copied are opened and closed under the lock's other side.
	syscall.ForkLock.Lock()
	ret := clone3(&args, unsafe.Sizeof(args), ops, end)
	syscall.ForkLock.Unlock()
	_, _, e := syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&old)), 0, 8, 0, 0)
	fd := *(*int32)(unsafe.Pointer(&a.mem[slot-uint64(uintptr(unsafe.Pointer(&a.mem[0])))]))
	if ret < 0 {
		return 0, -1, syscall.Errno(-ret)
	}
	if e != 0 {
		return int(ret), int(fd), fmt.Errorf("rt_sigprocmask: %w", e)
	}
	return int(ret), int(fd), nil
}
