// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"strings"
	"unicode/utf8"
)

// LogLine makes a line of a job's output fit for a terminal. It is Clean, but that
// nothing is cut, tabs pass, and colours (SGR, "ESC [ … m") pass if color is set and are
// left out if not. A line that holds one ends without any. "Erase in line" is left out
// too: grep and gcc print one behind each colour.
func LogLine(s string, color bool) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	colored := false
	for i := 0; i < len(s); {
		if n, sgr := sequence(s[i:]); n > 0 {
			if sgr && color {
				b.WriteString(s[i : i+n])
				colored = true
			}
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == '\t' {
			b.WriteByte('\t')
		} else {
			writeClean(&b, r, s[i:i+n])
		}
		i += n
	}
	if colored {
		b.WriteString(resetColor)
	}
	return b.String()
}

const resetColor = "\x1b[0m"

// plain tells text that needs no change, which most of a log is.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 0x20 && c != '\t') || c >= 0x7f {
			return false
		}
	}
	return true
}

// longestSequence is above what any program prints: a colour of foreground and of
// background, three numbers each, with attributes.
const longestSequence = 64

// sequence returns the length of a colour or an "erase in line" that s begins with; 0 if
// it begins with neither. Source: ECMA-48, 5.4: parameters are 0x30 to 0x3b here, without
// the private ones; there are no intermediate bytes.
func sequence(s string) (n int, sgr bool) {
	if !strings.HasPrefix(s, "\x1b[") {
		return 0, false
	}
	for n = 2; n < min(len(s), longestSequence); n++ {
		switch c := s[n]; {
		case c >= '0' && c <= ';':
		case c == 'm':
			return n + 1, true
		case c == 'K' && n <= 3:
			return n + 1, false
		default:
			return 0, false
		}
	}
	return 0, false
}
