// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"io"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
)

// plain shows a run in lines that stay as they are, each with the name of its job. They
// may be the log of another CI system, for which they hold no command.
type plain struct {
	narrator
	w io.Writer
}

func newPlain(w io.Writer, c Config, colors ui.Colors, t *tally) *plain {
	p := &plain{w: w}
	p.narrator = narrator{
		colors: colors, verbose: c.Verbose, quiet: c.Mode == Quiet, tally: t, artifacts: c.Artifacts,
		say: p.say, title: p.say, named: func() bool { return true },
	}
	return p
}

func (p *plain) say(j *jobState, mark, text string) {
	line := marked(mark, text)
	if j != nil {
		line = p.colors.Of(j.number, "["+j.name+"]") + " " + line
	}
	_, _ = io.WriteString(p.w, ui.NoCommand(line)+"\n") // the writer keeps its error
}

func (p *plain) tick() {}
func (p *plain) end()  {}
