// SPDX-License-Identifier: Apache-2.0

package lock_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/workflows/action"
	"github.com/zviz/run/workflows/action/lock"
)

const (
	one   = "1111111111111111111111111111111111111111"
	two   = "2222222222222222222222222222222222222222"
	three = "3333333333333333333333333333333333333333"
)

// body is a lock file as gh actions-lock writes one, without the comment.
const body = `version: 'v0.0.2'
workflows:
    '.github/workflows/ci.yml':
        - 'a/checkout@v4'
        - 'b/setup@v1.0'
    '.github/workflows/empty.yml': []
    '.github/workflows/release.yml':
        - 'a/checkout@v5'
dependencies:
    'a/checkout@v4':
        ref: 'v4'
        commit: 'sha1-` + one + `'
        owner_id: 1
        repo_id: 2
    'a/checkout@v5':
        ref: 'v5'
        commit: 'sha1-` + two + `'
        owner_id: 1
        repo_id: 2
    'b/setup@v1.0':
        ref: 'v1.0'
        commit: 'sha1-` + three + `'
        owner_id: 3
        repo_id: 4
        uses:
            - 'c/nested@` + one + `'
    'c/nested@` + one + `':
        ref: 'v9'
        commit: 'sha1-` + one + `'
        owner_id: 5
        repo_id: 9007199254740992
`

func parse(t *testing.T, text string) *lock.File {
	t.Helper()
	f, errs := lock.Parse(lock.Path, text)
	for _, e := range errs {
		t.Fatal(e)
	}
	return f
}

func uses(t *testing.T, text string) action.Uses {
	t.Helper()
	u, err := action.ParseUses(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// content is a file without its comments.
func content(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestFormat(t *testing.T) {
	if diff := cmp.Diff(body, content(parse(t, body).Format())); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestResolve(t *testing.T) {
	f := parse(t, body)
	at := lock.At{File: ".github/workflows/ci.yml", Line: 7, Col: 15}
	const place = ".github/workflows/ci.yml (Line: 7, Col: 15): "
	tests := []struct{ workflow, uses, commit, err string }{
		{"ci.yml", "A/Checkout@v4", one, ""},
		{"ci.yml", "a/checkout/sub/dir@v4", one, ""},
		{"ci.yml", "b/setup@v1.0", three, ""},
		{"ci.yml", "c/nested@" + one, one, ""}, // what b/setup uses
		{"ci.yml", "./local", "", ""},
		{"ci.yml", "$/same", "", ""},
		{"ci.yml", "docker://alpine", "", ""},
		{"ci.yml", "x/y/.github/workflows/z.yml@main", "", ""},
		{"ci.yml", "a/checkout@V4", "", "a/checkout@V4 is not in .github/workflows/actions.lock, which has a/checkout@v4 (line 10)"},
		{"ci.yml", "a/checkout@v5", "", "a/checkout@v5 is not locked for .github/workflows/ci.yml: .github/workflows/actions.lock has it (line 15), but not for this workflow"},
		{"ci.yml", "d/new@v1", "", "d/new@v1 is not in .github/workflows/actions.lock, and .github/workflows/ci.yml is locked"},
		{"ci.yml", "d/new@" + one, "", "d/new@" + one + " is not in .github/workflows/actions.lock, and .github/workflows/ci.yml is locked"},
		{"empty.yml", "a/checkout@v4", "", "a/checkout@v4 is not locked for .github/workflows/empty.yml: .github/workflows/actions.lock has it (line 10), but not for this workflow"},
		{"release.yml", "a/checkout@v5", two, ""},
	}
	for _, tt := range tests {
		locked, ok := f.Workflow(".github/workflows/" + tt.workflow)
		if !ok {
			t.Fatalf("%s is not locked", tt.workflow)
		}
		pin, err := locked.Resolve(uses(t, tt.uses), at)
		commit := ""
		if pin != nil {
			commit = pin.Commit
		}
		got := ""
		if err != nil {
			e, ok := errors.AsType[*lock.Error](err)
			if !ok || e.Hint() == "" || e.Line != 7 {
				t.Errorf("%s: %#v", tt.uses, err)
			}
			got = strings.TrimPrefix(err.Error(), place)
		}
		if commit != tt.commit || got != tt.err {
			t.Errorf("%s in %s: %q, %s", tt.uses, tt.workflow, commit, got)
		}
	}
	if _, ok := f.Workflow(".github/workflows/other.yml"); ok {
		t.Error("a workflow that is not in the file is locked")
	}
}

func TestListedWithoutEntry(t *testing.T) {
	f := parse(t, "version: v0.0.2\nworkflows: {w.yml: ['a/b@v1']}\n")
	locked, _ := f.Workflow("w.yml")
	if pin, err := locked.Resolve(uses(t, "a/b@v1"), lock.At{}); pin != nil || err == nil || !strings.Contains(err.Error(), "has no entry under dependencies") {
		t.Errorf("%v %v", pin, err)
	}
}

func TestCheck(t *testing.T) {
	f := parse(t, body)
	locked, _ := f.Workflow(".github/workflows/ci.yml")
	u := uses(t, "a/checkout@v4")
	pin, err := locked.Resolve(u, lock.At{})
	if err != nil {
		t.Fatal(err)
	}
	at := lock.At{File: "ci.yml", Line: 1, Col: 2}
	for name, tt := range map[string]struct {
		found lock.Found
		want  string
	}{
		"the same":        {lock.Found{Commit: strings.ToUpper(one), OwnerID: 1, RepoID: 2}, ""},
		"without numbers": {lock.Found{Commit: one}, ""},
		"another commit":  {lock.Found{Commit: two, OwnerID: 1, RepoID: 2}, "ci.yml (Line: 1, Col: 2): a/checkout@v4 is commit " + one + " in .github/workflows/actions.lock (line 10), but what was found is " + two},
		"no commit":       {lock.Found{}, "ci.yml (Line: 1, Col: 2): a/checkout@v4 is commit " + one + " in .github/workflows/actions.lock (line 10), but what was found is "},
		"another repo":    {lock.Found{Commit: one, RepoID: 3}, "ci.yml (Line: 1, Col: 2): a/checkout@v4 is of the repository with number 2 in .github/workflows/actions.lock (line 10), but the name now belongs to number 3"},
		"another owner":   {lock.Found{Commit: one, OwnerID: 4, RepoID: 2}, "ci.yml (Line: 1, Col: 2): a/checkout@v4 belongs to the owner with number 1 in .github/workflows/actions.lock (line 10), but now to number 4"},
	} {
		got := ""
		if err := pin.Check(f, tt.found, u, at); err != nil {
			got = err.Error()
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

// entry is a file with one dependency.
func entry(key, fields string) string {
	return "version: v0.0.2\ndependencies:\n  '" + key + "': {" + fields + "}\n"
}

func TestParseErrors(t *testing.T) {
	const rest = "owner_id: 1, repo_id: 1"
	const commit = "commit: sha1-" + one
	tests := []struct{ name, text, want string }{
		{"not a mapping", "- x\n", "(Line: 1, Col: 1): A sequence was not expected"},
		{"no version", "workflows: {}\n", "(Line: 1, Col: 1): dependency lockfile version is required"},
		{"a later version", "version: v0.1.0\n", "(Line: 1, Col: 10): lockfile version v0.1.0 is newer than this binary supports (v0.0.2); upgrade the tool that reads this lockfile to a build that supports v0.1.0"},
		{"no version at all", "version: v0.0.2-rc\n", `(Line: 1, Col: 10): unsupported dependency lockfile version "v0.0.2-rc"`},
		{"an unknown field", "version: v0.0.2\nextra: 1\n", `(Line: 2, Col: 1): unknown lockfile field "extra"`},
		{"a path that leads out", "version: v0.0.2\nworkflows:\n  a/../../x: []\n", `(Line: 3, Col: 3): workflow path key contains path traversal: "a/../../x"`},
		{"an absolute path", "version: v0.0.2\nworkflows:\n  /x: []\n", `(Line: 3, Col: 3): workflow path key must be repo-relative, not absolute: "/x"`},
		{"a path of another system", "version: v0.0.2\nworkflows:\n  'c:x': []\n", `(Line: 3, Col: 3): workflow path key contains an invalid character: "c:x"`},
		{"a pin with a path", "version: v0.0.2\nworkflows:\n  x.yml:\n    - a/b/c@v1\n", `(Line: 4, Col: 7): workflow "x.yml" dependency "a/b/c@v1" is not a valid pin (expected OWNER/REPO@REF)`},
		{"a pin that is a number", "version: v0.0.2\nworkflows:\n  x.yml:\n    - 1\n", `(Line: 4, Col: 7): dependency must be a text: put it into quotes`},
		{"a key without a ref", entry("a/b", "ref: v1, "+commit+", "+rest), `(Line: 3, Col: 3): dependency key "a/b" is not a valid pin (expected OWNER/REPO@REF)`},
		{"a key that is local", entry("./a@v1", "ref: v1, "+commit+", "+rest), `(Line: 3, Col: 3): dependency key "./a@v1" is not a valid pin (expected OWNER/REPO@REF)`},
		{"no commit", entry("a/b@v1", "ref: v1, "+rest), `(Line: 3, Col: 3): missing required action field "commit" for dependency "a/b@v1"`},
		{"a short commit", entry("a/b@v1", "ref: v1, commit: sha1-1234567, "+rest), `(Line: 3, Col: 31): action field "commit" must be an algo-hex digest (e.g. "sha1-abc...") for dependency "a/b@v1", got "sha1-1234567"`},
		{"another hash", entry("a/b@v1", "ref: v1, commit: md5-"+one+", "+rest), `(Line: 3, Col: 31): action field "commit" must be an algo-hex digest (e.g. "sha1-abc...") for dependency "a/b@v1", got "md5-` + one + `"`},
		{"no number", entry("a/b@v1", "ref: v1, "+commit+", owner_id: 0, repo_id: 1"), `(Line: 3, Col: 88): action field "owner_id" must be a positive integer for dependency "a/b@v1"`},
		{"another ref", entry("a/b@v1", "ref: v2, "+commit+", "+rest), `(Line: 3, Col: 19): action body ref "v2" does not match pin key ref "v1" for dependency "a/b@v1"`},
		{"another commit", entry("a/b@"+two, "ref: v2, "+commit+", "+rest), `(Line: 3, Col: 69): pin key ref is a full SHA (222222222222) but commit digest "sha1-` + one + `" does not match for dependency "a/b@` + two + `"`},
		{"an unknown field of an action", entry("a/b@v1", "ref: v1, tag: x, "+commit+", "+rest), `(Line: 3, Col: 23): unknown action field "tag" for dependency "a/b@v1"`},
		{"twice", "version: v0.0.2\ndependencies:\n  a/b@v1: {ref: v1, " + commit + ", " + rest + "}\n  A/B@v1: {ref: v1, " + commit + ", " + rest + "}\n", `(Line: 4, Col: 3): 'A/B@v1' is already defined`},
		{"a circle", "version: v0.0.2\ndependencies:\n  a/b@v1: {ref: v1, " + commit + ", " + rest + ", uses: [c/d@v1]}\n  c/d@v1: {ref: v1, " + commit + ", " + rest + ", uses: [a/b@v1]}\n", `(Line: 3, Col: 3): uses cycle detected at dependency "a/b@v1"`},
		{"itself", entry("a/b@v1", "ref: v1, "+commit+", "+rest+", uses: [A/b@v1]"), `(Line: 3, Col: 3): uses cycle detected at dependency "a/b@v1"`},
		{"an alias", "version: &x v0.0.2\nworkflows: {}\n", ": Anchors are not currently supported. Remove the anchor 'x'"},
		{"too large", "version: v0.0.2\n#" + strings.Repeat("x", 1<<20), ": The maximum file size of 1048576 characters has been exceeded"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, errs := lock.Parse(lock.Path, tt.text)
			if f != nil || len(errs) == 0 {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(tt.want, strings.TrimPrefix(strings.TrimPrefix(errs[0].Error(), lock.Path), " ")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestOldVersion(t *testing.T) {
	f := parse(t, `version: v0.0.1
workflows:
  .github/workflows/ci.yml: ['A/b@v1:sha1-`+one+`']
dependencies:
  'A/b@v1:sha1-`+one+`': {tag: v1.0.0, branch: main, commit: sha1-`+one+`, owner_id: 1, repo_id: 2}
`)
	locked, _ := f.Workflow(".github/workflows/ci.yml")
	pin, err := locked.Resolve(uses(t, "a/b@v1"), lock.At{})
	if err != nil || pin.Commit != one || pin.Ref != "v1.0.0" || pin.Key != "a/b@v1" {
		t.Errorf("%+v %v", pin, err)
	}
}

func TestLock(t *testing.T) {
	f := parse(t, body)
	pin := func(key, ref, commit string, uses ...string) lock.Pin {
		return lock.Pin{Key: key, Ref: ref, Commit: commit, OwnerID: 1, RepoID: 2, Uses: uses}
	}
	// release.yml moves on: v5 is needed by nobody any more.
	n, err := f.Lock(".github/workflows/release.yml", []string{"a/checkout@v6", "a/checkout@v4"}, []lock.Pin{pin("a/checkout@v6", "v6", three)})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, p := range n.Pins {
		keys = append(keys, p.Key)
	}
	if diff := cmp.Diff([]string{"a/checkout@v4", "a/checkout@v6", "b/setup@v1.0", "c/nested@" + one}, keys); diff != "" {
		t.Errorf("pins (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(body, content(f.Format())); diff != "" {
		t.Errorf("the first file has changed (-want +got)\n%s", diff)
	}
	// A new lock of the same action replaces the old one.
	n, err = n.Lock(".github/workflows/ci.yml", []string{"a/checkout@v4"}, []lock.Pin{pin("a/checkout@v4", "v4", two)})
	if err != nil {
		t.Fatal(err)
	}
	locked, _ := n.Workflow(".github/workflows/ci.yml")
	if p, err := locked.Resolve(uses(t, "a/checkout@v4"), lock.At{}); err != nil || p.Commit != two {
		t.Errorf("%+v %v", p, err)
	}
	if n = n.Remove(".github/workflows/ci.yml").Remove(".github/workflows/release.yml"); len(n.Pins) != 0 || len(n.Workflows) != 1 {
		t.Errorf("left: %+v", n)
	}
	for name, pins := range map[string][]lock.Pin{
		"no pin":          nil,
		"no nested pin":   {pin("x/y@v1", "v1", one, "z/z@v1")},
		"a circle":        {pin("x/y@v1", "v1", one, "x/y@v1")},
		"a short commit":  {pin("x/y@v1", "v1", "1234")},
		"another ref":     {pin("x/y@v1", "v2", one)},
		"no text in YAML": {pin("x/y@v1", "v1\n", one)},
	} {
		if _, err := f.Lock("w.yml", []string{"x/y@v1"}, pins); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := f.Lock("../w.yml", nil, nil); err == nil {
		t.Error("a path that leads out is accepted")
	}
}
