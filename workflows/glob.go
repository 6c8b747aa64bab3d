// SPDX-License-Identifier: Apache-2.0

package workflows

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Glob is a list of patterns of an event's filter. Its rules are GitHub's own: * stops
// at a slash, ** does not, ? and + are none or one, and one or more, of what stands
// before them, ! takes back what an earlier pattern matched. The last pattern that
// matches decides.
type Glob struct{ patterns []globPattern }

type globPattern struct {
	re     *regexp.Regexp // RE2: the time is linear in the text
	negate bool
}

const (
	maxPatternLength = 1000
	maxPatterns      = 1000
)

// NewGlob compiles patterns.
func NewGlob(patterns []string) (Glob, error) {
	if len(patterns) > maxPatterns {
		return Glob{}, fmt.Errorf("%d patterns, at most %d", len(patterns), maxPatterns)
	}
	var g Glob
	for _, p := range patterns {
		body, negate := strings.CutPrefix(p, "!")
		re, err := globRegexp(body)
		if err != nil {
			return Glob{}, fmt.Errorf("pattern %.100q: %w", p, err)
		}
		g.patterns = append(g.patterns, globPattern{re, negate})
	}
	return g, nil
}

// Match says whether a name passes: a branch, a tag or a path.
func (g Glob) Match(name string) bool {
	matched := false
	for _, p := range g.patterns {
		if matched == p.negate && p.re.MatchString(name) {
			matched = !p.negate
		}
	}
	return matched
}

// globRegexp writes a pattern as a regular expression.
func globRegexp(p string) (*regexp.Regexp, error) {
	if len(p) > maxPatternLength {
		return nil, fmt.Errorf("longer than %d characters", maxPatternLength)
	}
	var b strings.Builder
	b.WriteString(`\A(?:`)
	quantifiable, stars := false, false
	for i := 0; i < len(p); i++ {
		c := p[i]
		switch {
		case c == '*' && strings.HasPrefix(p[i:], "**"):
			for i+1 < len(p) && p[i+1] == '*' {
				i++
			}
			if strings.HasPrefix(p[i+1:], "/") && (b.String() == `\A(?:` || strings.HasSuffix(b.String(), "/")) {
				b.WriteString(`(?s:.*/)?`) // **/ matches no folder too
				i++
			} else {
				b.WriteString(`(?s:.*)`)
			}
			quantifiable, stars = false, true
			continue
		case c == '*':
			b.WriteString(`[^/]*`)
			quantifiable, stars = false, true
			continue
		case c == '?' || c == '+':
			switch {
			case quantifiable:
				b.WriteByte(c)
			case !stars:
				return nil, fmt.Errorf("%c stands after nothing that it could repeat", c)
			}
			quantifiable = false
			continue
		case c == '[':
			end := strings.IndexByte(p[i:], ']')
			if end < 2 {
				return nil, errors.New("[ without ]")
			}
			class, err := globClass(p[i+1 : i+end])
			if err != nil {
				return nil, err
			}
			b.WriteString(class)
			i += end
		case c == '\\' && i+1 < len(p):
			i++
			b.WriteString(regexp.QuoteMeta(p[i : i+1]))
		default:
			size := runeSize(p[i:])
			b.WriteString(regexp.QuoteMeta(p[i : i+size]))
			i += size - 1
		}
		quantifiable, stars = true, false
	}
	b.WriteString(`)\z`)
	return regexp.Compile(b.String())
}

func runeSize(s string) int {
	for i := range s {
		if i > 0 {
			return i
		}
	}
	return len(s)
}

// globClass is [a-z0-9]: single characters and ranges.
func globClass(s string) (string, error) {
	var b strings.Builder
	b.WriteByte('[')
	for _, r := range s {
		if r == '-' {
			b.WriteRune(r)
			continue
		}
		b.WriteString(regexp.QuoteMeta(string(r)))
		if r == '^' {
			return "", fmt.Errorf("[%s]: a class cannot be negated", s)
		}
	}
	b.WriteByte(']')
	return b.String(), nil
}
