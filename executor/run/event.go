// SPDX-License-Identifier: Apache-2.0

package run

import (
	"time"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/workflows/plan"
)

// EventKind is what happened.
type EventKind string

// The kinds of events, and the fields that they fill besides Time.
const (
	RunStarted  EventKind = "run.started"  // Name
	RunWaiting  EventKind = "run.waiting"  // Name, Why: for a concurrency group that another run has
	JobWaiting  EventKind = "job.waiting"  // Job, Name, Why: the same, before it starts
	JobStarted  EventKind = "job.started"  // Job, Name
	JobStep     EventKind = "job.step"     // Job, Name, Step
	JobEgress   EventKind = "job.egress"   // Job, Name, Egress
	JobFinished EventKind = "job.finished" // Job, Name, Conclusion, Why, Duration; also of a job that never started
	RunFinished EventKind = "run.finished" // Name, Conclusion, Why, Duration
)

// Event is something that happened in a run. Texts that a job or its workflow wrote are
// masked and valid UTF-8, but control characters are in them: who prints them on a
// terminal makes them harmless.
type Event struct {
	Kind EventKind
	Time time.Time

	Job  string // plan.Job.ID, unique in the run; empty if it is about the run
	Name string // of the job or the run, as people see it

	Step   *job.Event
	Egress *egress.Event

	Conclusion plan.Conclusion
	Why        string // why it failed before it ran, was cancelled or skipped, or waits; may be empty
	Duration   time.Duration
}
