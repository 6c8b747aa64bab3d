// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"bytes"
	"strings"
	"testing"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/executor/run"
)

// Nothing is written while a View is paused; what came meanwhile is shown then, as far as
// there is room, and what happened is never left out.
func TestPause(t *testing.T) {
	for _, mode := range []Mode{Plain, Live, JSON} {
		t.Run(string(mode), func(t *testing.T) {
			var out bytes.Buffer
			v := newView(Config{Mode: mode}, &out, ui.Colors(false), func() (rows, cols int) { return 24, 80 })
			line := func(text string) {
				v.Event(run.Event{Kind: run.JobStep, Job: "a", Name: "a", Step: &job.Event{Kind: job.Line, Step: "s", Stream: job.Stdout, Text: text}})
			}
			v.Event(run.Event{Kind: run.JobStarted, Job: "a", Name: "a"})
			line("before")
			resume := v.Pause()
			before := out.String()
			if !strings.Contains(before, "before") {
				t.Errorf("what came before is not shown: %q", before)
			}
			line("meanwhile")
			for range 5 {
				line(strings.Repeat("x", 1<<20))
			}
			v.Event(run.Event{Kind: run.JobFinished, Job: "a", Name: "a", Conclusion: "success", Why: "the reason"})
			if out.String() != before {
				t.Errorf("written while it was paused: %q", out.String()[len(before):])
			}
			resume()
			resume() // does nothing
			line("after")
			v.Close()
			shown := out.String()[len(before):]
			for _, want := range []string{"meanwhile", "the reason", "2 lines that came meanwhile are left out", "after"} {
				if !strings.Contains(shown, want) {
					t.Errorf("no %q in what was shown then", want)
				}
			}
			if n := strings.Count(shown, "meanwhile"); n != 2 {
				t.Errorf("%d times, want 2", n)
			}
		})
	}
}
