// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/zviz/run/executor"
)

// BenchmarkExec is one command from request to report in a warm runner, with
// everything done at the request and torn down after it.
func BenchmarkExec(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("needs root")
	}
	for name, policy := range map[string]executor.Policy{"no-network": {NoNetwork: true}, "network": {}} {
		b.Run(name, func(b *testing.B) {
			x, err := executor.New(executor.Config{StateDir: filepath.Join(b.TempDir(), "state"), Home: "/nonexistent", Environ: []string{"PATH=/usr/bin:/bin"}})
			if err != nil {
				b.Fatal(err)
			}
			work := b.TempDir()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := x.Exec(b.Context(), executor.Request{Args: []string{"true"}, Dir: work, Policy: policy}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
