// SPDX-License-Identifier: Apache-2.0

package job

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitArguments(t *testing.T) {
	for line, want := range map[string][]string{
		"":                       nil,
		"-e f":                   {"-e", "f"},
		`-command ". 'f'"`:       {"-command", ". 'f'"},
		`a "b c" d`:              {"a", "b c", "d"},
		`a"b c"d`:                {"ab cd"},
		`"" x`:                   {"", "x"},
		`\"a\" \\"b c\\" \n`:     {`"a"`, `\b c\`, `\n`},
		`"a""b"`:                 {`a"b`},
		"a\t b":                  {"a", "b"},
		`unclosed "quote here  `: {"unclosed", "quote here  "},
	} {
		if diff := cmp.Diff(want, splitArguments(line)); diff != "" {
			t.Errorf("%q: %s", line, diff)
		}
	}
}

// FuzzSplitArguments: an argument that is quoted is read back as it was.
func FuzzSplitArguments(f *testing.F) {
	f.Add("a b", `c"\`)
	f.Fuzz(func(t *testing.T, a, b string) {
		quote := func(s string) string {
			var out strings.Builder
			out.WriteByte('"')
			slashes := 0
			for i := range len(s) {
				switch s[i] {
				case '\\':
					slashes++
					continue
				case '"':
					out.WriteString(strings.Repeat(`\`, 2*slashes+1))
				default:
					out.WriteString(strings.Repeat(`\`, slashes))
				}
				slashes = 0
				out.WriteByte(s[i])
			}
			out.WriteString(strings.Repeat(`\`, 2*slashes))
			out.WriteByte('"')
			return out.String()
		}
		if diff := cmp.Diff([]string{a, b}, splitArguments(quote(a)+" "+quote(b))); diff != "" {
			t.Error(diff)
		}
	})
}

// FuzzOutput: wherever the output is cut, the lines are those of the text, and no
// part is longer than it may be.
func FuzzOutput(f *testing.F) {
	f.Add("a\nb\r\n\nc", uint8(1), uint16(3))
	f.Add(strings.Repeat("x", 300), uint8(7), uint16(1000))
	f.Add("::"+strings.Repeat("x", 300), uint8(7), uint16(1000))
	f.Fuzz(func(t *testing.T, text string, cut uint8, repeat uint16) {
		text = strings.ToValidUTF8(strings.Repeat(text, int(repeat%2000)+1), "?")
		if len(text) > 1<<20 || strings.Contains(text, "\ufffd") {
			return
		}
		var got bytes.Buffer
		o := &output{masks: newMasker(nil)}
		o.line = func(s string) {
			if len(s) > longestLine {
				t.Errorf("a line of %d bytes", len(s))
			}
			got.WriteString(s + "\n")
		}
		long := 0
		o.part = func(s string) { long += len(s) }
		o.command = func(string) bool { return false }
		for rest := []byte(text); len(rest) > 0; {
			n := min(len(rest), int(cut)*37+1)
			_, _ = o.Write(rest[:n])
			rest = rest[n:]
		}
		o.flush()
		var want strings.Builder
		wantLong := 0
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if len(line) >= longestLine {
				wantLong += len(line)
				continue
			}
			want.WriteString(strings.TrimSuffix(line, "\r") + "\n")
		}
		if diff := cmp.Diff(want.String(), got.String()); diff != "" {
			t.Error(diff)
		}
		// A return before the end, and what is cut in the middle of a character, differ.
		if wantLong > 0 && long < wantLong-longestLine {
			t.Errorf("%d of %d bytes of long lines", long, wantLong)
		}
	})
}
