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

// Progress is what stands at the bottom of standard error: the line that says what is
// being done, or the rows of a live view (Live). Its methods may be called from any
// goroutine.
type Progress struct {
	w     io.Writer
	mode  string
	size  func() (rows, cols int)
	color bool // of rows

	mu     sync.Mutex
	phase  string
	done   string // how far it is
	since  time.Time
	shown  bool
	live   func(cols, most int) []Row // nil: no live view
	block  string                     // the rows that are shown; empty if none are
	screen screen                     // of the command that shares the terminal

	running sync.WaitGroup
	end     chan struct{}
	close   sync.Once
}

// NewProgress returns a progress line on w; mode is "tty", "plain" or "quiet".
// The size is asked anew for each drawing: windows change theirs.
func NewProgress(w io.Writer, mode string, size func() (rows, cols int)) *Progress {
	p := &Progress{w: w, mode: mode, size: size, end: make(chan struct{})}
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
		p.redrawRows()
		return
	}
	p.eraseRows()
	done := ""
	if p.done != "" {
		done = "  " + p.done
	}
	line := []rune(fmt.Sprintf("zviz: %s%s  %.1fs", p.phase, done, time.Since(p.since).Seconds()))
	if _, cols := p.window(); len(line) > cols {
		line = line[:cols]
	}
	fmt.Fprint(p.w, "\r\x1b[K"+string(line))
	p.shown = true
}

// window returns the size that there is to draw in.
func (p *Progress) window() (rows, cols int) {
	rows, cols = p.size()
	if rows <= 0 {
		rows = 24
	}
	if cols <= 0 {
		cols = 80
	}
	// The last column stays free: some terminals wrap as soon as it is written.
	return rows, max(cols-1, 0)
}

// erase needs the lock.
func (p *Progress) erase() {
	p.eraseRows()
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
