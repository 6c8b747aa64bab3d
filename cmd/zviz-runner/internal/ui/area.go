// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"io"
	"slices"
	"strconv"
	"strings"
)

// heldMost is how many bytes of lines an Area holds until the next drawing. More are
// written at once.
const heldMost = 32 << 10

// Area is the place at the bottom of a terminal where something is drawn over and over,
// with lines that scroll above it. It is drawn when Draw is called, and then together
// with the lines that came since: it does not flicker. Methods are not for several
// goroutines at a time.
//
// When a window becomes narrower a terminal breaks rows that were drawn before, so that
// a piece of one may stay above; no line is ever lost for that.
type Area struct {
	w     io.Writer
	size  func() (rows, cols int)
	lines []byte   // not written yet
	drawn []string // what is on the screen now
	cols  int      // when it was drawn
}

// NewArea makes an area on a terminal. The size is asked anew for each drawing; zero is
// not known.
func NewArea(w io.Writer, size func() (rows, cols int)) *Area { return &Area{w: w, size: size} }

// Size is that of the terminal, or what is usual if that is not known.
func (a *Area) Size() (rows, cols int) {
	rows, cols = a.size()
	if rows <= 0 {
		rows = 24
	}
	if cols <= 0 {
		cols = 80
	}
	return rows, cols
}

// Line adds a line, given without its end, above the area. Its text is clean.
func (a *Area) Line(text string) {
	a.lines = append(append(a.lines, text...), '\n')
	if len(a.lines) >= heldMost {
		a.write(nil, 0)
	}
}

// Draw writes the lines and draws the area: clean rows that are not wider than the
// terminal. Those that are too many for its height are left out.
func (a *Area) Draw(area []string) {
	rows, cols := a.Size()
	area = area[:min(len(area), rows)]
	if len(a.lines) == 0 && slices.Equal(area, a.drawn) && cols == a.cols {
		return
	}
	a.write(slices.Clone(area), cols)
}

// Close writes what is left and erases the area.
func (a *Area) Close() { a.write(nil, 0) }

// write erases, writes the lines, and draws, all in one. Without an area the lines are
// what the screen ends with.
func (a *Area) write(area []string, cols int) {
	var b strings.Builder
	if n := len(a.drawn); n > 0 {
		b.WriteByte('\r')
		if n > 1 {
			b.WriteString("\x1b[" + strconv.Itoa(n-1) + "A") // CUU stops at the first row
		}
		b.WriteString("\x1b[J")
	}
	b.Write(a.lines)
	if len(area) > 0 {
		// Without DECAWM, text that is wider than it seems stays in its row.
		b.WriteString("\x1b[?7l" + strings.Join(area, "\r\n") + "\x1b[?7h")
	}
	if a.lines = a.lines[:0]; cap(a.lines) > 2*heldMost {
		a.lines = nil
	}
	a.drawn, a.cols = area, cols
	if b.Len() > 0 {
		_, _ = io.WriteString(a.w, b.String()) // who gave the writer looks at its errors
	}
}
