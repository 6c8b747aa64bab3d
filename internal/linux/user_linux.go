// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// keepCapabilities is SECBIT_NO_SETUID_FIXUP of capabilities(7).
const keepCapabilities = 1 << 2

// BecomeUser gives the calling thread another effective user; its capabilities
// and its real user stay. Use it on a discarded thread only.
func BecomeUser(uid uint32) error {
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, keepCapabilities, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl PR_SET_SECUREBITS", err)
	}
	// Raw: Go's own would change all threads.
	if _, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); errno != 0 {
		return os.NewSyscallError("setresuid", errno)
	}
	return nil
}
