// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestLogLine(t *testing.T) {
	for _, tt := range []struct{ name, in, plain, color string }{
		{"plain", "a\tb", "a\tb", "a\tb"},
		{"colour", "\x1b[31mred\x1b[0m", "red", "\x1b[31mred\x1b[0m\x1b[0m"},
		{"colour left on", "\x1b[1;38;5;8mred", "red", "\x1b[1;38;5;8mred\x1b[0m"},
		{"colons", "\x1b[4:3mred", "red", "\x1b[4:3mred\x1b[0m"},
		{"what grep prints", "\x1b[01;31m\x1b[Kred\x1b[m\x1b[K", "red", "\x1b[01;31mred\x1b[m\x1b[0m"},
		{"erase all of the line", "\x1b[2Kx", "x", "x"},
		{"erase the screen", "\x1b[2Jx", `\x1b[2Jx`, `\x1b[2Jx`},
		{"private", "\x1b[?25lx", `\x1b[?25lx`, `\x1b[?25lx`},
		{"modifyOtherKeys ends with m too", "\x1b[>4;2mx", `\x1b[>4;2mx`, `\x1b[>4;2mx`},
		{"intermediate bytes", "\x1b[1 mx", `\x1b[1 mx`, `\x1b[1 mx`},
		{"cut", "\x1b[31", `\x1b[31`, `\x1b[31`},
		{"title", "\x1b]0;x\x07", `\x1b]0;x\x07`, `\x1b]0;x\x07`},
		{"one-byte CSI", "\u009b31mx", `\u009b31mx`, `\u009b31mx`},
		{"a colour without end", "\x1b[" + strings.Repeat("1;", 50) + "mx", `\x1b[` + strings.Repeat("1;", 50) + "mx", `\x1b[` + strings.Repeat("1;", 50) + "mx"},
		{"carriage return", "a\rb", `a\x0db`, `a\x0db`},
		{"bidi", "a\u202eb", `a\u202eb`, `a\u202eb`},
		{"invalid UTF-8", "a\xffb", `a\xffb`, `a\xffb`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := LogLine(tt.in, false); got != tt.plain {
				t.Errorf("without colour: got %q, want %q", got, tt.plain)
			}
			if got := LogLine(tt.in, true); got != tt.color {
				t.Errorf("with colour: got %q, want %q", got, tt.color)
			}
		})
	}
	if long := strings.Repeat("x", 70_000); LogLine(long, false) != long {
		t.Error("a long line was cut")
	}
}

var sgr = regexp.MustCompile(`\x1b\[[0-9:;]*m`)

// Without colour nothing acts on a terminal; with it, colours do that end with the line.
func FuzzLogLine(f *testing.F) {
	for _, s := range []string{"", "a", "\x1b[31mx", "\x1b[\x1b[31mm", "\x1b[3\x1b[K1m", "\xc2\x9b", "\u202e", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, color := range []bool{false, true} {
			got := LogLine(s, color)
			if color {
				if all := sgr.FindAllString(got, -1); len(all) > 0 && !strings.HasSuffix(got, "\x1b[0m") {
					t.Fatalf("a colour outlives its line: %q", got)
				}
				got = sgr.ReplaceAllString(got, "")
			}
			if !utf8.ValidString(got) {
				t.Fatalf("invalid UTF-8: %q", got)
			}
			for _, r := range got {
				if r != '\t' && (unicode.IsControl(r) || !unicode.IsGraphic(r)) {
					t.Fatalf("%q holds %U", got, r)
				}
			}
		}
	})
}

func TestNoCommand(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"plain # ## text", "plain # ## text"},
		{"::set-output name=a::b", ": :set-output name=a::b"},
		{"  \t::x::", "  \t: :x::"},
		{"std::vector ::x::", "std::vector ::x::"},
		{"a ##[set-output name=a]b", "a # #[set-output name=a]b"},
		{"##vso[task.setvariable]x ##[error]", "# #vso[task.setvariable]x # #[error]"},
		{"###[error]", "## #[error]"},
		{"##teamcity[x]", "# #teamcity[x]"},
		{"## [x] ##1[x]", "## [x] ##1[x]"},
	} {
		if got := NoCommand(tt.in); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
	var b strings.Builder
	if err := WriteJSON(&b, []string{"::x:: ###[error]y", "##vso[a]"}, ""); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), `["::x:: #\u0023#[error]y","\u0023#vso[a]"]`+"\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWidthAndClip(t *testing.T) {
	for _, tt := range []struct {
		in    string
		width int
		cut   string // to 5 columns
	}{
		{"", 0, ""},
		{"build", 5, "build"},
		{"builds", 6, "buil…"},
		{"漢字", 4, "漢字"},
		{"漢字漢", 6, "漢字…"},
		{"a漢字漢", 7, "a漢…"},
		{"✓ ok", 4, "✓ ok"},
		{"😀😀😀", 6, "😀😀…"},
		{"e\u0301", 2, "e\u0301"},
	} {
		if got := Width(tt.in); got != tt.width {
			t.Errorf("width of %q: %d, want %d", tt.in, got, tt.width)
		}
		if got := Clip(tt.in, 5); got != tt.cut {
			t.Errorf("%q is cut to %q, want %q", tt.in, got, tt.cut)
		}
		if got := Width(Pad(tt.in, 5)); got != 5 {
			t.Errorf("%q is padded to %d columns", tt.in, got)
		}
	}
	for _, columns := range []int{-1, 0} {
		if got := Clip("build", columns); got != "" {
			t.Errorf("%q in %d columns", got, columns)
		}
	}
	if got := Clip("build", 1); got != "…" {
		t.Errorf("%q in one column", got)
	}
}

// A column is as wide as a terminal shows it.
func TestTableOfWideNames(t *testing.T) {
	var b strings.Builder
	if err := Table(&b, [][]string{{"A", "B"}, {"漢字", "x"}, {"abcd", "y"}}, nil); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "A     B\n漢字  x\nabcd  y\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestArea(t *testing.T) {
	var b strings.Builder
	cols := 80
	a := NewArea(&b, func() (int, int) { return 2, cols })
	take := func() string {
		defer b.Reset()
		return b.String()
	}
	a.Line("one")
	if got := take(); got != "" {
		t.Errorf("written before it is drawn: %q", got)
	}
	a.Draw([]string{"x", "y", "z"})
	if got, want := take(), "one\n\x1b[?7lx\r\ny\x1b[?7h"; got != want {
		t.Errorf("got %q, want %q: two rows are all there is", got, want)
	}
	a.Draw([]string{"x", "y", "z"})
	if got := take(); got != "" {
		t.Errorf("drawn again, although nothing is new: %q", got)
	}
	cols = 40
	a.Draw([]string{"x", "y"})
	if got, want := take(), "\r\x1b[1A\x1b[J\x1b[?7lx\r\ny\x1b[?7h"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	a.Line(strings.Repeat("l", heldMost))
	if got := take(); len(got) < heldMost || strings.Contains(got, "?7l") {
		t.Errorf("%d bytes of a long line were written, want it at once and without an area", len(got))
	}
	a.Line("last")
	a.Close()
	a.Close()
	if got, want := take(), "last\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
