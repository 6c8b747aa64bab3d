// SPDX-License-Identifier: Apache-2.0

package glob

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Patterns are parsed patterns in their order.
type Patterns struct {
	FollowLinks bool // to directories

	list []pattern
	root []string // of the workspace
}

type pattern struct {
	segments []string
	negate   bool
	dirs     bool // matches directories only
	implicit bool // of the descendants of another one
}

// Error says what is wrong with a pattern.
type Error struct {
	Pattern string
	Text    string
}

func (e *Error) Error() string { return fmt.Sprintf("invalid pattern '%s': %s", e.Pattern, e.Text) }

// Parse reads patterns. Each may have several lines. Relative ones lie below the
// workspace, ~ is home; both are absolute paths.
func Parse(patterns []string, workspace, home string) (*Patterns, error) {
	p := &Patterns{root: split(workspace)}
	for line := range strings.SplitSeq(strings.Join(patterns, "\n"), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		one, err := parse(line, workspace, home)
		if err != nil {
			return nil, err
		}
		p.list = append(p.list, one)
		if last := len(one.segments) - 1; one.dirs || last < 0 || one.segments[last] != "**" {
			below := one
			below.segments, below.dirs, below.implicit = append(slices.Clone(one.segments), "**"), false, true
			p.list = append(p.list, below)
		}
	}
	return p, nil
}

func parse(line, workspace, home string) (pattern, error) {
	p := pattern{}
	text := line
	for strings.HasPrefix(text, "!") {
		p.negate = !p.negate
		text = strings.TrimSpace(text[1:])
	}
	if text == "" {
		return p, &Error{line, "it is empty"}
	}
	p.dirs = strings.HasSuffix(text, "/")
	for i, s := range strings.Split(strings.TrimPrefix(text, "/"), "/") {
		if literal, ok := literalOf(s); ok && (literal == ".." || literal == "." && (i > 0 || strings.HasPrefix(text, "/"))) {
			return p, &Error{line, "relative pathing '.' and '..' is not allowed"}
		}
	}
	switch {
	case text == "." || strings.HasPrefix(text, "./"):
		p.segments = append(escaped(workspace), split(text[1:])...)
	case text == "~" || strings.HasPrefix(text, "~/"):
		p.segments = append(escaped(home), split(text[1:])...)
	case strings.HasPrefix(text, "/"):
		p.segments = split(text)
	default:
		p.segments = append(escaped(workspace), split(text)...)
	}
	return p, nil
}

// split returns the segments of a path, without empty ones.
func split(p string) []string {
	return slices.DeleteFunc(strings.Split(p, "/"), func(s string) bool { return s == "" })
}

// escaped returns the segments of a path as patterns that match it only.
func escaped(p string) []string {
	out := split(path.Clean(p))
	for i, s := range out {
		out[i] = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(s)
	}
	return out
}

// literalOf returns what a segment without wildcards matches.
func literalOf(segment string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(segment); i++ {
		switch c := segment[i]; c {
		case '\\':
			if i+1 < len(segment) {
				i++
				b.WriteByte(segment[i])
				continue
			}
			b.WriteByte(c)
		case '*', '?':
			return "", false
		case '[':
			if _, n := class(segment[i:]); n > 0 {
				return "", false
			}
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), true
}

// Match reports whether the patterns choose a path, given as its segments from the
// root of the file system.
func (p *Patterns) match(segments []string, dir bool) bool {
	chosen := false
	for _, one := range p.list {
		if one.dirs && !dir || !one.matches(segments) {
			continue
		}
		chosen = !one.negate
	}
	return chosen
}

// Match reports whether the patterns choose a file, by its slash-separated path
// below the workspace.
func (p *Patterns) Match(name string) bool {
	return p.match(append(slices.Clone(p.root), split(name)...), false)
}

// reaches reports whether something below a directory can be chosen.
func (p *Patterns) reaches(segments []string) bool {
	return slices.ContainsFunc(p.list, func(one pattern) bool {
		return !one.negate && prefix(one.segments, segments)
	})
}

func (p pattern) matches(segments []string) bool {
	// a/** is every thing below a and, unless it was implied, a itself.
	last := len(p.segments) - 1
	if last >= 0 && p.segments[last] == "**" && p.implicit {
		return len(segments) > 0 && whole(p.segments[:last], segments[:len(segments)-1], true)
	}
	return whole(p.segments, segments, false)
}

// whole matches all segments; with more, further names may follow.
func whole(pattern, names []string, more bool) bool {
	// Backtracking to the last ** is enough: an earlier one can take no more than
	// the names in between, as for * in a name.
	pi, ni, star, mark := 0, 0, -1, 0
	for ni < len(names) {
		switch {
		case pi < len(pattern) && pattern[pi] == "**":
			star, mark = pi, ni
			pi++
		case pi < len(pattern) && segment(pattern[pi], names[ni]):
			pi++
			ni++
		case pi == len(pattern) && more:
			return true
		case star >= 0:
			mark++
			pi, ni = star+1, mark
		default:
			return false
		}
	}
	for pi < len(pattern) && pattern[pi] == "**" {
		pi++
	}
	return pi == len(pattern)
}

// prefix reports whether names can be the beginning of what a pattern matches.
func prefix(pattern, names []string) bool {
	for i, n := range names {
		if i >= len(pattern) {
			return false
		}
		if pattern[i] == "**" {
			return true
		}
		if !segment(pattern[i], n) {
			return false
		}
	}
	return true
}
