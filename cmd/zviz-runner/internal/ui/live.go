// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"io"
	"strings"
)

// maxLiveRows bounds a live view; it never takes more than a third of the window.
const maxLiveRows = 8

// Row is a line of a live view. Whatever it says is made plain ASCII and cut to the
// window: a character of another width would move what is drawn below it.
type Row struct {
	Text string
	Bad  bool // red, where there is colour
}

// Live shows rows at the bottom of the terminal as long as no phase is shown; nil ends
// it. rows is called for each drawing, gets the columns and how many rows there may be,
// and must not block. Without a terminal nothing is shown.
func (p *Progress) Live(rows func(cols, most int) []Row) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live = rows
	if rows == nil {
		p.erase()
	}
}

// redrawRows needs the lock. The cursor stays where it was: what is typed, or written by
// the command, comes in the place of the rows, and to erase them is to erase all below.
func (p *Progress) redrawRows() {
	if p.live == nil || !p.screen.free() {
		return
	}
	rows, cols := p.window()
	list := p.live(cols, min(maxLiveRows, rows/3))
	if len(list) > rows/3 {
		list = list[:rows/3]
	}
	lines := make([]string, 0, len(list))
	for _, r := range list {
		text := cut(r.Text, cols)
		if r.Bad && p.color {
			text = "\x1b[1;31m" + text + "\x1b[0m"
		}
		lines = append(lines, text)
	}
	block := strings.Join(lines, "\r\n")
	if block == p.block {
		return
	}
	p.eraseRows()
	if block == "" {
		return
	}
	back := ""
	if len(lines) > 1 {
		back = fmt.Sprintf("\x1b[%dA", len(lines)-1)
	}
	fmt.Fprint(p.w, "\r\x1b[J"+block+back+"\r")
	p.block = block
}

// eraseRows needs the lock.
func (p *Progress) eraseRows() {
	if p.block != "" {
		fmt.Fprint(p.w, "\r\x1b[J")
		p.block = ""
	}
}

// cut makes a text at most cols columns of ASCII.
func cut(s string, cols int) string {
	var b strings.Builder
	for _, r := range Clean(s) {
		part := string(r)
		if r > 0x7e {
			part = fmt.Sprintf(`\u%04x`, r)
		}
		if b.Len()+len(part) > cols {
			break
		}
		b.WriteString(part)
	}
	return b.String()
}

// Beside returns a writer to w for what a command writes to the terminal: rows make way
// for it, and come back below it if the command leaves the cursor at the beginning of a
// line. A command that moves the cursor itself ends them for good.
func (p *Progress) Beside(w io.Writer) io.Writer {
	if p.mode != "tty" {
		return w
	}
	return beside{p, w}
}

type beside struct {
	p *Progress
	w io.Writer
}

func (b beside) Write(text []byte) (int, error) {
	b.p.mu.Lock()
	defer b.p.mu.Unlock()
	b.p.erase()
	b.p.screen.saw(text)
	return b.w.Write(text)
}
