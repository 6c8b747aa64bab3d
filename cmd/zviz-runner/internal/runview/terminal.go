// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"io"
	"time"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
)

const (
	redrawEvery = 100 * time.Millisecond // no faster than the eye follows
	statusDelay = 300 * time.Millisecond // a run that ends at once needs none
	widestLabel = 24
)

// terminal shows a run on a terminal: lines, and below them what runs now. As long as
// one job runs after the other, a job's lines stand below its name; once two have run at
// a time, each line has the name in front.
type terminal struct {
	narrator
	area    *ui.Area
	since   time.Time
	total   int // jobs; 0 is not known
	several bool
	label   int // columns
}

func newTerminal(w io.Writer, c Config, colors ui.Colors, t *tally, size func() (rows, cols int)) *terminal {
	v := &terminal{area: ui.NewArea(w, size), since: time.Now(), total: c.Jobs}
	v.narrator = narrator{
		colors: colors, verbose: c.Verbose, tally: t, artifacts: c.Artifacts,
		say: v.say, title: v.title, named: v.named,
	}
	return v
}

func (v *terminal) named() bool {
	v.several = v.several || len(v.running) > 1
	return v.several
}

// say shows a line; below the name of its job it is indented.
func (v *terminal) say(j *jobState, mark, text string) {
	if j != nil && !v.named() {
		v.area.Line("  " + marked(mark, text))
		return
	}
	v.title(j, mark, text)
}

// title shows a line at which a job begins or ends.
func (v *terminal) title(j *jobState, mark, text string) {
	line := marked(mark, text)
	if j != nil && v.named() {
		_, cols := v.area.Size()
		most := max(min(widestLabel, cols/4), 4)
		v.label = min(max(v.label, ui.Width(j.name)), most)
		line = v.colors.Of(j.number, ui.Pad(j.name, v.label)) + " " + line
	}
	v.area.Line(line)
}

func (v *terminal) tick() {
	if time.Since(v.since) < statusDelay {
		v.area.Draw(nil)
		return
	}
	rows, cols := v.area.Size()
	v.area.Draw(v.status(rows, cols))
}

func (v *terminal) end() { v.area.Close() }
