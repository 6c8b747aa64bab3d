// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"strings"
	"time"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/executor/job"
)

// longestName is how much is shown of a name, in columns.
const longestName = 100

// jobState is a job that runs.
type jobState struct {
	id, name string // the name is clean
	number   int    // in the order in which they started
	since    time.Time
	steps    map[string]*stepState
	current  *stepState // whose header was shown last, of those that run; may be nil
	prepares string     // what is got before the first step; clean
	denied   denials    // of no step
}

// stepState is a step of a job that runs.
type stepState struct {
	id, name string // the name is clean
	depth    int    // how many actions are around it
	since    time.Time
	running  bool

	group  bool // its lines are in a group
	head   bool // its lines are what is run, which few want to see
	held   *job.Event
	denied denials
	last   ring
}

func cleanName(s string) string { return ui.Clip(ui.Clean(s), longestName) }

// jobs are those that run.
type jobs struct {
	running []*jobState
	started int
	ended   int
}

func (js *jobs) find(id string) *jobState {
	for _, j := range js.running {
		if j.id == id {
			return j
		}
	}
	return nil
}

// of is the job of an event, from the first event about it on.
func (js *jobs) of(id, name string) *jobState {
	if j := js.find(id); j != nil {
		return j
	}
	if name == "" {
		name = id
	}
	j := &jobState{id: id, name: cleanName(name), number: js.started, since: time.Now(), steps: map[string]*stepState{}}
	js.started++
	js.running = append(js.running, j)
	return j
}

func (js *jobs) remove(j *jobState) {
	for i, other := range js.running {
		if other == j {
			js.running = append(js.running[:i:i], js.running[i+1:]...)
			js.ended++
			return
		}
	}
}

// step is a step of the job by its id; nil for none.
func (j *jobState) step(id string) *stepState {
	if id == "" {
		return nil
	}
	st := j.steps[id]
	if st == nil {
		st = &stepState{id: id, name: cleanName(id), depth: strings.Count(id, "/")}
		j.steps[id] = st
	}
	return st
}

// called is a step by what the network calls it, its name or its id; nil if there is none
// such. One that runs comes first.
func (j *jobState) called(name string) *stepState {
	if name == "" {
		return nil
	}
	var found *stepState
	clean := cleanName(name)
	for _, st := range j.steps {
		if st.name != clean && st.id != name {
			continue
		}
		if found == nil || st.running && !found.running || st == j.current {
			found = st
		}
	}
	return found
}

func (j *jobState) begin(e *job.Event) {
	st := j.step(e.Step)
	if e.Name != "" {
		st.name = cleanName(e.Name)
	}
	st.running, st.since, j.prepares = true, time.Now(), ""
	j.current = st
}

// finish ends a step; what comes next is the affair of the one around it.
func (j *jobState) finish(st *stepState) {
	st.running, st.group, st.head, st.held = false, false, false, nil
	if j.current != st {
		return
	}
	j.current = nil
	for at := strings.LastIndexByte(st.id, '/'); at > 0; at = strings.LastIndexByte(st.id[:at], '/') {
		if outer := j.steps[st.id[:at]]; outer != nil && outer.running {
			j.current = outer
			return
		}
	}
}
