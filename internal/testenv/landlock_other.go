// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package testenv

import "testing"

// NeedLandlock needs Linux.
func NeedLandlock(tb testing.TB, abi int) {
	tb.Helper()
	Missing(tb, "needs Landlock ABI %d, which is Linux", abi)
}
