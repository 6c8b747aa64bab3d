// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/workflows/command"
)

// FuzzParse: what is printed is read back as it was, and text without a command's
// marks is none.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"::error file=a.go,line=3::x%0Ay", "##[warning file=a;line=1]m", "::debug::%250A", "x ::error::no", ":: ::", "::error ,,=::"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, ok := command.Parse(line)
		if !ok {
			return
		}
		if !strings.Contains(line, "::") && !strings.Contains(line, "##[") {
			t.Errorf("%q is a command", line)
		}
		for k, v := range c.Properties {
			if strings.ContainsAny(k, ":,=") || strings.ContainsFunc(k, unicode.IsSpace) {
				return // such a name can be read, but no action prints it
			}
			if v != strings.TrimRightFunc(v, unicode.IsSpace) {
				return // at the end of the list the runner cuts it off
			}
		}
		for k, v := range c.Properties {
			if v == "" {
				delete(c.Properties, k)
			}
		}
		again, ok := command.Parse(c.String())
		if !ok {
			t.Fatalf("%q: %q is no command", line, c.String())
		}
		if diff := cmp.Diff(c, again); diff != "" {
			t.Errorf("%q, then %q: %s", line, c.String(), diff)
		}
	})
}

// FuzzParseValues: every value is a part of the file, and each pair, written as a
// heredoc, is read back.
func FuzzParseValues(f *testing.F) {
	for _, s := range []string{"A=1\n", "A<<EOF\nx\n\nEOF\n", "A<<EOF\n", "=v", "\ufeffA=1", "A<<E\r\nx\r\nE\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		pairs, _ := command.ParseValues(text)
		for _, p := range pairs {
			if !strings.Contains(text, p.Value) || !strings.Contains(text, p.Name) {
				t.Errorf("%q: %q is not in it", text, p)
			}
			if p.Name == "" || strings.ContainsAny(p.Name, "=\n") || strings.Contains(p.Name, "<<") || strings.HasSuffix(p.Name, "<") || strings.HasPrefix(p.Name, "\ufeff") {
				continue
			}
			end := "end"
			for strings.Contains(p.Value, end) {
				end += "x"
			}
			file := p.Name + "<<" + end + "\n" + p.Value + "\n" + end + "\n"
			if p.Value == "" {
				file = p.Name + "<<" + end + "\n" + end + "\n"
			}
			again, err := command.ParseValues(file)
			if err != nil || len(again) != 1 || again[0] != p {
				t.Errorf("%q: %q, %v", file, again, err)
			}
		}
	})
}

// FuzzMatchers: a file of matchers is refused or matches, and never more lines than
// there are.
func FuzzMatchers(f *testing.F) {
	f.Add(eslintStylish, "test.js\n  1:0  error  Missing  strict\n")
	f.Add(goMatcher, "./a.go:1:2: x")
	f.Fuzz(func(t *testing.T, file, output string) {
		var m command.Matchers
		if err := m.Add([]byte(file)); err != nil {
			return
		}
		var so command.Lines
		for line := range strings.SplitSeq(output, "\n") {
			if a, ok := m.Match(line, &so); ok && a.Severity == "" {
				t.Errorf("%q: no severity in %+v", line, a)
			}
		}
	})
}
