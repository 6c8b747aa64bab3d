// SPDX-License-Identifier: Apache-2.0

package lock

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/zviz/run/workflows/syntax"
)

// Parse reads a lock file. Without an error there is a file; the texts of errors are
// GitHub's, with the place.
func Parse(name, text string) (*File, []*syntax.Error) {
	p := parser{r: syntax.NewReader(syntax.Options{NoAnchors: true}), file: &File{Name: name}}
	root := p.r.Read(name, text, "lock-root")
	if root != nil && !p.r.Failed() {
		p.root(root)
	}
	if p.r.Failed() || root == nil {
		return nil, p.r.Errors()
	}
	return p.file, nil
}

type parser struct {
	r    *syntax.Reader
	file *File
	old  bool // v0.0.1
}

func (p *parser) error(t *syntax.Token, format string, args ...any) {
	p.r.Error(t, fmt.Sprintf(format, args...))
}

func (p *parser) root(root *syntax.Token) {
	if root.Kind != syntax.Mapping {
		p.error(root, "a lock file is a mapping with version, workflows and dependencies")
		return
	}
	if !p.version(root, root.Get("version")) {
		return
	}
	for _, pair := range root.Pairs {
		switch pair.Key.Text {
		case "version":
		case "workflows":
			p.each(pair.Value, p.workflow)
		case "dependencies":
			p.each(pair.Value, p.dependency)
		default:
			p.error(pair.Key, "unknown lockfile field %q", pair.Key.Text)
		}
	}
	f := p.file
	slices.SortFunc(f.Workflows, func(a, b Workflow) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(f.Pins, func(a, b Pin) int { return strings.Compare(a.Key, b.Key) })
	if key, ok := f.circle(); ok && !p.r.Failed() {
		t := root.Get("dependencies")
		for _, pair := range t.Pairs {
			if k, _, _ := pinKey(pair.Key.Text, p.old); k == key {
				t = pair.Key
			}
		}
		p.error(t, "uses cycle detected at dependency %q", key)
	}
}

func (p *parser) version(root, t *syntax.Token) bool {
	switch {
	case t == nil || t.Kind == syntax.Null:
		p.error(root, "dependency lockfile version is required")
		return false
	case t.Kind == syntax.String && t.Text == Version:
		return true
	case t.Kind == syntax.String && t.Text == "v0.0.1":
		p.old = true
		return true
	case t.Kind == syntax.String && newer(t.Text):
		p.error(t, "lockfile version %s is newer than this binary supports (%s); upgrade the tool that reads this lockfile to a build that supports %s", t.Text, Version, t.Text)
		return false
	default:
		p.error(t, "unsupported dependency lockfile version %q", t.String())
		return false
	}
}

// newer knows a version of three numbers; those that are not were read already.
func newer(version string) bool {
	var major, minor, patch int
	var rest string
	n, _ := fmt.Sscanf(strings.TrimPrefix(version, "v")+" ", "%d.%d.%d%s", &major, &minor, &patch, &rest)
	return n == 3 && major >= 0 && minor >= 0 && (major > 0 || minor > 0 || patch > 2)
}

// each calls with the entries of a mapping; nothing is one without entries.
func (p *parser) each(t *syntax.Token, entry func(key, value *syntax.Token)) {
	if t.Kind == syntax.Null {
		return
	}
	if t.Kind != syntax.Mapping {
		p.error(t, "a mapping was expected")
		return
	}
	for _, pair := range t.Pairs {
		entry(pair.Key, pair.Value)
	}
}

func (p *parser) workflow(key, value *syntax.Token) {
	if problem := wrongPath(key.Text); problem != "" {
		p.error(key, "workflow path key %s: %q", problem, key.Text)
		return
	}
	w := Workflow{Path: key.Text}
	p.items(value, func(t *syntax.Token) {
		pin, _, ok := pinKey(t.Text, p.old)
		if !ok {
			p.error(t, "workflow %q dependency %q is not a valid pin (expected OWNER/REPO@REF)", key.Text, t.Text)
		}
		w.Pins = append(w.Pins, pin)
	})
	p.file.Workflows = append(p.file.Workflows, w)
}

// items calls with the texts of a list; nothing is one without items.
func (p *parser) items(t *syntax.Token, item func(*syntax.Token)) {
	if t.Kind != syntax.Sequence && t.Kind != syntax.Null {
		p.error(t, "a list of dependencies was expected")
	}
	for _, i := range t.Items {
		if p.text(i, "dependency") {
			item(i)
		}
	}
}

// text says whether t is one. A plain scalar can be a number: which digits were written
// is then gone.
func (p *parser) text(t *syntax.Token, what string) bool {
	if t.Kind != syntax.String {
		p.error(t, "%s must be a text: put it into quotes", what)
	}
	return t.Kind == syntax.String
}

// wrongPath says what is wrong with the path of a workflow, which tools open.
func wrongPath(s string) string {
	switch {
	case s == "":
		return "must not be empty"
	case s[0] == '/':
		return "must be repo-relative, not absolute"
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "contains control characters"
	case strings.ContainsAny(s, `\:`):
		return "contains an invalid character"
	case slices.Contains(strings.Split(s, "/"), ".."):
		return "contains path traversal"
	default:
		return ""
	}
}

func (p *parser) dependency(key, value *syntax.Token) {
	pin := Pin{Line: key.Pos.Line}
	name := key.Text
	var keyRef string
	var ok bool
	if pin.Key, keyRef, ok = pinKey(name, p.old); !ok {
		p.error(key, "dependency key %q is not a valid pin (expected OWNER/REPO@REF)", name)
		return
	}
	if value.Kind != syntax.Mapping {
		p.error(value, "dependency %q must be a mapping", name)
		return
	}
	for _, pair := range value.Pairs {
		p.field(&pin, name, pair.Key, pair.Value)
	}
	required := []string{"ref", "commit", "owner_id", "repo_id"}
	if p.old {
		required = required[1:]
		pin.Ref = cmp.Or(value.Get("tag").String(), value.Get("branch").String(), keyRef)
	}
	for _, r := range required {
		if value.Get(r) == nil {
			p.error(key, "missing required action field %q for dependency %q", r, name)
		}
	}
	p.agree(pin, keyRef, name, value)
	if i := slices.IndexFunc(p.file.Pins, func(o Pin) bool { return p.old && o.Key == pin.Key }); i >= 0 {
		if o := p.file.Pins[i]; o.Commit != pin.Commit || o.RepoID != pin.RepoID {
			p.error(key, "duplicate action key %q after canonicalization with differing metadata", pin.Key)
		}
		return
	}
	p.file.Pins = append(p.file.Pins, pin)
}

func (p *parser) field(pin *Pin, name string, key, v *syntax.Token) {
	switch field := key.Text; {
	case field == "ref" && !p.old:
		if p.text(v, `"ref"`) && v.Text == "" {
			p.error(v, "action field %q must not be empty for dependency %q", field, name)
		}
		pin.Ref = v.Text
	case field == "commit":
		var ok bool
		if pin.Commit, ok = digest(v.Text); !ok || v.Kind != syntax.String {
			p.error(v, "action field %q must be an algo-hex digest (e.g. \"sha1-abc...\") for dependency %q, got %q", field, name, v.String())
		}
	case field == "owner_id":
		pin.OwnerID = p.id(v, field, name)
	case field == "repo_id":
		pin.RepoID = p.id(v, field, name)
	case field == "uses":
		p.items(v, func(t *syntax.Token) {
			used, _, ok := pinKey(t.Text, p.old)
			if !ok {
				p.error(t, "uses entry %q in dependency %q is not a valid pin (expected OWNER/REPO@REF)", t.Text, name)
			}
			pin.Uses = append(pin.Uses, used)
		})
	case p.old && (field == "tag" || field == "branch"):
		p.text(v, fmt.Sprintf("%q", field))
	default:
		p.error(key, "unknown action field %q for dependency %q", field, name)
	}
}

// id is a number of the forge's: an integer that a float64 holds exactly.
func (p *parser) id(t *syntax.Token, field, name string) int64 {
	const most = 1 << 53
	if t.Kind != syntax.Number || t.Num < 1 || t.Num > most || t.Num != math.Trunc(t.Num) {
		p.error(t, "action field %q must be a positive integer for dependency %q", field, name)
		return 0
	}
	return int64(t.Num)
}

// agree checks the key against what stands below it. A commit as the ref of the key has
// the tag or branch below it, and must be the commit.
func (p *parser) agree(pin Pin, keyRef, name string, value *syntax.Token) {
	if p.old || pin.Ref == "" || pin.Commit == "" {
		return
	}
	commit := strings.ToLower(keyRef)
	switch full := isHex(commit, 40) || isHex(commit, 64); {
	case full && commit != pin.Commit:
		p.error(value.Get("commit"), "pin key ref is a full SHA (%s) but commit digest %q does not match for dependency %q", keyRef[:12], value.Get("commit").Text, name)
	case !full && pin.Ref != keyRef:
		p.error(value.Get("ref"), "action body ref %q does not match pin key ref %q for dependency %q", pin.Ref, keyRef, name)
	}
}

// circle finds a pin that uses itself, over others too.
func (f *File) circle() (key string, found bool) {
	const open, done = 1, 2
	state := map[string]int{}
	var visit func(key string) bool
	visit = func(k string) bool {
		if state[k] != 0 {
			key = k
			return state[k] == open
		}
		state[k] = open
		if p, ok := f.pin(k); ok && slices.ContainsFunc(p.Uses, visit) {
			return true
		}
		state[k] = done
		return false
	}
	for _, p := range f.Pins {
		if visit(p.Key) {
			return key, true
		}
	}
	return "", false
}
