// SPDX-License-Identifier: Apache-2.0

package seccomp

// check returns the rule of an argument-checked call. Numbers are those of the
// kernel's uapi headers; they are the same on amd64 and arm64.
func (p Profile) check(name string) rule {
	switch name {
	case "ioctl":
		return checkIoctl()
	case "prctl":
		return p.checkPrctl()
	case "socket":
		return p.checkSocket()
	case "setsockopt", "getsockopt":
		return p.checkSockopt()
	case "socketpair":
		return byArg(0, notify(eafnosupport), oneOf(allow(), afUnix))
	case "clone", "execveat", "sched_setaffinity", "setpriority", "prlimit64", "pidfd_send_signal", "arch_prctl":
		return checkProcess(name)
	case "personality":
		return p.checkPersonality()
	case "copy_file_range", "fallocate", "renameat2", "mknod", "mknodat", "pipe2", "memfd_create", "close_range":
		return checkFile(name)
	case "timer_create", "timerfd_create":
		// All but the alarm clocks 8 and 9, which wake a suspended machine. The upper
		// half holds CPU-time clocks of processes and threads (negative clockid_t).
		return byArg(0, fail(eperm), []choice{when(0, 7, allow()), when(11, 11, allow()), when(0x80000000, 0xffffffff, allow())})
	case "madvise":
		// Not MADV_MERGEABLE 12 (page deduplication is a side channel), not the
		// hardware poisoning of 100 and 101, not COLLAPSE 25. 102 and 103 are guard
		// pages (6.13): glibc 2.42 makes stacks with them.
		return byArg(2, fail(einval), []choice{when(0, 4, allow()), when(8, 11, allow()), when(13, 24, allow()), when(102, 103, allow())})
	default:
		// A name in the list without a rule must not be allowed.
		return fail(enosys)
	}
}

// nsFlags are the CLONE_NEW* that clone(2) knows. 0x80, NEWTIME elsewhere, is
// part of the exit signal here.
const nsFlags = 0x7e020000

func checkProcess(name string) rule {
	switch name {
	case "clone":
		return byBits(0, nsFlags, notify(eperm), oneOf(allow(), 0))
	case "execveat":
		return onlyBits(4, 0x1100, fail(einval)) // AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW
	case "sched_setaffinity", "prlimit64":
		return byArg(0, fail(eperm), oneOf(allow(), 0)) // itself only
	case "setpriority":
		return byArg(1, fail(eperm), oneOf(allow(), 0)) // itself only
	case "pidfd_send_signal":
		return byArg(3, fail(einval), oneOf(allow(), 0))
	default: // arch_prctl: segment bases, control-flow enforcement, shadow stacks
		return byArg(0, fail(einval), []choice{when(0x1001, 0x1004, allow()), when(0x3001, 0x3003, allow()), when(0x5001, 0x5005, allow())})
	}
}

// checkPersonality allows 0, PER_LINUX32 and the query. ADDR_NO_RANDOMIZE and
// READ_IMPLIES_EXEC undo defences; the thread sanitizer works without. Debuggers
// start programs with the first, so that addresses are the same again.
func (p Profile) checkPersonality() rule {
	const linux32, noRandomize, query = 8, 0x40000, 0xffffffff
	allowed := oneOf(allow(), 0, linux32, query)
	if p.Trace {
		allowed = append(allowed, oneOf(allow(), noRandomize, noRandomize|linux32)...)
	}
	return byArg(0, fail(eperm), allowed)
}

// checkNode allows by the S_IFMT of a mode: none, FIFO, regular file, socket; no
// device.
func checkNode(mode int) rule {
	return byBits(mode, 0o170000, fail(eperm), oneOf(allow(), 0, 0o010000, 0o100000, 0o140000))
}

func checkFile(name string) rule {
	switch name {
	case "copy_file_range":
		return byArg(5, fail(einval), oneOf(allow(), 0))
	case "fallocate":
		// KEEP_SIZE 1, PUNCH_HOLE 2 with it, ZERO_RANGE 0x10
		return byArg(1, fail(eopnotsupp), oneOf(allow(), 0, 1, 3, 0x10))
	case "renameat2":
		// NOREPLACE 1, EXCHANGE 2; WHITEOUT 4 would make a device node
		return byArg(4, fail(einval), oneOf(allow(), 0, 1, 2))
	case "mknod":
		return checkNode(1)
	case "mknodat":
		return checkNode(2)
	case "pipe2":
		// O_CLOEXEC, O_NONBLOCK and O_DIRECT (0x4000, arm64 0x10000). Without
		// O_NOTIFICATION_PIPE 0x80 (watch_queue, CVE-2022-0995); the kernel too
		// answers EINVAL to every other bit.
		return onlyBits(1, 0x80000|0x800|0x4000|0x10000, fail(einval))
	case "memfd_create":
		return onlyBits(1, 1|2|8|0x10, fail(einval)) // CLOEXEC, ALLOW_SEALING, NOEXEC_SEAL, EXEC; no HUGETLB
	default: // close_range: UNSHARE 2, CLOEXEC 4
		return onlyBits(2, 6, fail(einval))
	}
}
