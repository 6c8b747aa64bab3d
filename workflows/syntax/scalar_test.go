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
			if tt.limits.MaxErrors > 0 && len(r.Errors()) > tt.limits.MaxErrors {
				t.Errorf("%d errors", len(r.Errors()))
			}
		})
	}
}
