// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/executor/run"
	"github.com/zviz/run/workflows/plan"
)

// A reader that goes away is told of once, and stops nothing here.
func TestBrokenPipe(t *testing.T) {
	for _, mode := range []Mode{Plain, JSON} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		told := 0
		v := New(Config{Out: w, Getenv: func(string) string { return "" }, Mode: mode, Broken: func(error) { told++ }})
		for _, e := range oneJob() {
			v.Event(e)
		}
		v.Close()
		w.Close()
		if err := v.Err(); err == nil || told != 1 {
			t.Errorf("%s: told %d times, error %v", mode, told, err)
		}
	}
}

// blocked is a reader that does not read until it is let.
type blocked struct {
	let   chan struct{}
	mu    sync.Mutex
	bytes int
}

func (b *blocked) Write(p []byte) (int, error) {
	<-b.let
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes += len(p)
	return len(p), nil
}

// A job waits for a slow reader; the network does not, and what it decides meanwhile is
// counted if it is too much to keep.
func TestSlowReader(t *testing.T) {
	for _, mode := range []Mode{Plain, JSON, Live} {
		t.Run(string(mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out := &blocked{let: make(chan struct{})}
				c := Config{Mode: mode}
				v := newView(c, out, false, sized(24, 80))
				r := (&recording{}).run("ci")
				r.job("a", "a")
				r.begins("a", "s", "Run")
				sent := 0
				go func() {
					for _, e := range r.events {
						v.Event(e)
					}
					for range 10_000 {
						v.Event(run.Event{Kind: run.JobStep, Job: "a", Name: "a", Step: &job.Event{Kind: job.Line, Step: "s", Stream: job.Stdout, Text: strings.Repeat("x", 1000)}})
						sent++
					}
				}()
				synctest.Wait()
				if sent > 100 {
					t.Errorf("%d lines went to a reader that does not read", sent)
				}
				for i := range 3 * egressMost {
					v.Event(run.Event{Kind: run.JobEgress, Job: "a", Name: "a", Egress: &egress.Event{Verdict: egress.VerdictDeny, Host: fmt.Sprint("h", i), Door: egress.DoorTLS}})
				}
				close(out.let)
				synctest.Wait()
				if sent != 10_000 {
					t.Errorf("%d lines", sent)
				}
				v.Close()
				if lost := v.(*serial).tally.lost; lost != 2*egressMost {
					t.Errorf("%d decisions are counted as lost, want %d", lost, 2*egressMost)
				}
			})
		})
	}
}

// Several jobs and the network report at a time; each line comes out whole, and each
// decision before what its job reports after it.
func TestEventsOfManyGoroutines(t *testing.T) {
	for _, mode := range []Mode{Plain, Live, JSON} {
		var b strings.Builder
		v := newView(Config{Mode: mode}, &b, false, sized(24, 80))
		var wait sync.WaitGroup
		for g := range 8 {
			wait.Go(func() {
				r := &recording{name: map[string]string{}}
				id := fmt.Sprint("job", g)
				r.job(id, id)
				r.begins(id, "s", "Run "+id)
				for i := range 200 {
					r.line(id, "s", fmt.Sprintf("%s line %d.", id, i))
					r.denied(id, "Run "+id, fmt.Sprintf("%s-%d.test", id, i), 443, 1)
				}
				r.jobEnds(id, plan.Success, time.Second, "")
				for _, e := range r.events {
					v.Event(e)
				}
			})
		}
		wait.Wait()
		v.Close()
		for g := range 8 {
			for i := range 200 {
				if n := strings.Count(b.String(), fmt.Sprintf("job%d line %d.", g, i)); n != 1 {
					t.Fatalf("%s: line %d of job %d is there %d times", mode, i, g, n)
				}
			}
			id := fmt.Sprint("job", g)
			line, asked := strings.Index(b.String(), id+" line 1."), strings.Index(b.String(), id+"-0.test")
			if asked < 0 || asked > line {
				t.Errorf("%s: what %s asked for comes after what it printed later", mode, id)
			}
		}
	}
}

// What a job prints is not kept: a million lines leave nothing.
func TestMemoryOfALogFlood(t *testing.T) {
	for _, mode := range []Mode{Live, Plain, JSON, Quiet} {
		lines := 100_000
		if mode == Live {
			lines = 1_000_000
		}
		v := newView(Config{Mode: mode}, io.Discard, true, sized(24, 80))
		r := (&recording{}).run("ci")
		r.job("a", "a")
		r.begins("a", "s", "Run")
		for _, e := range r.events {
			v.Event(e)
		}
		text := strings.Repeat("x", 100) + "\x1b[31mred"
		e := run.Event{Kind: run.JobStep, Job: "a", Name: "a", Step: &job.Event{Kind: job.Line, Step: "s", Stream: job.Stdout, Text: text}}
		before := heap()
		for i := range lines {
			if i%100 == 0 { // each its own memory, as in a run
				e.Step = &job.Event{Kind: job.Line, Step: "s", Stream: job.Stdout, Text: strings.Clone(text)}
			}
			v.Event(e)
		}
		if grown := heap() - before; grown > 1<<20 {
			t.Errorf("%s: %d KiB more after %d lines", mode, grown>>10, lines)
		}
		v.Close()
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A job that asks for any number of hosts, fails any number of steps and writes any
// amount of summaries is cut off, and the summary says so.
func TestSummaryIsBounded(t *testing.T) {
	r := (&recording{}).run("ci")
	r.job("a", "a")
	for i := range 3000 {
		id := fmt.Sprint("s", i)
		r.begins("a", id, id)
		r.denied("a", id, fmt.Sprintf("h%d.test", i), 443, 1)
		r.annotation("a", id, job.Annotation{Level: "error", File: "f", Message: id})
		r.step("a", job.Event{Kind: job.Summary, Step: id, Text: strings.Repeat("# x\n", 1000)})
		r.ends("a", id, id, job.Failure, 1)
	}
	r.jobEnds("a", plan.Failure, time.Second, "")
	n := len(r.events)
	r.runEnds("ci", plan.Failure)
	whole := shownBy(t, Config{Mode: Plain}, false, sized(0, 0), r.events)
	before := shownBy(t, Config{Mode: Plain}, false, sized(0, 0), r.events[:n])
	summary := strings.TrimPrefix(whole, before)
	if len(summary) > 2<<20 {
		t.Errorf("%d bytes", len(summary))
	}
	for _, want := range []string{"annotations: 3000 errors", "and 2980 more steps", "and 2000 more decisions", "and 11 MiB more", "✗ ci failure"} {
		if !strings.Contains(summary, want) {
			t.Errorf("no %q", want)
		}
	}
}

// Of a step that failed the last lines are kept, and of these not more than people read.
func TestLastLinesOfAStep(t *testing.T) {
	var r ring
	if got := r.all(); len(got) != 0 {
		t.Errorf("%q of nothing", got)
	}
	for i := range 25 {
		r.add(strconv.Itoa(i))
	}
	r.add(strings.Repeat("漢", 1000))
	want := []string{"16", "17", "18", "19", "20", "21", "22", "23", "24", strings.Repeat("漢", 133) + "…"}
	if diff := cmp.Diff(want, r.all()); diff != "" {
		t.Error(diff)
	}
}

// A host that is asked for again and again is one line, and one more at the end.
func TestRepeatedDecisionsOfAStep(t *testing.T) {
	r := (&recording{}).run("ci")
	r.job("a", "a")
	r.begins("a", "s", "Run")
	r.denied("a", "Run", "evil.test", 443, 1000)
	for i := range 200 {
		r.denied("a", "Run", fmt.Sprintf("h%d.test", i), 443, 1)
	}
	r.ends("a", "s", "Run", job.Success, 0)
	r.denied("a", "Run", "late.test", 443, 1)
	got := shownBy(t, Config{Mode: Plain}, false, sized(0, 0), r.events)
	for _, want := range []string{
		"[a] ⊘ denied evil.test:443 (node, pid 41)\n", "[a] ⊘ denied evil.test:443 ×1000 in all\n",
		"[a] ⊘ and 151 more decisions about other hosts\n", "[a] ⊘ Run: denied late.test:443 (node, pid 41)\n",
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("%d times %q", strings.Count(got, want), want)
		}
	}
	if n := strings.Count(got, "\n"); n > 60 {
		t.Errorf("%d lines", n)
	}
}

func TestModeOfAConfig(t *testing.T) {
	env := func(kv ...string) func(string) string {
		return func(k string) string {
			for i := 0; i < len(kv); i += 2 {
				if kv[i] == k {
					return kv[i+1]
				}
			}
			return ""
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for _, tt := range []struct {
		mode Mode
		env  func(string) string
		want Mode
	}{
		{"", env(), Plain}, {Auto, env(), Plain}, {Live, env(), Live}, {JSON, env(), JSON}, {Quiet, env(), Quiet},
	} {
		if got := (Config{Out: w, Getenv: tt.env, Mode: tt.mode}).mode(); got != tt.want {
			t.Errorf("%q in a pipe: %q, want %q", tt.mode, got, tt.want)
		}
	}
}

// Events after the end, and an end before there was a result, are no harm.
func TestEndOfAView(t *testing.T) {
	for _, mode := range []Mode{Plain, JSON, Live, Quiet} {
		var b strings.Builder
		v := newView(Config{Mode: mode}, &b, false, sized(24, 80))
		events := oneJob()
		for _, e := range events[:5] {
			v.Event(e)
		}
		v.Close()
		at := b.String()
		for _, e := range events[5:] {
			v.Event(e)
		}
		v.Close()
		if diff := cmp.Diff(at, b.String()); diff != "" {
			t.Errorf("%s wrote after its end: %s", mode, diff)
		}
	}
}

// The result is the last line of JSON, whoever still reports.
func TestJSONEndsWithTheResult(t *testing.T) {
	events := oneJob()
	lines := isJSON(t, shownBy(t, Config{Mode: JSON}, false, sized(0, 0), append(events, events...)))
	if last := lines[len(lines)-1]; last["type"] != "run.done" || last["schema"] != schema {
		t.Errorf("the last line is %v", last)
	}
}

var errGone = errors.New("gone")

type failing struct{ after int }

func (f *failing) Write(p []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, errGone
	}
	return len(p), nil
}

func TestErr(t *testing.T) {
	v := newView(Config{Mode: Plain}, &failing{after: 3}, false, sized(0, 0))
	for _, e := range oneJob() {
		v.Event(e)
	}
	v.Close()
	if !errors.Is(v.Err(), errGone) {
		t.Errorf("got %v", v.Err())
	}
}
