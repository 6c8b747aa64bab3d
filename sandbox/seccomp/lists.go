// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"slices"
	"strings"
)

// Lists are the groups of calls by their x86-64 names, each sorted. No name is
// in two of them.
type Lists struct {
	Core    []string // allowed whatever the arguments
	Checked []string // allowed if the arguments pass
	Denied  []string // EPERM, reported
	Compat  []string // allowed if Profile.Compat
	Soft    []string // EOPNOTSUPP: the file system has no extended attributes
	SysVIPC []string // allowed if Profile.SysVIPC
	Traced  []string // allowed if Profile.Compat: found missing since by running real programs
	Trace   []string // allowed if Profile.Trace; else in Denied
	ID      []string // allowed if Profile.Identity
}

// Lists returns the groups that are on in this profile.
func (p Profile) Lists() Lists {
	l := Lists{
		Core:    fields(core),
		Checked: fields(checked),
		Denied:  fields(denied),
		Soft:    fields(soft),
	}
	if p.Compat {
		l.Compat = fields(compat)
		l.Traced = fields(traced)
	}
	if p.SysVIPC {
		l.SysVIPC = fields(sysvIPC)
	}
	if p.Trace {
		l.Trace = fields(trace)
		l.Denied = slices.DeleteFunc(l.Denied, func(name string) bool { return has(trace, name) })
	}
	if p.Identity {
		l.ID = slices.Concat(fields(identity), l.Soft)
		slices.Sort(l.ID)
		l.Soft = nil
		l.Checked = append(l.Checked, "mknod")
		slices.Sort(l.Checked)
	}
	return l
}

func fields(list string) []string {
	f := strings.Fields(list)
	slices.Sort(f)
	return f
}

// has reports whether name is a word of list.
func has(list, name string) bool {
	for w := range strings.FieldsSeq(list) {
		if w == name {
			return true
		}
	}
	return false
}

// core needs no look at arguments. Hot calls must stay here: only a call that
// is allowed by number alone is served from the kernel's bitmap.
const core = `
accept4 access alarm bind brk capget chdir chmod chown clock_getres clock_gettime clock_nanosleep close connect
creat dup dup2 dup3 epoll_create1 epoll_ctl epoll_pwait eventfd2 execve exit exit_group faccessat2 fadvise64 fchdir
fchmod fchmodat fchown fchownat fcntl fdatasync flock fstat fstatfs fsync ftruncate futex getcwd getdents64
getegid geteuid getgid getgroups getpeername getpgid getpgrp getpid getppid getrandom getrlimit getrusage getsockname gettid
getuid inotify_add_watch inotify_init1 inotify_rm_watch kill link linkat listen lseek lstat mkdir mkdirat mmap mprotect
mremap msync munmap nanosleep newfstatat open openat pidfd_open poll ppoll pread64 pselect6 pwrite64 read
readlink readlinkat readv recvfrom recvmsg rename renameat restart_syscall rmdir rseq rt_sigaction rt_sigprocmask rt_sigreturn rt_sigsuspend
rt_sigtimedwait sched_getaffinity sched_yield sendmmsg sendmsg sendto set_robust_list set_tid_address setitimer setpgid setresgid setresuid setsid shutdown
sigaltstack stat statfs statx symlink symlinkat sysinfo tgkill timer_delete timer_settime umask uname unlink unlinkat
utimensat vfork wait4 waitid write writev`

// checked are the calls of checks.go.
const checked = `
arch_prctl clone close_range copy_file_range execveat fallocate getsockopt ioctl madvise memfd_create mknodat personality
pidfd_send_signal pipe2 prctl prlimit64 renameat2 sched_setaffinity setpriority setsockopt socket socketpair timer_create
timerfd_create`

// denied are calls that no build needs and that attacks begin with.
const denied = `
ptrace mount umount2 pivot_root chroot unshare setns init_module finit_module
delete_module kexec_load kexec_file_load reboot swapon swapoff bpf perf_event_open
userfaultfd add_key request_key open_by_handle_at process_vm_readv process_vm_writev
sethostname`

// compat are older twins of core calls that static and musl programs still
// use, and a few that single tools need (inotify_init: JDK 17, signalfd4: script).
const compat = `
accept epoll_wait faccessat fork getcpu getpriority getsid gettimeofday inotify_init membarrier pause pipe preadv pwritev
recvmmsg rt_sigpending select sendfile signalfd4 timerfd_settime tkill truncate`

// traced are calls that real programs were seen to fail without. They belong
// to Compat; the list is apart because the counts of the others are published.
//   - times: os.times of Python raises, times of Perl gives nothing
//   - sched_getscheduler: os.sched_getscheduler of Python, chrt -p
//   - sched_getparam: without it Node.js 24 says "pthread_getschedparam failed" on stderr
//     whenever one of its threads has to wait for a lock
//   - lchown: fs.lchown of Node fails
const traced = `times sched_getscheduler sched_getparam lchown`

// soft answers as a file system without extended attributes does: cp, tar and
// rsync go on without them, and no file capability or ACL gets in.
const soft = `
getxattr lgetxattr fgetxattr setxattr lsetxattr fsetxattr listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr`

// sysvIPC is what postgres and its like need.
const sysvIPC = `
shmget shmat shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv msgctl`

// trace are the calls of strace, gdb and LeakSanitizer (which lists threads by the old
// getdents; strace opens its output as who started it). A tracer cannot change a
// call behind the filter's back: since Linux 4.8 the filter runs after it.
const trace = `getdents process_vm_readv process_vm_writev ptrace setregid setreuid`

// identity are the calls of installers (dpkg, apt, useradd, gosu): to become
// another user. lchown is in traced, the mknod of special files is checked. capset
// (setpriv) moves capabilities between the sets of who calls, which hold what the
// bounding set left.
const identity = `capset getresgid getresuid setfsgid setfsuid setgid setgroups setregid setreuid setuid`

// rule returns what the profile says about a call by name.
func (p Profile) rule(name string) rule {
	switch {
	case has(core, name),
		p.Compat && (has(compat, name) || has(traced, name)),
		p.SysVIPC && has(sysvIPC, name),
		p.Trace && has(trace, name),
		p.Identity && (has(identity, name) || has(soft, name)):
		return allow()
	case p.Identity && name == "mknod":
		return p.check(name)
	case has(checked, name):
		return p.check(name)
	case has(denied, name):
		return notify(eperm)
	case has(soft, name):
		return fail(eopnotsupp)
	case name == "splice":
		// EINVAL, "not these descriptors", sends Go's io.Copy between sockets
		// (internal/poll.Splice) and Rust's io::copy to read and write. On ENOSYS Go
		// reports an error and the data is lost: seen with a TCP proxy.
		return fail(einval)
	case name == "keyctl", name == "io_uring_setup":
		// ENOSYS: runc goes on without a session keyring, libuv and liburing fall
		// back to other means; EPERM ends both. Reported because both are common
		// first steps of kernel exploits.
		return notify(enosys)
	default:
		// clone3 among others: glibc 2.34 falls back to clone on ENOSYS only, and a
		// program cannot look into its struct.
		return fail(enosys)
	}
}
