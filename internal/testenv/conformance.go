// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"os"
	"path/filepath"
	"testing"
)

// Conformance needs the test data that nobody here wrote and returns the folder of
// one set of it, absolute and without symbolic links. The data is in
// $ZVIZ_CONFORMANCE, else in ../shared/conformance beside the repository.
func Conformance(tb testing.TB, set string) string {
	tb.Helper()
	dir := os.Getenv("ZVIZ_CONFORMANCE")
	if dir == "" {
		dir = filepath.Join(repository(tb), "..", "shared", "conformance")
	}
	dir, err := filepath.Abs(filepath.Join(dir, set))
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		Missing(tb, "no conformance data: %v; set ZVIZ_CONFORMANCE", err)
	}
	return dir
}

// repository is the folder of go.mod, at or above that of the test.
func repository(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			tb.Fatal("no go.mod above the test")
		}
		dir = up
	}
}
