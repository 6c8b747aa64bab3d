// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/zviz/run/internal/canary"
)

// foldWindow is the time in which refusals that are alike become one event: a
// client that retries should not fill the report.
const foldWindow = time.Second

// eventBytesMost bounds what events take together: a path of 1 KiB is as easy to
// make as a short one, and the report is written from memory.
const eventBytesMost = 4 << 20

// recorder hands events on, one at a time, and bounds how many a job can make.
type recorder struct {
	job      string
	observe  func(Event)
	most     int
	expected []expected
	step     func() string
	canaries func() *canary.Finder // nil if none are planted

	mu     sync.Mutex
	n      int
	bytes  int
	recent map[string]*folded
	swept  time.Time
	over   map[overKey]int
	// dropped says that over had something.
	dropped bool
}

// folded is a refusal and how many came after it in its window.
type folded struct {
	event    Event
	since    time.Time
	more     int
	up, down int64 // bytes of those
}

type overKey struct {
	door    Door
	verdict Verdict
}

func newRecorder(job string, most int, observe func(Event)) *recorder {
	if observe == nil {
		observe = func(Event) {}
	}
	return &recorder{job: job, observe: observe, most: most, step: func() string { return "" }, recent: map[string]*folded{}, over: map[overKey]int{}}
}

// emit records an event, of the step that runs if it says none. Refusals and notes
// that are alike are folded.
func (r *recorder) emit(e Event) {
	e.Type, e.Job, e.Step = "egress", r.job, cmp.Or(e.Step, r.step())
	if e.Canary == "" && r.canaries != nil {
		// Also in names and paths that were too odd to be judged.
		e.Canary = cmp.Or(r.canaries().FindInName(e.Host), r.canaries().Find(e.Path))
	}
	if e.Verdict == VerdictDeny && e.Canary == "" {
		e.Expected = slices.ContainsFunc(r.expected, func(x expected) bool { return x.meets(e) })
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Verdict != VerdictDeny && e.Verdict != VerdictNote {
		r.send(e)
		return
	}
	key := foldKey(e)
	if f, ok := r.recent[key]; ok {
		if e.Time.Sub(f.since) < foldWindow {
			f.more += max(e.Count, 1)
			f.up += e.Up
			f.down += e.Down
			return
		}
		r.flush(key, f)
	}
	if len(r.recent) >= 1024 && e.Time.Sub(r.swept) > foldWindow/4 {
		r.swept = e.Time
		r.sweep(e.Time)
	}
	if len(r.recent) < 4096 {
		r.recent[key] = &folded{event: e, since: e.Time}
	}
	r.send(e)
}

// sweep forgets the windows that are over.
func (r *recorder) sweep(now time.Time) {
	for key, f := range r.recent {
		if now.Sub(f.since) >= foldWindow {
			r.flush(key, f)
		}
	}
}

func (r *recorder) flush(key string, f *folded) {
	delete(r.recent, key)
	if f.more > 0 {
		e := f.event
		e.Count, e.Up, e.Down = f.more, f.up, f.down
		r.send(e)
	}
}

func (r *recorder) send(e Event) {
	size := e.size()
	if r.n >= r.most || r.bytes+size > eventBytesMost {
		r.over[overKey{e.Door, e.Verdict}] += max(e.Count, 1)
		r.dropped = true
		return
	}
	r.n++
	r.bytes += size
	r.observe(e)
}

// full reports whether events were more than are kept. Nothing is left out silently:
// the last events count them.
func (r *recorder) full() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dropped
}

// size is about what an event takes.
func (e *Event) size() int {
	n := int(unsafe.Sizeof(*e))
	texts := []string{e.Step, e.Host, e.Dst, e.Method, e.Path, e.Rule, e.Hint, e.Exe, e.Argv0, e.Pkg, e.Script}
	if p := e.Fetched; p != nil {
		n += int(unsafe.Sizeof(*p))
		texts = append(texts, p.Name, p.Version, p.Digest)
		for _, v := range p.Hidden {
			n += len(v) + 16
		}
	}
	for _, s := range texts {
		n += len(s)
	}
	for _, s := range e.Chain {
		n += len(s) + 16
	}
	for _, s := range e.Redacted {
		n += len(s) + 16
	}
	for _, s := range e.Redirected {
		n += len(s) + 16
	}
	return n
}

// close hands on what was folded or only counted.
func (r *recorder) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, f := range r.recent {
		r.flush(key, f)
	}
	for k, n := range r.over {
		e := limited(Event{Time: time.Now(), Type: "egress", Job: r.job, Door: k.door, Count: n}, "events", r.most)
		e.Verdict = k.verdict
		r.observe(e)
	}
	clear(r.over)
}

// foldKey tells events apart. The hint of a limit says which one it was.
func foldKey(e Event) string {
	limit := ""
	if e.Reason == ReasonLimit {
		limit = e.Hint
	}
	return strings.Join([]string{
		string(e.Verdict), string(e.Door), e.Host, strconv.Itoa(int(e.Port)), e.Dst, e.Method, e.Path,
		e.QType, e.Transport, e.Reason, limit, strconv.Itoa(e.PID), e.Step,
	}, "\x00")
}
