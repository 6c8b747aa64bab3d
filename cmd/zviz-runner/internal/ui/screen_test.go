// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"regexp"
	"strings"
	"testing"
)

func TestScreen(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		free       bool
	}{
		{"nothing yet", "", true},
		{"whole lines", "a\nb\r\n", true},
		{"a prompt", "Password: ", false},
		{"a bar that is drawn again", "10 %\r20 %\r", false},
		{"a bar that has ended", "10 %\r20 %\r\n", true},
		{"colours that are off again", "\x1b[31mred\x1b[0m\n\x1b[1;31;44mred\x1b[22;39;49m\n\x1b[38;5;7mx\x1b[m\n", true},
		{"a colour that is on", "\x1b[31mred\n", false},
		{"a ground that is on", "\x1b[48;2;1;2;3mred\n\x1b[39m", false},
		{"underlined", "\x1b[4mx\n", false},
		{"title of the window", "\x1b]0;npm ci\x07\x1b]0;x\x1b\\a\n", true},
		{"a title that does not end", "a\n\x1b]0;", false},
		{"cursor hidden", "\x1b[?25l\x1b[1G\x1b[0K\x1b[?25hx\n", true},
		{"half a sequence", "\x1b[3", false},
		{"another screen", "\x1b[?1049h\n", false},
		{"up", "a\n\x1b[1A\n\n", false},
		{"saved cursor", "\x1b7\n", false},
		{"line drawing letters", "\x0e\n", false},
		{"an endless parameter", "\x1b[" + strings.Repeat("1", 64) + "m\n", false},
		{"a question for the cursor's place", "\x1b[6n\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var whole, parts screen
			whole.saw([]byte(tt.text))
			for i := range len(tt.text) {
				parts.saw([]byte{tt.text[i]})
			}
			if whole.free() != tt.free || parts != whole {
				t.Errorf("free %v, want %v; %+v, byte by byte %+v", whole.free(), tt.free, whole, parts)
			}
		})
	}
}

// What once moved the cursor is never drawn over again.
func TestScreenIsLeftForGood(t *testing.T) {
	var s screen
	s.saw([]byte("\x1b[2J"))
	s.saw([]byte("a\n\x1b[0m\n"))
	if s.free() {
		t.Error("drawn over")
	}
}

// FuzzScreen: whatever is written, a screen that is free stands at the beginning of a
// line, and nothing moved the cursor but within its line.
func FuzzScreen(f *testing.F) {
	for _, s := range []string{"a\n", "\x1b[31m\n\x1b[0m", "\x1b]0;t\x07\n", "\x1b[1A", "\x0e\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s screen
		s.saw([]byte(text))
		if !s.free() {
			return
		}
		plain := harmless.ReplaceAllString(text, "")
		if strings.ContainsAny(plain, "\v\f\x0e\x0f\x1b") {
			t.Errorf("%q: free, although the cursor was moved", text)
		}
		last := plain[strings.LastIndexByte(plain, '\n')+1:]
		if strings.ContainsFunc(last, func(r rune) bool { return r >= ' ' || r == '\t' }) {
			t.Errorf("%q: free, although the line has begun", text)
		}
	})
}

// harmless are the sequences after which something may still be drawn.
var harmless = regexp.MustCompile(`\x1b\[[0-9;]*m|\x1b\[[0-?]*[KGCD]|\x1b\[\?(25|2004)[hl]|(?s:\x1b\]([^\x07\x1b]|\x1b[^\\])*?(\x07|\x1b\\))`)
