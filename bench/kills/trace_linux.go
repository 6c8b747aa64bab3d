// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stage is how far the runner had come when a fault was put in its way.
type stage int

const (
	beforeJob stage = iota
	withFolder
	withGroup
	making
	released
	tearDown
	stages
)

func (s stage) String() string {
	return [...]string{
		"before the job's folder had its name", "with the folder", "with a control group", "while process 1 was made, up to the sync pipe",
		"while the job ran", "in the tear-down",
	}[s]
}

// fault is what happens to the runner instead of one of its system calls: it is
// killed, or the call fails.
type fault struct {
	at    int           // counted from 1; 0 is no fault
	errno syscall.Errno // 0: it is killed
}

// outcome is how a traced runner ended.
type outcome struct {
	status syscall.WaitStatus
	stderr string
	calls  int    // how many were counted
	call   string // that had the fault; empty if the runner did not come so far
	stage  stage
	hung   bool
}

// tracer counts the system calls of all threads of a runner, but for those that
// change nothing. Its children are not traced.
type tracer struct {
	fault  fault
	out    outcome
	stage  stage
	failed int // the thread whose call is failing
}

// hangs is when a traced run has taken too long; one takes a tenth of a second.
const hangs = 30 * time.Second

// traceRun starts a runner and follows it to its end (ptrace(2)).
func traceRun(dir string, env, args []string, f fault) (_ outcome, err error) {
	runtime.LockOSThread() // only the thread that began may go on
	defer runtime.UnlockOSThread()
	text, err := os.CreateTemp("", "zviz-kills-")
	if err != nil {
		return outcome{}, err
	}
	defer func() { err = errors.Join(err, text.Close(), os.Remove(text.Name())) }()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return outcome{}, err
	}
	defer func() { err = errors.Join(err, null.Close()) }()
	pid, err := syscall.ForkExec(args[0], args, &syscall.ProcAttr{
		Dir: dir, Env: env, Files: []uintptr{null.Fd(), null.Fd(), text.Fd()}, Sys: &syscall.SysProcAttr{Ptrace: true},
	})
	if err != nil {
		return outcome{}, &os.PathError{Op: "trace", Path: args[0], Err: err}
	}
	t := &tracer{fault: f}
	overdue := time.AfterFunc(hangs, func() { _ = unix.Kill(pid, unix.SIGKILL) })
	err = t.follow(pid)
	t.out.hung = !overdue.Stop()
	if err != nil {
		return t.out, err
	}
	said, err := os.ReadFile(text.Name())
	t.out.stderr = string(said[:min(len(said), 400)])
	return t.out, err
}

func (t *tracer) follow(pid int) error {
	known := map[int]bool{}
	for {
		var ws syscall.WaitStatus
		tid, err := syscall.Wait4(-1, &ws, unix.WALL, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return os.NewSyscallError("wait4", err)
		case ws.Exited() || ws.Signaled():
			if tid == pid {
				t.out.status = ws
				return nil
			}
			continue
		}
		deliver := 0
		switch sig := ws.StopSignal(); {
		case sig == syscall.SIGTRAP|0x80:
			if err := t.stop(pid, tid); err != nil {
				return err
			}
		case sig == syscall.SIGTRAP: // execve, or a new thread
			if len(known) == 0 {
				// No TRACEFORK: the sandbox's processes are not followed.
				if err := unix.PtraceSetOptions(pid, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL); err != nil {
					return os.NewSyscallError("ptrace", err)
				}
			}
		case sig == syscall.SIGSTOP && !known[tid]: // a new thread begins so
		default:
			deliver = int(sig)
		}
		known[tid] = true
		if err := unix.PtraceSyscall(tid, deliver); err != nil && !errors.Is(err, unix.ESRCH) { // killed meanwhile
			return os.NewSyscallError("ptrace", err)
		}
	}
}

// syscallInfo is struct ptrace_syscall_info. At an entry, data is the number and
// the arguments; at an exit, the result and whether it is an error.
type syscallInfo struct {
	op   uint8
	_    [3]uint8
	_    uint32
	_, _ uint64
	data [8]uint64
	_    [8]uint8
}

const opEntry, opExit = 1, 2

func (i *syscallInfo) ptrace(request, tid int) error {
	if _, _, e := unix.Syscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), unsafe.Sizeof(*i), uintptr(unsafe.Pointer(i)), 0, 0); e != 0 {
		return e
	}
	return nil
}

// stop is at an entry to a system call, or at an exit from one.
func (t *tracer) stop(pid, tid int) error {
	var info syscallInfo
	if err := info.ptrace(unix.PTRACE_GET_SYSCALL_INFO, tid); err != nil {
		if errors.Is(err, unix.ESRCH) {
			return nil // killed meanwhile
		}
		return os.NewSyscallError("ptrace PTRACE_GET_SYSCALL_INFO", err)
	}
	if info.op == opExit && tid == t.failed {
		t.failed = 0
		set := syscallInfo{op: opExit}
		set.data[0], set.data[1] = uint64(-int64(t.fault.errno)), 1
		return t.set(&set, tid)
	}
	nr := info.data[0]
	if info.op != opEntry || slices.Contains(quiet(), nr) || t.fault.errno != 0 && slices.Contains(infallible(), nr) {
		return nil
	}
	c := t.read(tid, nr, info.data[1:7])
	if c.text == runtimeWakes {
		return nil
	}
	if t.out.calls++; t.out.calls == t.fault.at {
		t.out.call, t.out.stage = c.String(), t.stage
		if t.fault.errno == 0 {
			return unix.Kill(pid, unix.SIGKILL)
		}
		t.failed = tid
		set := syscallInfo{op: opEntry}
		set.data[0] = ^uint64(0) // no call at all
		return t.set(&set, tid)
	}
	t.stage = max(t.stage, c.reaches(t.stage))
	return nil
}

// runtimeWakes is what the Go runtime writes to its own eventfd, on a machine whose
// low byte comes first.
const runtimeWakes = "\x01\x00\x00\x00\x00\x00\x00\x00"

// errTooOld: the kernel cannot make a call fail this way.
var errTooOld = errors.New("making calls fail needs Linux 6.16")

func (t *tracer) set(info *syscallInfo, tid int) error {
	err := info.ptrace(unix.PTRACE_SET_SYSCALL_INFO, tid)
	if errors.Is(err, unix.EIO) {
		return errTooOld
	}
	return os.NewSyscallError("ptrace PTRACE_SET_SYSCALL_INFO", err)
}

// call is a system call with what is of interest in its arguments.
type call struct {
	nr    uint64
	args  []uint64
	text  string // its path, or what it writes
	flags uint64 // of clone3
}

func (t *tracer) read(tid int, nr uint64, args []uint64) call {
	c := call{nr: nr, args: args}
	peek := func(at uint64, n int) []byte {
		b := make([]byte, n)
		got, _ := unix.PtracePeekData(tid, uintptr(at), b) // as far as memory goes
		return b[:got]
	}
	switch nr {
	case unix.SYS_CLONE3:
		if b := peek(args[0], 8); len(b) == 8 {
			c.flags = *(*uint64)(unsafe.Pointer(&b[0]))
		}
	case unix.SYS_WRITE:
		c.text = string(peek(args[1], int(min(args[2], 16))))
	case unix.SYS_OPENAT, unix.SYS_OPENAT2, unix.SYS_MKDIRAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_SYMLINKAT, unix.SYS_FCHMODAT, unix.SYS_FCHOWNAT:
		b, _, _ := bytes.Cut(peek(args[1], 128), []byte{0})
		c.text = string(b)
	}
	return c
}

// reaches is the stage that this call begins.
func (c call) reaches(now stage) stage {
	base := path.Base(c.text)
	switch {
	case c.nr == unix.SYS_RENAMEAT && strings.Contains(c.text, "/jobs/."):
		return withFolder
	case c.nr == unix.SYS_MKDIRAT && now == withFolder && strings.HasPrefix(base, "zviz-"):
		return withGroup
	case c.nr == unix.SYS_CLONE3 && c.flags&unix.CLONE_NEWPID != 0:
		return making
	case c.nr == unix.SYS_WRITE && now == making && c.text == "g":
		return released
	case c.nr == unix.SYS_WAIT4 && now == released:
		return tearDown
	default:
		return now
	}
}

func (c call) String() string {
	name, ok := names()[c.nr]
	if !ok {
		name = fmt.Sprintf("call %d", c.nr)
	}
	if c.text != "" {
		return fmt.Sprintf("%s %q", name, c.text)
	}
	return name
}

// quiet are calls that change nothing outside of the runner: being killed before
// one is the same as being killed before the next.
func quiet() []uint64 {
	return []uint64{
		unix.SYS_FUTEX, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_CLOCK_GETTIME, unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY,
		unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_CREATE1, unix.SYS_EVENTFD2,
		unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK, unix.SYS_TGKILL, unix.SYS_RESTART_SYSCALL,
		unix.SYS_GETTID, unix.SYS_GETPID, unix.SYS_GETEUID, unix.SYS_GETUID, unix.SYS_UNAME, unix.SYS_SYSINFO, unix.SYS_GETRANDOM,
		unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_MADVISE, unix.SYS_MPROTECT, unix.SYS_PRCTL,
		sysFstatat, unix.SYS_FSTAT, unix.SYS_STATFS, unix.SYS_FACCESSAT, unix.SYS_READLINKAT, unix.SYS_GETDENTS64, unix.SYS_FCNTL, unix.SYS_PRLIMIT64,
		unix.SYS_GETSOCKNAME, unix.SYS_GETSOCKOPT, unix.SYS_GETPEERNAME, unix.SYS_LSEEK, unix.SYS_PREAD64,
		unix.SYS_CLONE, unix.SYS_EXIT, unix.SYS_EXECVE, sysArch, // of the Go runtime, which gives up without them
	}
}

// infallible are calls that do what they are for whatever they return.
func infallible() []uint64 { return []uint64{unix.SYS_CLOSE, unix.SYS_EXIT_GROUP} }

func names() map[uint64]string {
	return map[uint64]string{
		unix.SYS_READ: "read", unix.SYS_WRITE: "write", unix.SYS_CLOSE: "close", unix.SYS_OPENAT: "openat", unix.SYS_OPENAT2: "openat2",
		unix.SYS_MKDIRAT: "mkdirat", unix.SYS_UNLINKAT: "unlinkat", unix.SYS_RENAMEAT: "renameat", unix.SYS_SYMLINKAT: "symlinkat",
		unix.SYS_FCHMODAT: "fchmodat", unix.SYS_FCHOWNAT: "fchownat", unix.SYS_FCHMOD: "fchmod", unix.SYS_FLOCK: "flock",
		unix.SYS_CLONE3: "clone3", unix.SYS_WAIT4: "wait4", unix.SYS_WAITID: "waitid", unix.SYS_PIPE2: "pipe2", unix.SYS_DUP3: "dup3",
		unix.SYS_OPEN_TREE: "open_tree", unix.SYS_MOUNT_SETATTR: "mount_setattr", unix.SYS_FSOPEN: "fsopen", unix.SYS_FSCONFIG: "fsconfig", unix.SYS_FSMOUNT: "fsmount",
		unix.SYS_LANDLOCK_CREATE_RULESET: "landlock_create_ruleset", unix.SYS_LANDLOCK_ADD_RULE: "landlock_add_rule", unix.SYS_MEMFD_CREATE: "memfd_create",
		unix.SYS_SOCKET: "socket", unix.SYS_BIND: "bind", unix.SYS_LISTEN: "listen", unix.SYS_SENDTO: "sendto", unix.SYS_RECVFROM: "recvfrom", unix.SYS_SETSOCKOPT: "setsockopt",
		unix.SYS_RECVMSG: "recvmsg", unix.SYS_SENDMSG: "sendmsg", unix.SYS_ACCEPT4: "accept4", unix.SYS_CONNECT: "connect",
		unix.SYS_UNSHARE: "unshare", unix.SYS_SETNS: "setns", unix.SYS_SETRESUID: "setresuid", unix.SYS_IOCTL: "ioctl", unix.SYS_UMASK: "umask",
		unix.SYS_PIDFD_SEND_SIGNAL: "pidfd_send_signal", unix.SYS_PIDFD_GETFD: "pidfd_getfd", unix.SYS_EXIT_GROUP: "exit_group", unix.SYS_SECCOMP: "seccomp",
		unix.SYS_CAPGET: "capget", unix.SYS_FCHDIR: "fchdir",
	}
}
