// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"strconv"
	"syscall"
)

// Action is what happens to a call.
type Action uint8

// The actions. The zero Action kills: a verdict that nobody set must not allow.
const (
	Kill   Action = iota // the process dies of SIGSYS
	Errno                // the kernel answers with Verdict.Errno
	Notify               // the supervisor answers with Verdict.Errno and may report
	Allow                // the call runs
)

func (a Action) String() string {
	switch a {
	case Kill:
		return "kill"
	case Errno:
		return "errno"
	case Notify:
		return "notify"
	case Allow:
		return "allow"
	default:
		return "action " + strconv.Itoa(int(a))
	}
}

// Verdict is the answer to one call.
type Verdict struct {
	Action Action
	Errno  syscall.Errno // Linux's number on every platform; 0 unless Errno or Notify
}

// Linux's error numbers. The package also builds where syscall's differ.
const (
	eperm           syscall.Errno = 1
	einval          syscall.Errno = 22
	enotty          syscall.Errno = 25
	enosys          syscall.Errno = 38
	enoprotoopt     syscall.Errno = 92
	eprotonosupport syscall.Errno = 93
	eopnotsupp      syscall.Errno = 95
	eafnosupport    syscall.Errno = 97
)

// SECCOMP_RET_* of include/uapi/linux/seccomp.h.
const (
	retKillProcess = 0x80000000
	retErrno       = 0x00050000
	retUserNotif   = 0x7fc00000
	retAllow       = 0x7fff0000
)

// ret returns the value with which a program ends for this verdict. The errno
// of a notified call is not in it: the supervisor finds it by Answer.
func (v Verdict) ret() uint32 {
	switch v.Action {
	case Allow:
		return retAllow
	case Errno:
		return retErrno | uint32(v.Errno)
	case Notify:
		return retUserNotif
	default:
		return retKillProcess
	}
}
