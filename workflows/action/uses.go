// SPDX-License-Identifier: Apache-2.0

package action

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// UsesKind is what kind of thing a uses names.
type UsesKind string

// The kinds.
const (
	Remote  UsesKind = "remote" // owner/repo[/path]@ref
	Local   UsesKind = "local"  // ./path: a folder of the workspace
	SameRef UsesKind = "same"   // $/path: a folder of the repository that says it, at its commit
	Image   UsesKind = "image"  // docker://image
)

// What a uses begins with that names no repository.
const (
	dockerPrefix = "docker://"
	selfPrefix   = "$/"
)

// Uses is what a step uses.
type Uses struct {
	Kind        UsesKind
	Owner, Repo string // Remote, as written; both ignore case
	Path        string // below the repository or the workspace, clean, without ./; empty: its root
	Ref         string // Remote: branch, tag or full commit; case counts
	Image       string // Image, without docker://

	text string
}

// UsesError is a uses that names nothing.
type UsesError struct {
	Uses string
	text string
}

// Error is GitHub's text where GitHub refuses it too.
func (e *UsesError) Error() string { return e.text }

// ParseUses takes a uses apart as the runner does: it splits at the one @, and at / and \,
// of which several are one. Beyond the runner it refuses what no repository can be
// called and what would leave the workspace or the repository: the parts become paths
// and addresses.
func ParseUses(text string) (Uses, error) {
	u := Uses{text: text}
	if image, ok := strings.CutPrefix(text, dockerPrefix); ok {
		u.Kind, u.Image = Image, image
		if image == "" || strings.ContainsFunc(image, control) || strings.Contains(image, " ") {
			return Uses{}, usesError(text, "'%s' names no image. Expected docker://image[:tag]", text)
		}
		return u, nil
	}
	if strings.HasPrefix(text, "./") || strings.HasPrefix(text, `.\`) {
		u.Kind = Local
		return u.below(text)
	}
	if rest := strings.TrimLeft(strings.TrimPrefix(text, selfPrefix), "/"); strings.HasPrefix(text, selfPrefix) && rest != "" {
		u.Kind = SameRef
		if strings.Contains(rest, "@") {
			return Uses{}, usesError(text, "'%s' cannot have an @ref: $/ is always the commit that says it", text)
		}
		return u.below(rest)
	}
	return u.remote(text)
}

func (u Uses) remote(text string) (Uses, error) {
	name, ref, ok := strings.Cut(text, "@")
	parts := segments(name)
	if !ok || ref == "" || strings.Contains(ref, "@") || len(parts) < 2 {
		return Uses{}, usesError(text, "Expected format {org}/{repo}[/path]@ref. Actual '%s'", text)
	}
	u.Kind, u.Owner, u.Repo, u.Ref = Remote, parts[0], parts[1], ref
	if !validName(u.Owner) || !validName(u.Repo) {
		return Uses{}, usesError(text, "'%s' is not the name of a repository in '%s'", u.Owner+"/"+u.Repo, text)
	}
	if !validRef(ref) {
		return Uses{}, usesError(text, "'%s' is neither branch, tag nor commit in '%s'", ref, text)
	}
	return u.below(strings.Join(parts[2:], "/"))
}

// below sets the path, which may not lead out.
func (u Uses) below(p string) (Uses, error) {
	clean := path.Clean("./" + strings.Join(segments(p), "/"))
	if clean == ".." || strings.HasPrefix(clean, "../") || strings.ContainsFunc(p, control) {
		return Uses{}, usesError(u.text, "'%s' leads out of its folder", u.text)
	}
	if clean != "." {
		u.Path = clean
	}
	return u, nil
}

// String is the uses as it was written.
func (u Uses) String() string { return u.text }

// Pin is the key of a remote action in a lock file, and the name that its commit is
// looked up by: owner and repo in lower case, without the path.
func (u Uses) Pin() string {
	return strings.ToLower(u.Owner) + "/" + strings.ToLower(u.Repo) + "@" + u.Ref
}

// Commit is the full commit if the ref is one.
func (u Uses) Commit() (string, bool) { return strings.ToLower(u.Ref), fullCommit(u.Ref) }

// Workflow says whether it names the file of a workflow, which is no action.
func (u Uses) Workflow() bool {
	return (u.Kind == Remote || u.Kind == SameRef || u.Kind == Local) && strings.HasPrefix(u.Path, ".github/workflows/") &&
		slices.Contains([]string{".yml", ".yaml"}, path.Ext(u.Path))
}

// Script is where a script of an action is, below its repository: main may go up from
// the action's folder, as that of actions/cache/save does, but not out.
func (u Uses) Script(file string) (string, error) {
	slashed := strings.ReplaceAll(file, `\`, "/")
	p := path.Join(u.Path, slashed)
	if p == u.Path || p == "." || p == ".." || path.IsAbs(slashed) || strings.HasPrefix(p, "../") || strings.ContainsFunc(p, control) {
		return "", fmt.Errorf("%s: the file '%s' is not in the action's repository", u, file)
	}
	return p, nil
}

func usesError(uses, format string, args ...any) *UsesError {
	return &UsesError{Uses: uses, text: fmt.Sprintf(format, args...)}
}

func segments(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == '/' || r == '\\' })
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

// validName knows the characters of owners and repositories on the forges.
func validName(s string) bool {
	if s == "." || s == ".." || s == "" {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		return !letter && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	})
}

// validRef knows what git check-ref-format(1) forbids, and what would be an option.
func validRef(s string) bool {
	if strings.ContainsFunc(s, control) || strings.ContainsAny(s, " ~^:?*[\\") || strings.Contains(s, "..") || strings.Contains(s, "@{") {
		return false
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return s[0] != '-' && s[len(s)-1] != '.'
}

// fullCommit knows the length of SHA-1 and SHA-256 in hex.
func fullCommit(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}
