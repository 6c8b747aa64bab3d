// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"testing"

	"golang.org/x/sys/unix"
)

// NeedLandlock needs a kernel with at least that Landlock ABI.
func NeedLandlock(tb testing.TB, abi int) {
	tb.Helper()
	// landlock_create_ruleset(2): with LANDLOCK_CREATE_RULESET_VERSION the result is the ABI.
	got, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		Missing(tb, "needs Landlock ABI %d: %v", abi, errno)
	}
	if int(got) < abi {
		Missing(tb, "needs Landlock ABI %d, the kernel has %d", abi, got)
	}
}
