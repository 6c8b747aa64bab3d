// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"io"
	"os"
	"time"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/executor/run"
)

// View takes what happens in a run and shows it.
type View interface {
	// Event shows an event. It may be called by several goroutines; it returns when the
	// text is written or held to be written within 100 ms. For run.JobEgress it does not
	// wait, since the network has to go on.
	Event(run.Event)

	// Pause leaves the terminal to somebody else until resume is called; what happens
	// meanwhile is shown then.
	Pause() (resume func())

	// Close writes what is held and gives the terminal back as it was. After it nothing
	// is written. It may be called more than once.
	Close()

	// Err returns the first error of writing; after it nothing is written any more.
	Err() error
}

// Mode is how a run is shown.
type Mode string

// The modes.
const (
	Auto  Mode = "auto"  // Live where a person looks (ui.Live), else Plain
	Live  Mode = "tty"   // lines, and what runs at the bottom of the terminal
	Plain Mode = "plain" // lines only, one for each fact
	Quiet Mode = "quiet" // errors and the result
	JSON  Mode = "json"  // JSON lines
)

// Config is what a View is made of.
type Config struct {
	Out    *os.File
	Getenv func(string) string
	Mode   Mode   // empty is Auto
	Color  string // "auto", "always", "never"; empty is auto. Not for JSON

	// Verbose shows also: the script and the variables of each step, what the network
	// allowed, refusals that the policy expects.
	Verbose bool

	// Jobs is how many jobs the run has, if that is known; 0 is not known.
	Jobs int

	// Artifacts is asked once, when the run has finished. Nil: there are none.
	Artifacts func() []Artifact

	// Broken is told once that Out cannot be written to, as after "| head": the caller
	// may end the run. It must not call the View. May be nil.
	Broken func(error)
}

// Artifact is what a run left.
type Artifact struct {
	Name  string
	Bytes int64
	Path  string // where it is on this machine; may be empty
}

// New makes the View of one run.
func New(c Config) View {
	c.Mode = c.mode()
	size := func() (rows, cols int) {
		r, c := ui.Size(c.Out)
		return int(r), int(c)
	}
	colors := ui.Colors(false)
	if c.Mode != JSON {
		colors = ui.ColorsFor(c.Color, c.Getenv, c.Out)
	}
	return newView(c, c.Out, colors, size)
}

func (c Config) mode() Mode {
	switch c.Mode {
	case Live, Plain, Quiet, JSON:
		return c.Mode
	case Auto:
	}
	if ui.Live(c.Getenv, c.Out) {
		return Live
	}
	return Plain
}

// newView makes the View of a mode that is not Auto.
func newView(c Config, out io.Writer, colors ui.Colors, size func() (rows, cols int)) View {
	w := &writer{to: out, broken: c.Broken}
	count := newTally()
	var r renderer
	var every time.Duration
	switch c.Mode {
	case JSON:
		r = &jsonLines{w: w, tally: count, artifacts: c.Artifacts}
	case Live:
		t := newTerminal(w, c, colors, count, size)
		r, every = t, redrawEvery
	default:
		r = newPlain(w, c, colors, count)
	}
	return start(r, w, count, every)
}
