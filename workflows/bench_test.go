// SPDX-License-Identifier: Apache-2.0

package workflows_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/zviz/run/workflows"
)

// BenchmarkParse reads a workflow of 5,000 lines; the target is 20 ms.
func BenchmarkParse(b *testing.B) {
	var s strings.Builder
	s.WriteString("on: push\njobs:\n")
	for j := 0; strings.Count(s.String(), "\n") < 5000; j++ {
		fmt.Fprintf(&s, "  job%d:\n    runs-on: ubuntu-latest\n    if: github.ref == 'refs/heads/main'\n    steps:\n", j)
		for i := range 10 {
			fmt.Fprintf(&s, "      - name: step %d\n        run: echo ${{ matrix.os }} ${{ github.sha }}\n        env:\n          A: ${{ secrets.TOKEN }}\n          B: 3\n", i)
		}
	}
	text := s.String()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if wf, p := workflows.Parse("f.yml", text, workflows.Options{}); wf == nil {
			b.Fatal(p.Errors[0])
		}
	}
}
