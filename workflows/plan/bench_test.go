// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/plan"
)

// runAll runs a plan to its end, with n jobs at a time, and returns how many ran.
func runAll(tb testing.TB, wf *workflows.Workflow, n int) int {
	tb.Helper()
	p, err := plan.New(wf, plan.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	var running []string
	for count := 0; ; {
		for len(running) < n {
			j := p.Next()
			if j == nil {
				break
			}
			if err := p.Started(j.ID); err != nil {
				tb.Fatal(err)
			}
			running = append(running, j.ID)
		}
		if len(running) == 0 {
			if c, done := p.Done(); !done || c != plan.Success {
				tb.Fatalf("%v %v", c, done)
			}
			return count
		}
		count++
		if err := p.Finish(running[0], plan.Result{Conclusion: plan.Success}); err != nil {
			tb.Fatal(err)
		}
		running = running[1:]
	}
}

func matrixOf(n int) string {
	values := make([]string, n)
	for i := range values {
		values[i] = fmt.Sprintf("v%d", i)
	}
	return fmt.Sprintf("on: push\njobs:\n  a:\n    runs-on: x\n    env: {A: 'v ${{ matrix.v }}'}\n    steps: [{run: x}]\n    strategy: {matrix: {v: [%s]}}\n",
		strings.Join(values, ", "))
}

// chainOf is n jobs, each of which needs the one before and the first.
func chainOf(n int) string {
	var b strings.Builder
	b.WriteString("on: push\njobs:\n")
	for i := range n {
		fmt.Fprintf(&b, "  j%d:\n    runs-on: x\n    env: {A: '${{ github.ref }}'}\n    steps: [{run: x}]\n", i)
		if i > 0 {
			fmt.Fprintf(&b, "    needs: [j%d, j0]\n", i-1)
		}
	}
	return b.String()
}

// wideOf is n jobs that need the first, and one that needs them all.
func wideOf(n int) string {
	var b strings.Builder
	b.WriteString("on: push\njobs:\n  first: {runs-on: x, steps: [{run: x}]}\n")
	var all []string
	for i := range n - 2 {
		fmt.Fprintf(&b, "  j%d: {runs-on: x, steps: [{run: x}], needs: first}\n", i)
		all = append(all, fmt.Sprintf("j%d", i))
	}
	fmt.Fprintf(&b, "  last: {runs-on: x, steps: [{run: x}], needs: [%s]}\n", strings.Join(all, ", "))
	return b.String()
}

// The cost of one job is to be the same in all of them.
func BenchmarkRun(b *testing.B) {
	for _, bb := range []struct {
		name, text string
		jobs       int
	}{
		{"matrix-32", matrixOf(32), 32},
		{"matrix-256", matrixOf(256), 256},
		{"chain-100", chainOf(100), 100},
		{"chain-1000", chainOf(1000), 1000},
		{"wide-100", wideOf(100), 100},
		{"wide-1000", wideOf(1000), 1000},
	} {
		b.Run(bb.name, func(b *testing.B) {
			wf := parse(b, bb.text, nil)
			b.ReportAllocs()
			for b.Loop() {
				if n := runAll(b, wf, 4); n != bb.jobs {
					b.Fatalf("%d jobs ran", n)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*bb.jobs)/1000, "µs/job")
		})
	}
}
