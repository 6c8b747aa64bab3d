// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"strconv"
	"strings"
)

// screen follows what a command writes to a terminal, only as far as is needed to know
// whether something may be drawn below it. The zero screen is one at the beginning of a
// line.
//
// Source: ECMA-48, 5.4 (control sequences) and 8.3.117 (SGR).
type screen struct {
	partial bool     // the line has begun
	style   [11]bool // of letters: by its first SGR number, colours at 0 and 10
	moved   bool     // the command draws by itself: nothing is known any more
	state   escaped  // where in an escape sequence
	params  [32]byte // of a control sequence
	n       int      // bytes in params
}

// escaped is where in an escape sequence a text stands.
type escaped int

const (
	plainText escaped = iota
	afterEscape
	inControl    // CSI
	inCommand    // OSC, such as a window's title
	inCommandEnd // an escape in it
)

// free reports whether something may be drawn.
func (s *screen) free() bool {
	return !s.partial && !s.moved && s.state == plainText && s.style == [11]bool{}
}

// saw takes in what the command wrote.
func (s *screen) saw(text []byte) {
	for _, c := range text {
		if s.moved {
			return
		}
		s.next(c)
	}
}

func (s *screen) next(c byte) {
	switch s.state {
	case plainText:
		switch {
		case c == 0x1b:
			s.state = afterEscape
		case c == '\n':
			s.partial = false
		case c == '\v', c == '\f', c == 0x0e, c == 0x0f: // down, and other letters
			s.moved = true
		case c >= ' ' || c == '\t':
			s.partial = true
		}
	case afterEscape:
		switch c {
		case '[':
			s.state, s.n = inControl, 0
		case ']':
			s.state = inCommand
		default:
			s.moved = true
		}
	case inControl:
		switch {
		case c >= 0x30 && c <= 0x3f && s.n < len(s.params):
			s.params[s.n] = c
			s.n++
		case c >= 0x40 && c <= 0x7e:
			s.state = plainText
			s.control(c, string(s.params[:s.n]))
		default:
			s.moved = true
		}
	case inCommand:
		switch c {
		case 0x07:
			s.state = plainText
		case 0x1b:
			s.state = inCommandEnd
		}
	case inCommandEnd:
		s.state = inCommand
		if c == '\\' {
			s.state = plainText
		}
	}
}

// control takes in a control sequence.
func (s *screen) control(final byte, params string) {
	switch final {
	case 'm':
		s.letters(params)
	case 'K', 'G', 'C', 'D': // within the line
	case 'h', 'l':
		s.moved = params != "?25" && params != "?2004" // the cursor's look, brackets around pasted text
	default:
		s.moved = true
	}
}

// letters takes in the parameters of SGR.
func (s *screen) letters(params string) {
	for p := range strings.SplitSeq(params, ";") {
		n, err := strconv.Atoi(p)
		switch {
		case p == "" || n == 0 && err == nil:
			s.style = [11]bool{}
		case err != nil:
			s.moved = true
		case n >= 30 && n <= 37 || n >= 90 && n <= 97:
			s.style[0] = true
		case n >= 40 && n <= 47 || n >= 100 && n <= 107:
			s.style[10] = true
		case n == 38, n == 48: // a colour by number; its numbers follow
			s.style[(n-38)%11] = true
			return
		case n == 39:
			s.style[0] = false
		case n == 49:
			s.style[10] = false
		case n >= 1 && n <= 9:
			s.style[n] = true
		case n == 22:
			s.style[1], s.style[2] = false, false
		case n >= 23 && n <= 29:
			s.style[n-20] = false
		default:
			s.moved = true
		}
	}
}
