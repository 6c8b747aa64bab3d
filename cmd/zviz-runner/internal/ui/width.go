// SPDX-License-Identifier: Apache-2.0

package ui

import "strings"

// Width is how many columns clean text takes on a terminal, at most: where terminals
// differ it is the larger number.
func Width(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// Clip cuts clean text to so many columns; what was cut is seen as "…".
func Clip(s string, columns int) string {
	if Width(s) <= columns {
		return s
	}
	n := 0
	for i, r := range s {
		if n += runeWidth(r); n > columns-1 {
			return s[:i] + strings.Repeat("…", min(max(columns, 0), 1))
		}
	}
	return s
}

// Pad fills text up to so many columns, and cuts it there.
func Pad(s string, columns int) string {
	s = Clip(s, columns)
	return s + strings.Repeat(" ", max(columns-Width(s), 0))
}

// runeWidth is 2 for all that any terminal shows two columns wide: the scripts of East
// Asia and pictures (UAX #11, W and F, by block). A mark that combines is counted as if
// it did not.
func runeWidth(r rune) int {
	switch {
	case r < 0x1100:
		return 1
	case r <= 0x115f, // Hangul Jamo
		r >= 0x231a && r <= 0x23f3,             // clocks
		r >= 0x2600 && r <= 0x27bf && !ours(r), // symbols of which some are pictures
		r >= 0x2b1b && r <= 0x2b55,
		r >= 0x2e80 && r <= 0x303e, // radicals, punctuation
		r >= 0x3041 && r <= 0xa4cf, // Kana to Yi
		r >= 0xa960 && r <= 0xa97c, // Hangul Jamo Extended-A
		r >= 0xac00 && r <= 0xd7a3, // Hangul
		r >= 0xf900 && r <= 0xfaff, // compatibility ideographs
		r >= 0xfe10 && r <= 0xfe6f, // vertical and small forms
		r >= 0xff01 && r <= 0xff60, // full width
		r >= 0xffe0 && r <= 0xffe6,
		r >= 0x16fe0 && r <= 0x18dff, // Tangut
		r >= 0x1aff0 && r <= 0x1b2ff, // Kana
		r >= 0x1f000 && r <= 0x1faff, // pictures
		r >= 0x20000 && r <= 0x3fffd: // ideographs
		return 2
	default:
		return 1
	}
}

// ours are the marks that we write, one column wide everywhere.
func ours(r rune) bool { return r == '✓' || r == '✗' }
