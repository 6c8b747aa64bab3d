// SPDX-License-Identifier: Apache-2.0

//go:build linux

package executor

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// BenchmarkSettle looks at 100,000 files and 10,100 directories that no job touched,
// as after a build with many dependencies. ZVIZ_BENCH_TREE names a tree to use
// instead, so that find and du can be timed on the same one.
func BenchmarkSettle(b *testing.B) {
	top := os.Getenv("ZVIZ_BENCH_TREE")
	if top == "" {
		top = b.TempDir()
		for i := range 10_000 {
			dir := filepath.Join(top, strconv.Itoa(i/100), strconv.Itoa(i))
			if err := os.MkdirAll(dir, 0o755); err != nil {
				b.Fatal(err)
			}
			for j := range 10 {
				if err := os.WriteFile(filepath.Join(dir, "file-"+strconv.Itoa(j)+".js"), nil, 0o644); err != nil {
					b.Fatal(err)
				}
			}
		}
		time.Sleep(60 * time.Millisecond) // older than the job: the kernel's clock is coarse
	}
	places := placesOf(b, top)
	began := readClock()
	for b.Loop() {
		l := newLeftovers(b.Context(), began.since(readClock()))
		l.settle(top, places, nil)
		if n := l.entries.Load(); l.incomplete != "" || n < 1000 {
			b.Fatal(l.incomplete, n)
		}
	}
}
