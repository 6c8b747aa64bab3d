// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/blang/semver/v4"
)

// CompareVersions orders two semantic versions. What is none comes before what
// is, and by bytes among its like.
func CompareVersions(a, b string) int {
	x, errX := semver.ParseTolerant(a)
	y, errY := semver.ParseTolerant(b)
	switch {
	case errX != nil && errY != nil:
		return cmp.Compare(a, b)
	case errX != nil:
		return -1
	case errY != nil:
		return 1
	default:
		return cmp.Or(x.Compare(y), cmp.Compare(a, b))
	}
}

func prerelease(version string) bool {
	v, err := semver.ParseTolerant(version)
	return err != nil || len(v.Pre) > 0
}

// Blocked is an item of a block list: NAME, or NAME@VERSION, or NAME@RANGE.
type Blocked struct {
	name    string // a glob with '*'
	version string // exact; empty with a range
	within  semver.Range
	text    string
}

// ParseBlocked reads an item. A range is one of semantic versions, with
// comparisons, "x" and "||": ">=1.2.0 <1.4.0 || 2.x". There is no "^" or "~":
// what is blocked should not hang on how a package manager reads them.
func ParseBlocked(s string) (Blocked, error) {
	s = strings.TrimSpace(s)
	b := Blocked{name: s, text: s}
	if i := strings.LastIndexByte(s, '@'); i > 0 {
		b.name, b.version = s[:i], strings.TrimSpace(s[i+1:])
		if b.version == "" {
			return Blocked{}, fmt.Errorf("blocked package %.200q: no version behind '@'", s)
		}
	}
	if b.name == "" || strings.ContainsAny(b.name, " \t\n") {
		return Blocked{}, fmt.Errorf("blocked package %.200q: want NAME, NAME@VERSION or NAME@RANGE", s)
	}
	if b.version == "" || only(b.version, ".+!~_:-") && b.version[0] != '~' && !wildcard(b.version) {
		return b, nil
	}
	within, err := semver.ParseRange(b.version)
	if err != nil {
		return Blocked{}, fmt.Errorf("blocked package %.200q: %w", s, err)
	}
	b.within, b.version = within, ""
	return b, nil
}

// wildcard tells "1.x" from a version.
func wildcard(version string) bool {
	return strings.HasSuffix(version, ".x") && strings.Trim(version, "0123456789.x") == ""
}

func (b Blocked) String() string { return b.text }

// Check says what is wrong with an item for an ecosystem: a part of a version matches
// nothing where versions are semantic.
func (b Blocked) Check(e Ecosystem) error {
	if e != NPM || b.version == "" {
		return nil
	}
	if _, err := semver.Parse(strings.TrimPrefix(b.version, "v")); err != nil {
		return fmt.Errorf("blocked package %.200q: %q is no whole version; a range is such as %q", b.text, b.version, b.name+"@"+b.version+".x")
	}
	return nil
}

// Match reports whether a version is blocked. A version that is not semantic is
// within every range: better one too many.
func (b Blocked) Match(e Ecosystem, name, version string) bool {
	if !glob(e.sameName(b.name), e.sameName(name)) {
		return false
	}
	switch {
	case b.within != nil:
		v, err := semver.ParseTolerant(version)
		return err != nil || b.within(v)
	case b.version != "":
		return strings.TrimPrefix(e.sameVersion(version), "v") == strings.TrimPrefix(e.sameVersion(b.version), "v")
	default:
		return true
	}
}

// glob matches a name: '*' is any text, "@scope/*" a whole scope.
func glob(pattern, name string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	if !strings.HasPrefix(name, head) {
		return false
	}
	name = name[len(head):]
	for i := 0; i <= len(name); i++ {
		if glob(rest, name[i:]) {
			return true
		}
	}
	return false
}
