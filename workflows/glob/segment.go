// SPDX-License-Identifier: Apache-2.0

package glob

import (
	"strings"
	"unicode/utf8"
)

// segment matches one name.
func segment(pattern, name string) bool {
	pi, ni, star, mark := 0, 0, -1, 0
	for ni < len(name) {
		if pi < len(pattern) && pattern[pi] == '*' {
			star, mark = pi, ni
			pi++
			continue
		}
		if n, size := one(pattern[pi:], name[ni:]); n > 0 {
			pi += n
			ni += size
			continue
		}
		if star < 0 {
			return false
		}
		_, size := utf8.DecodeRuneInString(name[mark:])
		mark += size
		pi, ni = star+1, mark
	}
	return strings.Trim(pattern[pi:], "*") == ""
}

// one matches one character and returns how many bytes of both it took; 0 if it
// does not match.
func one(pattern, name string) (inPattern, inName int) {
	if pattern == "" {
		return 0, 0
	}
	r, size := utf8.DecodeRuneInString(name)
	switch pattern[0] {
	case '?':
		return 1, size
	case '[':
		if set, n := class(pattern); n > 0 {
			if set.has(r) {
				return n, size
			}
			return 0, 0
		}
	case '\\':
		if len(pattern) > 1 {
			want, n := utf8.DecodeRuneInString(pattern[1:])
			if want == r {
				return 1 + n, size
			}
			return 0, 0
		}
	}
	want, n := utf8.DecodeRuneInString(pattern)
	if want != r || n != size {
		return 0, 0
	}
	return n, size
}

// set is a class of characters.
type set struct {
	negate bool
	ranges [][2]rune
}

func (s set) has(r rune) bool {
	for _, x := range s.ranges {
		if x[0] <= r && r <= x[1] {
			return !s.negate
		}
	}
	return s.negate
}

// class reads a class at the beginning of a pattern and returns its length in
// bytes; 0 if the bracket is an ordinary character, since it is not closed.
func class(pattern string) (set, int) {
	var s set
	rest := pattern[1:]
	if strings.HasPrefix(rest, "!") || strings.HasPrefix(rest, "^") {
		s.negate, rest = true, rest[1:]
	}
	next := func() (rune, bool) {
		if strings.HasPrefix(rest, `\`) && len(rest) > 1 {
			rest = rest[1:]
		}
		r, size := utf8.DecodeRuneInString(rest)
		rest = rest[size:]
		return r, size > 0
	}
	for first := true; ; first = false {
		if rest == "" {
			return set{}, 0
		}
		if rest[0] == ']' && !first {
			return s, len(pattern) - len(rest) + 1
		}
		from, ok := next()
		if !ok {
			return set{}, 0
		}
		to := from
		if len(rest) > 1 && rest[0] == '-' && rest[1] != ']' {
			rest = rest[1:]
			if to, ok = next(); !ok {
				return set{}, 0
			}
		}
		s.ranges = append(s.ranges, [2]rune{from, to})
	}
}
