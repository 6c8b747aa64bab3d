// SPDX-License-Identifier: Apache-2.0

package syntax

import (
	"strings"
	"testing"
)

// read reads the value of name, which may be anything in env.
func readEnv(t *testing.T, value string) (*Token, []*Error) {
	t.Helper()
	r := NewReader(Options{})
	text := "on: push\njobs:\n  j:\n    runs-on: x\n    strategy: {matrix: {v: [" + value + "]}}\n"
	root := r.Read("f.yml", text, "workflow-root")
	if r.Failed() || root == nil {
		return nil, r.Errors()
	}
	return root.Get("jobs").Get("j").Get("strategy").Get("matrix").Get("v").Items[0], nil
}

func TestScalars(t *testing.T) {
	for text, want := range map[string]string{
		"0777": "number 777", "1_000": "string 1_000", "0o17": "number 15", "0x1F": "number 31", "0X1F": "string 0X1F",
		"0xFFFFFFFF": "number -1", "0b1": "string 0b1", "1:30": "string 1:30", "yes": "string yes", "2001-01-01": "string 2001-01-01",
		"True": "bool true", "tRue": "string tRue", "~": "null ", "null": "null ", "'null'": "string null", "'1'": "string 1",
		"+1": "number 1", "+": "string +", ".": "string .", ".5": "number 0.5", "1.": "number 1", "1e3": "number 1000",
		"1e": "string 1e", "e1": "string e1", "-.inf": "number -Infinity", ".NaN": "number NaN", "1.2.3": "string 1.2.3",
		"!!str 1": "string 1", "!!float 1": "number 1", "<<": "string <<",
	} {
		tok, errs := readEnv(t, text)
		if errs != nil {
			t.Errorf("%s: %v", text, errs[0])
			continue
		}
		got := map[Kind]string{Null: "null", Bool: "bool", Number: "number", String: "string"}[tok.Kind] + " " + tok.String()
		if got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"!!int x": "is invalid for the type", "0x1FFFFFFFF": "is invalid for the type", "!x y": "Unexpected tag '!x'",
		"!!int 'x'": "The scalar style 'SingleQuoted'", "!!bool 1": "is invalid for the type", "!!null x": "is invalid for the type",
	} {
		if _, errs := readEnv(t, text); errs == nil || !strings.Contains(errs[0].Error(), want) {
			t.Errorf("%s: %v, want %s", text, errs, want)
		}
	}
}

func TestNotUTF8(t *testing.T) {
	r := NewReader(Options{})
	r.Read("f.yml", "on: push\nname: a\xffb\n", "workflow-root")
	if want := "f.yml (Line: 2, Col: 8): The file is not valid UTF-8"; !r.Failed() || r.Errors()[0].Error() != want {
		t.Errorf("%v, want %s", r.Errors(), want)
	}
}

// A text between limits of GitHub's passes; a character more does not.
func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		name, text, want string
		limits           Limits
	}{
		{"file size", "on: push\njobs: {a: {runs-on: x}}\n", "The maximum file size of 30 characters has been exceeded", Limits{MaxFileSize: 30}},
		{"depth", "on: push\njobs: {a: {runs-on: x}}\n", "Maximum object depth exceeded", Limits{MaxDepth: 2}},
		{"nodes", "on: push\njobs: {a: {runs-on: x}}\n", "Maximum YAML nodes exceeded", Limits{MaxNodes: 12}},
		{"result", "on: push\njobs: {a: {runs-on: x}}\n", "Maximum object size exceeded", Limits{MaxResultSize: 400}},
		{"message", "on: push\n" + strings.Repeat("x", 600) + ": 1\n", "[...]", Limits{}},
		{"errors", "on: push\n" + "a: 1\nb: 1\nc: 1\njobs: {}\n", "Unexpected value 'a'", Limits{MaxErrors: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := NewReader(Options{Limits: tt.limits})
			r.Read("f.yml", tt.text, "workflow-root")
			if len(r.Errors()) == 0 || !strings.Contains(r.Errors()[0].Error(), tt.want) {
				t.Errorf("%v, want %s", r.Errors(), tt.want)
			}
			for _, e := range r.Errors() {
				if len(e.Error()) > 505 || len(e.Message) > 505 {
					t.Errorf("%d characters, %d with the place", len(e.Message), len(e.Error()))
				}
			}
			if tt.limits.MaxErrors > 0 && len(r.Errors()) > tt.limits.MaxErrors {
				t.Errorf("%d errors", len(r.Errors()))
			}
		})
	}
}

// TestEndingErrors: GitHub's text for what ends a file has no place; ours knows it.
func TestEndingErrors(t *testing.T) {
	const jobs = "on: push\njobs:\n  a:\n    runs-on: x\n"
	for _, tt := range []struct {
		name, text, want string
		line, col        int
		hint             string
		limits           Limits
	}{
		{"a condition that is a tag", jobs + "    if: !cancelled()\n", "f.yml: Unexpected tag '!cancelled()'", 5, 9, "in quotes", Limits{}},
		{"a tag of YAML", jobs + "    env: {A: !!binary aGk=}\n", "f.yml: Unexpected tag 'tag:yaml.org,2002:binary'", 5, 14, "", Limits{}},
		{"a key that is a sequence", jobs + "    env:\n      ? [A]\n      : b\n", "f.yml: Expected mapping end", 6, 9, "must be a text", Limits{}},
		{"depth", jobs + "    strategy: {matrix: {a: [[b]]}}\n", "f.yml: Maximum object depth exceeded", 5, 29, "", Limits{MaxDepth: 6}},
		{"a second document", "# c\n---\n" + jobs + "---\n" + jobs, "f.yml: Expected stream end parse event", 0, 0, "the --- of line 7", Limits{}},
		{"an expression in a flow sequence", "on: [${{ github.x }}]\n" + jobs, "did not find expected ',' or ']'", 1, 7, "in quotes: '${{ x }}'", Limits{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := NewReader(Options{Limits: tt.limits})
			r.Read("f.yml", tt.text, "workflow-root")
			if len(r.Errors()) != 1 {
				t.Fatal(r.Errors())
			}
			e := r.Errors()[0]
			if !strings.HasSuffix(e.Error(), tt.want) || e.Line != tt.line || e.Col != tt.col || (tt.hint == "") != (e.Hint() == "") || !strings.Contains(e.Hint(), tt.hint) {
				t.Errorf("%d:%d: %v, hint %q", e.Line, e.Col, e, e.Hint())
			}
		})
	}
}
