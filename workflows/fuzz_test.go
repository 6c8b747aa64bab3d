// SPDX-License-Identifier: Apache-2.0

package workflows_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/syntax"
)

// FuzzParse: whatever the text, either there is a workflow whose template is JSON, or
// there are errors within their limits; and reading it again says the same.
func FuzzParse(f *testing.F) {
	paths, _ := filepath.Glob("../../shared/conformance/workflow-parser/*.yml")
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		if docs := strings.Split(string(data), "\n---\n"); len(docs) > 1 {
			f.Add(docs[1])
		}
	}
	f.Add("on: push\njobs: &a {b: *a}\n")
	f.Add("on: push\njobs: {a: {runs-on: x, strategy: {matrix: {a: [1, {b: [2]}], include: [{c: 1}], exclude: [{a: {b: [2]}}]}}}}\n")
	limits := syntax.Limits{MaxErrors: 10, MaxErrorLength: 500}
	f.Fuzz(func(t *testing.T, text string) {
		run := func() (string, workflows.Problems) {
			wf, p := workflows.Parse("f.yml", text, workflows.Options{
				Open:   func(string) (string, error) { return text, nil },
				Syntax: syntax.Options{Limits: limits},
			})
			if wf == nil {
				return string(workflows.ErrorTemplate(p.Errors)), p
			}
			return string(wf.Template(true)), p
		}
		got, p := run()
		if !json.Valid([]byte(got)) && utf8.ValidString(text) {
			t.Fatalf("no JSON: %s", got)
		}
		if strings.HasPrefix(got, "{\n  \"errors\"") != (len(p.Errors) > 0) {
			t.Fatalf("%d errors, and the template is %s", len(p.Errors), got)
		}
		if len(p.Errors) > limits.MaxErrors {
			t.Fatalf("%d errors", len(p.Errors))
		}
		for _, e := range p.Errors {
			if n := utf8.RuneCountInString(e.Error()); n > 20*limits.MaxErrorLength {
				t.Fatalf("an error of %d characters", n)
			}
			if e.Line > 1+strings.Count(text, "\n") {
				t.Fatalf("line %d of %q", e.Line, text)
			}
		}
		if again, _ := run(); again != got {
			t.Fatalf("read again it is another:\n%s\n%s", got, again)
		}
	})
}

// FuzzGlob: a pattern that compiles matches or not, and ! before it is its opposite.
func FuzzGlob(f *testing.F) {
	for _, p := range []string{"main", "releases/**", "**/*.js", "v[12].[0-9]+", "*.jsx?", "feature/**-x", "\\*"} {
		f.Add(p, "releases/v1/main.js")
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		g, err := workflows.NewGlob([]string{pattern})
		if err != nil || strings.HasPrefix(pattern, "!") {
			return
		}
		not, err := workflows.NewGlob([]string{"**", "!" + pattern})
		if err != nil {
			t.Fatal(err)
		}
		if g.Match(name) == not.Match(name) {
			t.Fatalf("%q and its opposite agree on %q", pattern, name)
		}
	})
}

// FuzzMatrix: the cells are at most as many as allowed, and their ids differ.
func FuzzMatrix(f *testing.F) {
	f.Add("{a: [1, 2], b: [x, y], include: [{a: 1, c: z}, {d: 1}], exclude: [{a: 2, b: x}]}")
	f.Add("{include: [{a: 1}, {a: 1}]}")
	f.Fuzz(func(t *testing.T, text string) {
		wf, _ := workflows.Parse("f.yml", "on: push\njobs:\n  j:\n    runs-on: x\n    strategy:\n      matrix: "+text+"\n", workflows.Options{})
		if wf == nil || wf.Jobs[0].Strategy.Get("matrix") == nil || wf.Jobs[0].Strategy.HasExpression() {
			return
		}
		cells, err := workflows.ExpandMatrix(wf.Jobs[0].Strategy.Get("matrix"), "j")
		if err != nil {
			t.Fatalf("the file is valid, but: %v", err)
		}
		ids := map[string]bool{}
		for _, c := range cells {
			if ids[c.ID] || c.ID == "" || len(c.Name) > 400 {
				t.Fatalf("%q %q", c.ID, c.Name)
			}
			ids[c.ID] = true
		}
		if len(cells) > workflows.MaxCells {
			t.Fatalf("%d cells", len(cells))
		}
	})
}
