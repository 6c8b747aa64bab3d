// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// canonicalPath returns the one form of a path in which rules are matched, or
// false if servers may read the path in more than one way: with dot segments, empty
// segments, or escapes of escapes. A slash that is escaped stays within its segment
// and stays escaped, as does a backslash, so that "*" does not match it: npm asks
// for "/@scope%2fname", and some servers take that for two segments.
func canonicalPath(escaped string) (string, bool) {
	if !strings.HasPrefix(escaped, "/") {
		return "", false
	}
	var b strings.Builder
	segments := strings.Split(escaped[1:], "/")
	for i, raw := range segments {
		seg, err := url.PathUnescape(raw)
		if err != nil || strings.ContainsAny(raw, "?#") || // where a path ends, if it is not escaped
			strings.ContainsFunc(seg, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "", false
		}
		if seg == "" && i < len(segments)-1 {
			return "", false
		}
		// Between escaped slashes too, and "..;" is ".." to some servers.
		for part := range strings.FieldsFuncSeq(seg, func(r rune) bool { return r == '/' || r == '\\' }) {
			if part, _, _ = strings.Cut(part, ";"); part == "." || part == ".." {
				return "", false
			}
		}
		if escapedTwice(seg) {
			return "", false
		}
		b.WriteByte('/')
		b.WriteString(pathEscaper().Replace(seg))
	}
	return b.String(), true
}

// withoutParameters takes what stands behind a semicolon out of each segment.
func withoutParameters(path string) string {
	if !strings.Contains(path, ";") {
		return path
	}
	segments := strings.Split(path, "/")
	for i := range segments {
		segments[i], _, _ = strings.Cut(segments[i], ";")
	}
	return strings.Join(segments, "/")
}

// escapedTwice reports whether a decoded segment holds an escape that would matter
// if it were decoded again.
func escapedTwice(seg string) bool {
	lower := lowerASCII(seg)
	for _, s := range []string{"%2e", "%2f", "%5c", "%25", "%00"} {
		if strings.Contains(lower, s) {
			return true
		}
	}
	return false
}

// pathEscaper is made once: each new one makes its table anew.
var pathEscaper = sync.OnceValue(func() *strings.Replacer { //nolint:gochecknoglobals // never changes
	return strings.NewReplacer("/", "%2F", `\`, "%5C", "%", "%25")
})

// CheckPath says what is wrong with one of Rule.Paths.
func CheckPath(glob string) error {
	switch {
	case !strings.HasPrefix(glob, "/"):
		return errors.New("begins with a slash")
	case strings.ContainsAny(glob, "?#"):
		return errors.New("has no query: a rule is about the path")
	case strings.ContainsFunc(glob, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("has no control characters")
	case len(glob) > 1024:
		return errors.New("longer than 1024 bytes")
	}
	for seg := range strings.SplitSeq(glob[1:], "/") {
		if seg == "." || seg == ".." {
			return errors.New("has no dot segments: a request with them is refused")
		}
	}
	if strings.Contains(strings.TrimSuffix(glob, "/"), "//") {
		return errors.New("has no empty segments: a request with them is refused")
	}
	if strings.Contains(glob, `\`) {
		return errors.New(`has no backslash: write %5C`)
	}
	return nil
}

// matchPath matches a path in canonical form with a glob: "*" is any text within a
// segment, but for an escaped slash, "**" any text at all. It takes time in
// proportion to the product of both lengths, whatever they are: the path is the
// job's.
func matchPath(glob, path string) bool {
	type token struct {
		c          byte
		star, deep bool
	}
	var tokens []token
	for i := 0; i < len(glob); i++ {
		if glob[i] != '*' {
			tokens = append(tokens, token{c: glob[i]})
			continue
		}
		t := token{star: true}
		for ; i+1 < len(glob) && glob[i+1] == '*'; i++ {
			t.deep = true
		}
		tokens = append(tokens, t)
	}
	// at[k]: the text so far matches the first k tokens.
	at := make([]bool, len(tokens)+1)
	skip := func() { // a star may be empty
		for k, t := range tokens {
			if at[k] && t.star {
				at[k+1] = true
			}
		}
	}
	at[0] = true
	skip()
	for i := range len(path) {
		shallow := path[i] != '/' && !escapedSlash(path[i:])
		for k, t := range slices.Backward(tokens) {
			at[k+1] = at[k] && !t.star && t.c == path[i] || at[k+1] && t.star && (t.deep || shallow)
		}
		at[0] = false
		skip()
	}
	return at[len(tokens)]
}

func escapedSlash(s string) bool {
	return len(s) >= 3 && (s[:3] == "%2F" || s[:3] == "%5C")
}
