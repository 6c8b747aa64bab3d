// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// How many bytes of foreign text are shown: of one piece (longer than any host
// name, 253; shorter than a screen), and of a line that people paste.
const (
	cleanMax     = 512
	cleanLineMax = 8192
)

// Clean makes text of a job fit for a terminal and for one line: control
// characters, invalid UTF-8 and characters that reorder or hide text become
// escapes, and what is too long is cut.
func Clean(s string) string { return clean(s, cleanMax) }

// CleanLine is Clean for a whole line, such as a command to paste.
func CleanLine(s string) string { return clean(s, cleanLineMax) }

func clean(s string, most int) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		if b.Len() >= most {
			b.WriteString("…")
			break
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		writeClean(&b, r, s[i:i+n])
		i += n
	}
	return b.String()
}

func writeClean(b *strings.Builder, r rune, raw string) {
	switch {
	case r == utf8.RuneError && len(raw) == 1:
		fmt.Fprintf(b, `\x%02x`, raw[0])
	case r == '\n':
		b.WriteString(`\n`)
	case r == '\t':
		b.WriteString(`\t`)
	case r < 0x20 || r == 0x7f:
		fmt.Fprintf(b, `\x%02x`, r)
	case !unicode.IsGraphic(r) || hides(r):
		if r > 0xffff {
			fmt.Fprintf(b, `\U%08x`, r)
		} else {
			fmt.Fprintf(b, `\u%04x`, r)
		}
	default:
		b.WriteRune(r)
	}
}

// hides tells characters which show nothing although unicode.IsGraphic counts
// them in: separators other than the plain space.
func hides(r rune) bool { return r != ' ' && unicode.IsSpace(r) }

// CleanWriter escapes control characters in text of several lines; newlines and
// tabs pass. A character may be split between two writes; Close writes what is
// left of one.
type CleanWriter struct {
	w    io.Writer
	rest []byte
}

// NewCleanWriter returns a CleanWriter on top of w.
func NewCleanWriter(w io.Writer) *CleanWriter { return &CleanWriter{w: w} }

func (c *CleanWriter) Write(p []byte) (int, error) {
	data := append(c.rest, p...)
	var b strings.Builder
	for len(data) > 0 && utf8.FullRune(data) {
		r, n := utf8.DecodeRune(data)
		if r == '\n' || r == '\t' {
			b.WriteRune(r)
		} else {
			writeClean(&b, r, string(data[:n]))
		}
		data = data[n:]
	}
	c.rest = append(c.rest[:0:0], data...)
	if _, err := io.WriteString(c.w, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close writes what is left of a character that never became whole.
func (c *CleanWriter) Close() error {
	_, err := io.WriteString(c.w, Clean(string(c.rest)))
	c.rest = nil
	return err
}
