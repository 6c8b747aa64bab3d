// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"os"
	"os/exec"
	"testing"
)

// Missing skips the test, or fails it if the machine must have everything.
func Missing(tb testing.TB, format string, args ...any) {
	tb.Helper()
	if os.Getenv("ZVIZ_TEST_REQUIRE") == "1" {
		tb.Fatalf(format+" (ZVIZ_TEST_REQUIRE=1)", args...)
	}
	tb.Skipf(format, args...)
}

// NeedRoot needs uid 0.
func NeedRoot(tb testing.TB) {
	tb.Helper()
	if uid := os.Geteuid(); uid != 0 {
		Missing(tb, "needs root, runs as uid %d", uid)
	}
}

// NeedTool needs a program in PATH and returns where it is.
func NeedTool(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(tb, "needs %s: %v", name, err)
	}
	return path
}
