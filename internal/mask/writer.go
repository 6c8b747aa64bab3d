// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"cmp"
	"io"
	"slices"
	"sync"
)

// Writer masks what is written to it. It is not safe for concurrent use.
type Writer struct {
	mu    sync.Mutex // held by a Write that its caller does not wait for any more
	w     io.Writer
	scans []scan
	held  []byte // the end of what was written that may become a value
	spans []span // what is hidden of held
	open  bool   // the last byte that was passed on was a hidden one
	out   []byte
	count int
}

// scan is how far a set has come.
type scan struct {
	set   *Set
	state int32
}

// span is a part of a buffer.
type span struct{ from, to int }

// New returns a writer that masks the values in what it passes on to w. For many
// writers of the same values make a Set.
func New(w io.Writer, values []string) *Writer { return NewSet(values).NewWriter(w) }

// NewWriter returns a writer that hides what is in any of the sets, as if they were one.
// It takes the time of each.
func NewWriter(w io.Writer, sets ...*Set) *Writer {
	m := &Writer{w: w}
	for _, s := range sets {
		if len(s.states) > 1 { // it has a value
			m.scans = append(m.scans, scan{set: s})
		}
	}
	return m
}

// Write masks p. It keeps back what may be the start of a value until more
// comes, or Flush.
func (m *Writer) Write(p []byte) (int, error) {
	if len(m.scans) == 0 {
		return m.w.Write(p)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.pass(p, false); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes what was kept back. If a Write has not returned, because nobody
// takes the output, there is nowhere to write to.
func (m *Writer) Flush() error {
	if !m.mu.TryLock() {
		return nil
	}
	defer m.mu.Unlock()
	return m.pass(nil, true)
}

// Count returns how many places were hidden so far.
func (m *Writer) Count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.count
}

// pass looks at p and passes on what is certain.
func (m *Writer) pass(p []byte, final bool) error {
	before := len(m.held)
	uncertain := 0
	for i := range m.scans {
		uncertain = max(uncertain, m.look(&m.scans[i], p, before, i))
	}
	if len(m.scans) > 1 {
		m.join()
	}
	buf := p
	if before > 0 {
		buf = append(m.held, p...)
	}
	certain := len(buf)
	if final {
		for i := range m.scans {
			m.scans[i].state = 0
		}
	} else {
		certain -= uncertain
	}
	m.out = m.out[:0]
	m.take(buf, certain)
	if final {
		m.open = false
	}
	m.held = append(m.held[:0], buf[certain:]...)
	if len(m.out) == 0 {
		return nil
	}
	_, err := m.w.Write(m.out)
	return err
}

// look marks what is in the n-th set, and returns how many bytes of the end may become
// one of its values.
func (m *Writer) look(c *scan, p []byte, before, n int) int {
	s, at := c.set, c.state
	first := 0 // what the sets before found is joined later
	if n > 0 {
		first = len(m.spans)
	}
	for i := 0; i < len(p); i++ {
		if at == 0 { // most of what is printed begins no value
			i = s.skip(p, i)
			if i == len(p) {
				break
			}
		}
		at = s.step(at, p[i])
		if n := s.states[at].match; n > 0 {
			m.hide(first, before+i+1-int(n), before+i+1)
		}
		if s.states[at].run > 0 {
			n := s.along(at, p[i+1:])
			at += int32(n)
			i += n
		}
	}
	c.state = at
	return int(s.states[at].depth)
}

// join makes one of spans that overlap or touch.
func (m *Writer) join() {
	slices.SortFunc(m.spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	out := m.spans[:0]
	for _, s := range m.spans {
		if n := len(out); n > 0 && out[n-1].to >= s.from {
			out[n-1].to = max(out[n-1].to, s.to)
			continue
		}
		out = append(out, s)
	}
	m.spans = out
}

// hide marks a part of the buffer, together with what it overlaps or touches of the spans
// from the first one on.
func (m *Writer) hide(first, from, to int) {
	for n := len(m.spans); n > first && m.spans[n-1].to >= from; n-- {
		from = min(from, m.spans[n-1].from)
		m.spans = m.spans[:n-1]
	}
	m.spans = append(m.spans, span{from, to})
}

// take appends the first bytes of the buffer to out, with what is hidden replaced,
// and moves the rest of the spans.
func (m *Writer) take(buf []byte, certain int) {
	at := 0
	left := m.spans[:0]
	for _, h := range m.spans {
		if h.from >= certain {
			left = append(left, span{h.from - certain, h.to - certain})
			continue
		}
		if h.from > at {
			m.out = append(m.out, buf[at:h.from]...)
			m.open = false
		}
		if !m.open {
			m.out = append(m.out, Text...)
			m.count++
		}
		m.open = true
		at = min(h.to, certain)
		if h.to > certain {
			left = append(left, span{0, h.to - certain})
		}
	}
	m.spans = left
	if at < certain {
		m.out = append(m.out, buf[at:certain]...)
		m.open = false
	}
}
