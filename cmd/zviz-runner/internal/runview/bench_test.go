// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"io"
	"testing"

	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/executor/run"
)

// BenchmarkLine is what a line of a job costs, without the writing of it.
func BenchmarkLine(b *testing.B) {
	for _, text := range []struct{ name, line string }{
		{"plain", "npm warn deprecated inflight@1.0.6: This module is not supported, and leaks memory."},
		{"colour", "\x1b[1m\x1b[32mPASS\x1b[39m\x1b[22m src/components/button.test.tsx (\x1b[31m5.2 s\x1b[39m) – ✓ 12 tests"},
	} {
		for _, mode := range []Mode{Plain, JSON, Live, Quiet} {
			b.Run(text.name+"/"+string(mode), func(b *testing.B) {
				v := newView(Config{Mode: mode}, io.Discard, mode == Live, sized(24, 80))
				defer v.Close()
				r := (&recording{}).run("ci")
				r.job("a", "a")
				r.begins("a", "s", "Run")
				for _, e := range r.events {
					v.Event(e)
				}
				e := run.Event{Kind: run.JobStep, Job: "a", Name: "a", Step: &job.Event{Kind: job.Line, Step: "s", Stream: job.Stdout, Text: text.line}}
				b.ReportAllocs()
				b.SetBytes(int64(len(text.line)))
				for b.Loop() {
					v.Event(e)
				}
			})
		}
	}
}
