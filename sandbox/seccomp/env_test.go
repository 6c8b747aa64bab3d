// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"os"
	"os/exec"
	"testing"
)

// needTool returns the path of a program. Without it the test is skipped, or
// fails where ZVIZ_TEST_REQUIRE=1 says that everything must be there.
func needTool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		lack(t, err.Error())
	}
	return path
}

func lack(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("ZVIZ_TEST_REQUIRE") == "1" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}
