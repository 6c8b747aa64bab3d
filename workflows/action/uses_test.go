// SPDX-License-Identifier: Apache-2.0

package action_test

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/zviz/run/workflows/action"
)

func TestParseUses(t *testing.T) {
	commit := strings.Repeat("Ab", 20)
	tests := []struct {
		text string
		want action.Uses
	}{
		{"actions/checkout@v4", action.Uses{Kind: action.Remote, Owner: "actions", Repo: "checkout", Ref: "v4"}},
		{"Actions/Cache/save/@main", action.Uses{Kind: action.Remote, Owner: "Actions", Repo: "Cache", Path: "save", Ref: "main"}},
		{`a\b\\c/d@releases/v1`, action.Uses{Kind: action.Remote, Owner: "a", Repo: "b", Path: "c/d", Ref: "releases/v1"}},
		{"/a//b@" + commit, action.Uses{Kind: action.Remote, Owner: "a", Repo: "b", Ref: commit}},
		{"a/b/x/../y@v1", action.Uses{Kind: action.Remote, Owner: "a", Repo: "b", Path: "y", Ref: "v1"}},
		{"./", action.Uses{Kind: action.Local}},
		{"./.github/actions/x/", action.Uses{Kind: action.Local, Path: ".github/actions/x"}},
		{`.\a\b`, action.Uses{Kind: action.Local, Path: "a/b"}},
		{"./a@b", action.Uses{Kind: action.Local, Path: "a@b"}},
		{"$/a/b", action.Uses{Kind: action.SameRef, Path: "a/b"}},
		{"$//a", action.Uses{Kind: action.SameRef, Path: "a"}},
		{"docker://ghcr.io/a/b:1@sha256:0", action.Uses{Kind: action.Image, Image: "ghcr.io/a/b:1@sha256:0"}},
	}
	for _, tt := range tests {
		got, err := action.ParseUses(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreUnexported(action.Uses{})); diff != "" || got.String() != tt.text {
			t.Errorf("%s (-want +got)\n%s", tt.text, diff)
		}
	}
	u, _ := action.ParseUses("Actions/Cache/save@V4")
	if u.Pin() != "actions/cache@V4" {
		t.Errorf("pin %q", u.Pin())
	}
	u, _ = action.ParseUses("a/b@" + commit)
	if c, ok := u.Commit(); !ok || c != strings.ToLower(commit) {
		t.Errorf("commit %q", c)
	}
	u, _ = action.ParseUses("a/b/.github/workflows/x.yml@main")
	if !u.Workflow() {
		t.Error("no workflow")
	}
}

func TestParseUsesErrors(t *testing.T) {
	const format = "Expected format {org}/{repo}[/path]@ref. Actual '%'"
	tests := map[string]string{ // % is the text
		"":                   format,
		"actions/checkout":   format,
		"checkout@v4":        format,
		"a/b@":               format,
		"a/b@v1@v2":          format,
		"$/":                 format,
		"$/a@v1":             "'%' cannot have an @ref: $/ is always the commit that says it",
		"../x":               format,
		"DOCKER://x":         format, // only lower case is one
		"docker://":          "'%' names no image. Expected docker://image[:tag]",
		"./../x":             "'%' leads out of its folder",
		"./a/../..":          "'%' leads out of its folder",
		"$/a/../../b":        "'%' leads out of its folder",
		"a/b/../../c/d@v1":   "'%' leads out of its folder",
		"../b@v1":            "'../b' is not the name of a repository in '%'",
		"a/..@v1":            "'a/..' is not the name of a repository in '%'",
		"a b/c@v1":           "'a b/c' is not the name of a repository in '%'",
		"a/b@../v1":          "'../v1' is neither branch, tag nor commit in '%'",
		"a/b@-x":             "'-x' is neither branch, tag nor commit in '%'",
		"a/b@v1 ":            "'v1 ' is neither branch, tag nor commit in '%'",
		"a/b@x.lock":         "'x.lock' is neither branch, tag nor commit in '%'",
		"a/b@${{ x }}":       "'${{ x }}' is neither branch, tag nor commit in '%'",
		"./a\nb":             "'%' leads out of its folder",
		"https://x.y/a/b@v1": "'https:/x.y' is not the name of a repository in '%'",
	}
	for text, want := range tests {
		_, err := action.ParseUses(text)
		if err == nil {
			t.Errorf("%q: accepted", text)
			continue
		}
		if diff := cmp.Diff(strings.ReplaceAll(want, "%", text), err.Error()); diff != "" {
			t.Errorf("%q (-want +got)\n%s", text, diff)
		}
	}
}

func TestScript(t *testing.T) {
	u, err := action.ParseUses("actions/cache/save@v4")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := u.Script("../dist/index.js"); err != nil || got != "dist/index.js" {
		t.Errorf("%q %v", got, err)
	}
	for _, file := range []string{"", ".", "..", "../save", "../../x", "/etc/passwd", `\etc`, `..\..\x`, "a\x00"} {
		if got, err := u.Script(file); err == nil {
			t.Errorf("%q is %q", file, got)
		}
	}
}

func TestFind(t *testing.T) {
	files := fstest.MapFS{
		"both/action.yaml":  {Data: []byte("name: yaml\nruns: {using: node24, main: x}\n")},
		"both/action.yml":   {Data: []byte("name: yml\nruns: {using: node24, main: x}\n")},
		"yaml/action.yaml":  {Data: []byte("name: yaml\nruns: {using: node24, main: x}\n")},
		"docker/Dockerfile": {Data: []byte("FROM scratch\n")},
		"lower/dockerfile":  {Data: []byte("FROM scratch\n")},
		"wrong/action.yml":  {Data: []byte("name: x\n")},
		"wrong/Dockerfile":  {Data: []byte("FROM scratch\n")},
		"empty/x":           {},
		"dir/action.yml/x":  {},
		"huge/action.yml":   {Data: make([]byte, 5<<20)},
		"action.yml":        {Data: []byte("name: root\nruns: {using: node24, main: x}\n")},
	}
	find := func(uses string) (*action.Manifest, string, error) {
		u, err := action.ParseUses(uses)
		if err != nil {
			t.Fatal(err)
		}
		m, problems, err := action.Find(files, u)
		if len(problems.Errors) > 0 {
			return m, problems.Errors[0].Error(), err
		}
		return m, "", err
	}
	for uses, want := range map[string]string{"./both": "yml", "./yaml": "yaml", "a/b/both@v1": "yml", "./": "root", "a/b@v1": "root"} {
		if m, problem, err := find(uses); err != nil || problem != "" || m.Name != want {
			t.Errorf("%s: %v %s %v", uses, m, problem, err)
		}
	}
	for uses, want := range map[string]string{"./docker": "Dockerfile", "./lower": "dockerfile"} {
		if m, problem, err := find(uses); err != nil || problem != "" || m.Runs.Kind != action.Docker || m.Runs.Image != want {
			t.Errorf("%s: %v %s %v", uses, m, problem, err)
		}
	}
	if m, problem, err := find("o/r/wrong@v1"); m != nil || err != nil || problem != "Top level 'runs:' section is required for o/r/v1/wrong/action.yml" {
		t.Errorf("wrong: %v %q %v", m, problem, err)
	}
	if m, problem, err := find("./huge"); m != nil || err != nil || !strings.Contains(problem, "The maximum file size of 1048576 characters has been exceeded") {
		t.Errorf("huge: %v %q %v", m, problem, err)
	}
	if _, _, err := find("./dir"); err == nil {
		t.Error("a folder is read")
	}
	for uses, want := range map[string]string{
		"./empty":      "Can't find 'action.yml', 'action.yaml' or 'Dockerfile' under './empty'. Did you forget to run actions/checkout before running your local action?",
		"o/r/empty@v1": "Can't find 'action.yml', 'action.yaml' or 'Dockerfile' for action 'o/r/empty@v1'.",
	} {
		_, _, err := find(uses)
		if _, ok := errors.AsType[*action.MissingError](err); !ok || err.Error() != want {
			t.Errorf("%s: %v", uses, err)
		}
	}
}
