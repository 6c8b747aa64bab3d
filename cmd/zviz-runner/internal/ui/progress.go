// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// What people see as instant gets no line; a line is redrawn no faster than the
// eye follows.
const (
	progressDelay  = 300 * time.Millisecond
	progressRedraw = 100 * time.Millisecond
)

// Progress is the line at the bottom of standard error that says what is being
// done. Its methods may be called from any goroutine.
type Progress struct {
	w     io.Writer
	mode  string
	width func() int

	mu    sync.Mutex
	phase string
	done  string // how far it is
	since time.Time
	shown bool

	running sync.WaitGroup
	end     chan struct{}
	close   sync.Once
}

// NewProgress returns a progress line on w; mode is "tty", "plain" or "quiet".
// The width is asked anew for each drawing: windows change size.
func NewProgress(w io.Writer, mode string, width func() int) *Progress {
	p := &Progress{w: w, mode: mode, width: width, end: make(chan struct{})}
	if mode == "tty" {
		p.running.Go(p.draw)
	}
	return p
}

func (p *Progress) draw() {
	delay := time.NewTimer(progressDelay)
	defer delay.Stop()
	select {
	case <-p.end:
		return
	case <-delay.C:
	}
	tick := time.NewTicker(progressRedraw)
	defer tick.Stop()
	for {
		p.redraw()
		select {
		case <-p.end:
			return
		case <-tick.C:
		}
	}
}

func (p *Progress) redraw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase == "" {
		return
	}
	done := ""
	if p.done != "" {
		done = "  " + p.done
	}
	line := []rune(fmt.Sprintf("zviz: %s%s  %.1fs", p.phase, done, time.Since(p.since).Seconds()))
	cols := p.width()
	if cols <= 0 {
		cols = 80
	}
	// The last column stays free: some terminals wrap as soon as it is written.
	if len(line) > cols-1 {
		line = line[:max(cols-1, 0)]
	}
	fmt.Fprint(p.w, "\r\x1b[K"+string(line))
	p.shown = true
}

// erase needs the lock.
func (p *Progress) erase() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}

// Phase names what begins; an empty name says that the last phase ended and
// the line goes away.
func (p *Progress) Phase(name string) {
	name = Clean(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	if name == p.phase {
		return
	}
	if p.mode == "plain" {
		if p.phase != "" {
			fmt.Fprintf(p.w, "zviz: %s done in %.1fs\n", p.phase, time.Since(p.since).Seconds())
		}
		if name != "" {
			fmt.Fprintf(p.w, "zviz: %s\n", name)
		}
	}
	p.phase, p.done, p.since = name, "", time.Now()
	if name == "" {
		p.erase()
	}
}

// Amount says how far the phase is; the next drawing shows it.
func (p *Progress) Amount(done string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = Clean(done)
}

// Close erases the line and ends the drawing.
func (p *Progress) Close() {
	p.Phase("")
	p.close.Do(func() { close(p.end) })
	p.running.Wait()
}

// Writer returns a writer whose text scrolls above the line.
func (p *Progress) Writer() io.Writer { return scrolled{p} }

type scrolled struct{ p *Progress }

func (s scrolled) Write(b []byte) (int, error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.erase()
	return s.p.w.Write(b)
}
