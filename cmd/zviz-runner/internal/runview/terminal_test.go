// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/workflows/plan"
)

// What is left on the screen is what a pipe would have got, however often the status was
// drawn, on windows of any size, whether they change or not.
func TestTerminalLeavesTheLinesOnly(t *testing.T) {
	for _, tt := range []struct {
		name       string
		rows, cols int
		reflows    bool
		resize     func(i int) (rows, cols int)
	}{
		{"usual", 24, 80, true, nil},
		{"narrow", 24, 20, true, nil},
		{"very narrow", 24, 3, true, nil},
		{"low", 2, 80, true, nil},
		{"one row", 1, 80, true, nil},
		{"unknown", 0, 0, true, nil},
		{"lower and higher", 24, 80, true, func(i int) (int, int) { return 3 + i%20, 80 }},
		{"wider", 24, 20, true, func(i int) (int, int) { return 24, 20 + i }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScreen(t, tt.rows, tt.cols)
				if s.cols == 0 {
					s.rows, s.cols = 24, 80
				}
				size := func() (int, int) {
					if tt.cols == 0 {
						return 0, 0
					}
					return s.size()
				}
				v := newView(Config{Mode: Live, Jobs: 3}, s, true, size)
				for i, e := range manyJobs() {
					v.Event(e)
					time.Sleep(70 * time.Millisecond)
					if tt.resize != nil {
						s.resize(tt.resize(i))
					}
				}
				v.Close()
				v.Close()
				if s.erased() == 0 {
					t.Error("there was no status at all")
				}
				if s.tallest > max(s.rows, 1) && tt.resize == nil {
					t.Errorf("a status of %d rows on %d", s.tallest, s.rows)
				}
				want := shownBy(t, Config{Mode: Live}, false, size, manyJobs())
				if tt.resize != nil && tt.name == "wider" {
					want = squeezed(want)
					if diff := cmp.Diff(want, squeezed(s.text())); diff != "" {
						t.Error(diff)
					}
					return
				}
				if diff := cmp.Diff(want, s.text()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// squeezed is a text without what differs with the width: the columns of names.
func squeezed(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		for _, mark := range []string{"│", "▸", "✓", "✗", "⊘", "-", "●"} {
			if _, after, ok := strings.Cut(line, mark); ok {
				line = mark + after
				break
			}
		}
		b.WriteString(line)
	}
	return b.String()
}

// A window that becomes narrower may keep a piece of the status; it loses no line.
func TestTerminalLosesNoLineWhenItBecomesNarrow(t *testing.T) {
	for _, reflows := range []bool{true, false} {
		t.Run(fmt.Sprint("reflows ", reflows), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScreen(t, 24, 100)
				s.reflows = reflows
				v := newView(Config{Mode: Live}, s, false, s.size)
				r := (&recording{}).run("ci")
				r.job("a", "a")
				r.job("b", strings.Repeat("b", 60))
				r.begins("a", "s", "Run")
				for _, e := range r.events {
					v.Event(e)
				}
				r.events = nil
				for i := range 80 {
					r.line("a", "s", fmt.Sprintf("n%d.", i))
				}
				for i, e := range r.events {
					v.Event(e)
					time.Sleep(150 * time.Millisecond)
					s.resize(24, 100-i/2)
				}
				v.Close()
				for i := range 80 {
					if n := strings.Count(s.text(), fmt.Sprintf("n%d.", i)); n != 1 {
						t.Errorf("line %d is there %d times", i, n)
					}
				}
			})
		})
	}
}

func TestStatus(t *testing.T) {
	for _, tt := range []struct {
		name       string
		jobs       int
		total      int
		rows, cols int
		want       string
	}{
		{"one", 1, 1, 24, 80, "  job 0: Run x  7s\n"},
		{"two", 2, 5, 24, 80, "2 running, 0 of 5 done  7s\n  job 0: Run x  7s\n  job 1  7s\n"},
		{"unknown number", 2, 0, 24, 80, "2 running, 0 done  7s\n  job 0: Run x  7s\n  job 1  7s\n"},
		{"more than rows", 9, 0, 8, 80, "9 running, 0 done  7s\n  job 0: Run x  7s\n  job 1: gets acme/second@v1\\x1b[2J  7s\n  and 7 more jobs\n"},
		{"narrow", 2, 0, 24, 14, "2 running, 0…\n  job 0: Run…\n  job 1  7s\n"},
		{"two rows", 2, 0, 2, 80, "2 running, 0 done  7s\n"},
		{"one row", 1, 0, 1, 80, "  job 0: Run x  7s\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b strings.Builder
				v := newTerminal(&b, Config{Jobs: tt.total}, false, newTally(), sized(tt.rows, tt.cols))
				for i := range tt.jobs {
					v.of(strconv.Itoa(i), "job "+strconv.Itoa(i))
				}
				v.step(v.running[0], &job.Event{Kind: job.Preparing, Text: "acme/first@v1"})
				v.running[0].begin(&job.Event{Step: "x", Name: "Run x"})
				if tt.jobs > 2 {
					v.step(v.running[1], &job.Event{Kind: job.Preparing, Text: "acme/second@v1\x1b[2J"})
				}
				time.Sleep(7200 * time.Millisecond)
				got := strings.Join(v.status(tt.rows, tt.cols), "\n") + "\n"
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// The eye gets a hundred milliseconds, and a run that ends at once no status.
func TestTerminalDrawsRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScreen(t, 24, 80)
		v := newView(Config{Mode: Live}, s, false, s.size)
		r := (&recording{}).run("ci")
		r.job("a", "a")
		r.begins("a", "s", "Run")
		for _, e := range r.events {
			v.Event(e)
		}
		time.Sleep(250 * time.Millisecond)
		if strings.Contains(s.text(), "a: Run") {
			t.Errorf("a status at once:\n%s", s.text())
		}
		time.Sleep(time.Second)
		if !strings.HasSuffix(s.text(), "  a: Run  1s\n") {
			t.Errorf("no status:\n%s", s.text())
		}
		s.erased()
		for i := range 1000 {
			r.events = nil
			r.line("a", "s", strconv.Itoa(i))
			v.Event(r.events[0])
			time.Sleep(time.Millisecond)
		}
		if n := s.erased(); n > 11 {
			t.Errorf("drawn %d times in a second", n)
		}
		v.Close()
		if strings.Contains(s.text(), "a: Run") {
			t.Errorf("not erased:\n%s", s.text())
		}
	})
}

// Names are in front of lines from when it matters on, and stay there.
func TestTerminalNamesJobsOnceTheyRunTogether(t *testing.T) {
	r := (&recording{}).run("ci")
	r.job("a", "a")
	r.begins("a", "s", "Run")
	r.line("a", "s", "alone")
	r.job("b", "bb")
	r.line("a", "s", "together")
	r.jobEnds("b", plan.Success, time.Second, "")
	r.line("a", "s", "alone again")
	got := shownBy(t, Config{Mode: Live}, ui.Colors(false), sized(24, 80), r.events)
	want := "● a\n  ▸ Run\n  │ alone\nbb ● started\na  │ together\nbb ✓ success 1.0s\na  │ alone again\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
