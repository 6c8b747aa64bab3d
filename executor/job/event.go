// SPDX-License-Identifier: Apache-2.0

package job

import "time"

// EventKind is what happened.
type EventKind string

// The kinds of events, and the fields that they fill besides Step and Time.
const (
	Preparing    EventKind = "preparing"     // Text: the action that is got before the first step
	StepStarted  EventKind = "step.started"  // Name
	Line         EventKind = "line"          // Stream, Text
	GroupStarted EventKind = "group.started" // Text: its title
	GroupEnded   EventKind = "group.ended"
	Annotated    EventKind = "annotation" // Annotation
	Summary      EventKind = "summary"    // Text: markdown
	StepFinished EventKind = "step.finished"
)

// Streams of a line. Info is the engine's own.
const (
	Stdout = "stdout"
	Stderr = "stderr"
	Info   = "info"
	Debug  = "debug"
)

// Event is something that happened in a job. Its texts are masked and valid UTF-8.
type Event struct {
	Kind EventKind
	Time time.Time
	Step string // the id of a step; of one in an action after those around it, with slashes

	Name       string
	Stream     string
	Text       string // a Line without its end; one of more than 64 KiB comes in parts
	Annotation *Annotation
	Result     *StepResult // of StepFinished
}

// Annotation is a message about a place in a file, or about nothing in particular.
type Annotation struct {
	Level             string // notice, warning, error
	Message           string
	Title             string
	File              string // relative to the workspace, or as printed
	Line, EndLine     int    // 0 if not known
	Column, EndColumn int
	Code              string // of a problem matcher
	ByRunner          bool   // the engine's own words, not the job's
}
