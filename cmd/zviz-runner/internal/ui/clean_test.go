// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "tracker.example.com:443", "tracker.example.com:443"},
		{"letters of other scripts stay", "données/файл 日本", "données/файл 日本"},
		{"escape sequence", "a\x1b[2Jb", `a\x1b[2Jb`},
		{"carriage return and newline", "a\r\nb", `a\x0d\nb`},
		{"C1 control", "a\u009b31mb", `a\u009b31mb`},
		{"right-to-left override", "gpj\u202eexe", `gpj\u202eexe`},
		{"zero width", "a\u200bb", `a\u200bb`},
		{"line separator", "a\u2028b", `a\u2028b`},
		{"no-break space", "a\u00a0b", `a\u00a0b`},
		{"invalid UTF-8", "a\xff\xfeb", `a\xff\xfeb`},
		{"the replacement character itself stays", "a\ufffdb", "a\ufffdb"},
		{"tag characters", "a\U000e0041b", `a\U000e0041b`},
		{"delete", "a\x7fb", `a\x7fb`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Clean(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if got := Clean(strings.Repeat("x", 10_000)); len(got) > cleanMax+len("…") {
		t.Errorf("%d bytes shown of one name", len(got))
	}
}

func TestCleanWriterKeepsSplitCharactersAndLines(t *testing.T) {
	var b strings.Builder
	w := NewCleanWriter(&b)
	for _, c := range []byte("+\té\n-\x1b[31m\xe2\x82") {
		if n, err := w.Write([]byte{c}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if want := "+\té\n-" + `\x1b[31m\xe2\x82`; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

// Nothing that Clean returns can move a cursor, whatever came in.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "a", "\x1b]0;x\x07", "\xc2\x9b", "\u202e", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		if !utf8.ValidString(got) {
			t.Fatalf("invalid UTF-8: %q", got)
		}
		for _, r := range got {
			if unicode.IsControl(r) || !unicode.IsGraphic(r) {
				t.Fatalf("%q holds %U", got, r)
			}
		}
		if again := Clean(got); len(got) <= cleanMax && again != got {
			t.Fatalf("not stable: %q, then %q", got, again)
		}
	})
}
