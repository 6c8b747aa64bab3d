// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/executor/run"
)

// pausedMost is how many bytes of lines are kept while a View is paused.
const pausedMost = 4 << 20

// pause is what is kept while somebody else has the terminal.
type pause struct {
	on     bool
	events []run.Event
	bytes  int
	lost   int // lines
	last   run.Event
}

// keep takes an event that comes meanwhile. Events are never many, lines of a job may be.
func (p *pause) keep(e run.Event) {
	if e.Step != nil && e.Step.Kind == job.Line {
		if p.bytes+len(e.Step.Text) > pausedMost {
			p.lost, p.last = p.lost+1, e
			return
		}
		p.bytes += len(e.Step.Text)
	}
	p.events = append(p.events, e)
}

// Pause shows nothing until resume is called, and leaves the terminal to somebody else.
// What happens meanwhile is shown then; of lines of jobs the first 4 MiB.
func (s *serial) Pause() (resume func()) {
	s.locked(func() {
		s.r.end()
		s.pause.on = true
	})
	return s.resume
}

func (s *serial) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pause
	if !p.on || s.over {
		return
	}
	s.pause = pause{}
	for _, e := range p.events {
		s.r.event(e)
	}
	if p.lost > 0 {
		e := p.last
		e.Step = &job.Event{
			Kind: job.Line, Step: p.last.Step.Step, Stream: job.Info,
			Text: ui.Count(p.lost, "line that came meanwhile is", "lines that came meanwhile are") + " left out",
		}
		s.r.event(e)
	}
	s.drain()
}
