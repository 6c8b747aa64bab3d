// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/workflows/command"
)

const eslintStylish = `{"problemMatcher": [{"owner": "eslint-stylish", "pattern": [
	{"regexp": "^([^\\s].*)$", "file": 1},
	{"regexp": "^\\s+(\\d+):(\\d+)\\s+(error|warning|info)\\s+(.*)\\s\\s+(.*)$", "line": 1, "column": 2, "severity": 3, "message": 4, "code": 5, "loop": true}
]}]}`

const goMatcher = `{"problemMatcher": [{"owner": "go", "severity": "warning", "pattern": [
	{"regexp": "^\\s*(\\.{0,2}[\\/\\\\].+\\.go):(?:(\\d+):(\\d+):)? (.*)", "file": 1, "line": 2, "column": 3, "message": 4}
]}]}`

func match(t *testing.T, files []string, output string) []command.Annotation {
	t.Helper()
	var m command.Matchers
	for _, f := range files {
		if err := m.Add([]byte(f)); err != nil {
			t.Fatal(err)
		}
	}
	var out []command.Annotation
	var so command.Lines
	for line := range strings.SplitSeq(output, "\n") {
		if a, ok := m.Match(line, &so); ok {
			out = append(out, a)
		}
	}
	return out
}

func TestMatchers(t *testing.T) {
	tests := []struct {
		name   string
		files  []string
		output string
		want   []command.Annotation
	}{
		{
			"one line",
			[]string{goMatcher},
			"ok\n./main.go:3:5: undefined: x\n",
			[]command.Annotation{{Severity: "warning", Message: "undefined: x", File: "./main.go", Line: "3", Column: "5"}},
		},
		{
			"colours",
			[]string{goMatcher},
			"\x1b[31m./main.go:3:5: bad\x1b[0m",
			[]command.Annotation{{Severity: "warning", Message: "bad", File: "./main.go", Line: "3", Column: "5"}},
		},
		{
			"loop",
			[]string{eslintStylish},
			"test.js\n  1:0  error  Missing \"use strict\"  strict\n  5:10  warning  'a' is unused  no-unused-vars\n\nfoo.js\n  36:10  info  Expected  key-spacing\n",
			[]command.Annotation{
				{Severity: "error", Message: `Missing "use strict"`, File: "test.js", Line: "1", Column: "0", Code: "strict"},
				{Severity: "warning", Message: "'a' is unused", File: "test.js", Line: "5", Column: "10", Code: "no-unused-vars"},
				{Severity: "error", Message: "Expected", File: "foo.js", Line: "36", Column: "10", Code: "key-spacing"},
			},
		},
		{
			"the newest counts",
			[]string{goMatcher, strings.NewReplacer(`"go"`, `"newer"`, "warning", "notice").Replace(goMatcher)},
			"./main.go:3:5: bad",
			[]command.Annotation{{Severity: "notice", Message: "bad", File: "./main.go", Line: "3", Column: "5"}},
		},
		{
			"from a path of all its lines",
			[]string{strings.Replace(goMatcher, `"severity"`, `"fromPath": "sub/go.mod", "severity"`, 1)},
			"./main.go:3:5: bad",
			[]command.Annotation{{Severity: "warning", Message: "bad", File: "./main.go", FromPath: "sub/go.mod", Line: "3", Column: "5"}},
		},
		{"a loop is broken by another line", []string{eslintStylish}, "\n  1:0  error  Missing  strict\n", nil},
		{
			"three lines",
			[]string{`{"problemMatcher": [{"owner": "x", "pattern": [{"regexp": "^A (.*)$", "file": 1}, {"regexp": "^B (.*)$", "line": 1}, {"regexp": "^C (.*)$", "message": 1}]}]}`},
			"A f\nB 1\nC ok\nA f\nC no\nA g\nA h\nB 2\nC yes",
			[]command.Annotation{{Severity: "error", Message: "ok", File: "f", Line: "1"}, {Severity: "error", Message: "yes", File: "h", Line: "2"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, match(t, tt.files, tt.output)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMatchersReplace(t *testing.T) {
	var m command.Matchers
	for _, f := range []string{goMatcher, eslintStylish, goMatcher} {
		if err := m.Add([]byte(f)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"go", "eslint-stylish"}, m.Owners()); diff != "" {
		t.Error(diff)
	}
	m.Remove("GO")
	if diff := cmp.Diff([]string{"eslint-stylish"}, m.Owners()); diff != "" {
		t.Error(diff)
	}
	var one, other command.Lines
	if _, ok := m.Match("a.js", &one); ok {
		t.Error("half a match")
	}
	if a, ok := m.Match("  1:0  error  Missing  strict", &other); ok {
		t.Errorf("the line of another stream counts: %+v", a)
	}
	if _, ok := m.Match("  1:0  error  Missing  strict", &one); !ok {
		t.Error("the line of its own does not")
	}
}

func TestMatcherErrors(t *testing.T) {
	one := func(pattern string) string {
		return `{"problemMatcher": [{"owner": "x", "pattern": [` + pattern + `]}]}`
	}
	tests := []struct{ name, file, want string }{
		{"no JSON", `{`, "unexpected end"},
		{"nothing", `{}`, "no problemMatcher"},
		{"no owner", `{"problemMatcher": [{"pattern": [{"regexp": "(.)", "message": 1}]}]}`, "owner"},
		{"bad severity", `{"problemMatcher": [{"owner": "x", "severity": "fatal", "pattern": [{"regexp": "(.)", "message": 1}]}]}`, `"fatal"`},
		{"no pattern", one(``), "no pattern"},
		{"no expression", one(`{"message": 1}`), "regexp"},
		{"bad expression", one(`{"regexp": "(", "message": 1}`), "missing closing )"},
		{"no message", one(`{"regexp": "(.)", "file": 1}`), "message"},
		{"no such group", one(`{"regexp": "(.)", "message": 2}`), "at most 1"},
		{"set twice", one(`{"regexp": "(.)", "file": 1}, {"regexp": "(.)", "file": 1, "message": 1}`), "earlier"},
		{"single loop", one(`{"regexp": "(.)", "message": 1, "loop": true}`), "may loop"},
		{"loop in the middle", one(`{"regexp": "(.)", "file": 1}, {"regexp": "(.)", "line": 1, "loop": true}, {"regexp": "(.)", "message": 1}`), "may loop"},
	}
	for _, text := range []string{`^(?!x)(.)$`, `(?<=a)(.)`, `(.)\\1`, `(((x{10}){10}){10}){11}`} { // right for GitHub
		var m command.Matchers
		e, ok := errors.AsType[*command.MatcherError](m.Add([]byte(one(`{"regexp": "` + text + `", "message": 1}`))))
		if !ok || !e.Unsupported {
			t.Errorf("%s: got %+v", text, e)
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m command.Matchers
			err := m.Add([]byte(tt.file))
			if e, ok := errors.AsType[*command.MatcherError](err); ok && e.Unsupported {
				t.Error("it is wrong for GitHub too")
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || len(m.Owners()) > 0 {
				t.Errorf("got %v, want …%s…", err, tt.want)
			}
		})
	}
}

// TestMatchersAreBounded: a job cannot fill the memory of its runner with expressions.
func TestMatchersAreBounded(t *testing.T) {
	one := func(owner string) string {
		return `{"owner": "` + owner + `", "pattern": [{"regexp": "(((x{10}){10}){10})y", "message": 1}]}`
	}
	file := func(from, to int) []byte {
		var list []string
		for i := range to - from {
			list = append(list, one("o"+strconv.Itoa(from+i)))
		}
		return []byte(`{"problemMatcher": [` + strings.Join(list, ",") + `]}`)
	}
	var m command.Matchers
	if err := m.Add(file(0, 40)); err != nil {
		t.Fatal(err)
	}
	for range 5 { // they take the place of the same
		if err := m.Add(file(0, 40)); err != nil {
			t.Fatal(err)
		}
	}
	e, ok := errors.AsType[*command.MatcherError](m.Add(file(40, 9000)))
	if !ok || !e.Unsupported || len(m.Owners()) != 40 {
		t.Errorf("got %v, %d matchers", e, len(m.Owners()))
	}
}
