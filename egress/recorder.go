// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"strconv"
	"strings"
	"sync"
	"time"
)

// foldWindow is the time in which refusals that are alike become one event: a
// client that retries should not fill the report.
const foldWindow = time.Second

// recorder hands events on, one at a time, and bounds how many a job can make.
type recorder struct {
	job     string
	observe func(Event)
	most    int

	mu     sync.Mutex
	n      int
	recent map[string]*folded
	over   map[overKey]int
}

// folded is a refusal and how many came after it in its window.
type folded struct {
	event Event
	since time.Time
	more  int
}

type overKey struct {
	door    Door
	verdict Verdict
}

func newRecorder(job string, most int, observe func(Event)) *recorder {
	if observe == nil {
		observe = func(Event) {}
	}
	return &recorder{job: job, observe: observe, most: most, recent: map[string]*folded{}, over: map[overKey]int{}}
}

// emit records an event. Refusals and notes that are alike are folded.
func (r *recorder) emit(e Event) {
	e.Type, e.Job = "egress", r.job
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
			return
		}
		r.flush(key, f)
	}
	if len(r.recent) >= 1024 {
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
		e.Count = f.more
		r.send(e)
	}
}

func (r *recorder) send(e Event) {
	if r.n >= r.most {
		r.over[overKey{e.Door, e.Verdict}] += max(e.Count, 1)
		return
	}
	r.n++
	r.observe(e)
}

// close hands on what was folded or only counted.
func (r *recorder) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, f := range r.recent {
		r.flush(key, f)
	}
	for k, n := range r.over {
		r.observe(Event{Time: time.Now(), Type: "egress", Job: r.job, Verdict: k.verdict, Door: k.door, Rule: "default", Reason: ReasonLimit, Count: n})
	}
	clear(r.over)
}

// foldKey tells events apart.
func foldKey(e Event) string {
	return strings.Join([]string{
		string(e.Verdict), string(e.Door), e.Host, strconv.Itoa(int(e.Port)), e.Dst, e.Method, e.Path,
		e.QType, e.Transport, e.Reason, strconv.Itoa(e.PID),
	}, "\x00")
}
