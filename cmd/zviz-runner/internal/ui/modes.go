// SPDX-License-Identifier: Apache-2.0

package ui

// ResetModes is written to the terminal after a command that had it: whatever
// the command switched on and left on is off again. Nothing in it moves the
// cursor: "\x1b[?1049l", which many use, would restore a cursor position that
// was never saved; "\x1b[?47l" only leaves the alternate screen.
//
// Source: Xterm Control Sequences, "DEC Private Mode Reset (DECRST)".
const ResetModes = "\x0f\x1b(B" + // shift in, US-ASCII as G0: letters, not line drawing
	"\x1b[0m" + // colours and attributes
	"\x1b[?1l\x1b>" + // cursor and keypad keys send their usual codes
	"\x1b[?7h" + // wrap at the margin
	"\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1005l\x1b[?1006l\x1b[?1015l" + // no mouse reports
	"\x1b[?1004l" + // no focus reports
	"\x1b[?2004l" + // no brackets around pasted text
	"\x1b[?47l" + // the main screen
	"\x1b[4l" + // replace, not insert
	"\x1b[?25h" // cursor visible
