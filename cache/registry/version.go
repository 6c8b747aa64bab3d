// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// CompareVersions orders two semantic versions. What is none comes before what
// is, and by bytes among its like.
func CompareVersions(a, b string) int {
	x, errX := semver.NewVersion(a)
	y, errY := semver.NewVersion(b)
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
	v, err := semver.NewVersion(version)
	return err != nil || v.Prerelease() != ""
}

// Blocked is an item of a block list: NAME, or NAME@VERSION, or NAME@RANGE.
type Blocked struct {
	name    string // a glob with '*'
	version string // exact; empty with a range
	ranged  *semver.Constraints
	text    string
}

// ParseBlocked reads an item. A range is one of semantic versions
// (">=1.2.0 <1.4.0 || 2.x"); other ecosystems than npm, Cargo and Go have exact
// versions only.
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
	if !only(b.version, ".+!~_:-") && b.version != "" || strings.ContainsAny(b.version, "~") {
		c, err := semver.NewConstraint(b.version)
		if err != nil {
			return Blocked{}, fmt.Errorf("blocked package %.200q: %w", s, err)
		}
		c.IncludePrerelease = true
		b.ranged, b.version = c, ""
	} else if strings.ContainsAny(b.version, "xX") {
		if c, err := semver.NewConstraint(b.version); err == nil {
			c.IncludePrerelease = true
			b.ranged, b.version = c, ""
		}
	}
	return b, nil
}

func (b Blocked) String() string { return b.text }

// Match reports whether a version is blocked. A version that is not semantic is
// within every range: better one too many.
func (b Blocked) Match(name, version string) bool {
	if !glob(b.name, name) {
		return false
	}
	switch {
	case b.ranged != nil:
		v, err := semver.NewVersion(version)
		return err != nil || b.ranged.Check(v)
	case b.version != "":
		return version == b.version || strings.TrimPrefix(version, "v") == strings.TrimPrefix(b.version, "v")
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
