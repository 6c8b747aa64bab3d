// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fold maps text such that two texts are equal to an expression exactly if they
// fold to the same: each character to its upper case, if that is one character.
func Fold(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || c >= 'a' && c <= 'z' {
			return strings.Map(upper, s)
		}
	}
	return s
}

// upper is the upper case of .NET's OrdinalIgnoreCase: Unicode's simple mapping,
// but for the dotless i and the long s, which it leaves alone (dotnet/runtime,
// GlobalizationNative_InitOrdinalCasingPage).
func upper(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z':
		return r - 'a' + 'A'
	case r < utf8.RuneSelf, r == 'ı', r == 'ſ':
		return r
	default:
		return unicode.ToUpper(r)
	}
}

// compareFold compares two texts without regard to case, by UTF-16 units.
func compareFold(a, b string) int {
	for a != "" && b != "" {
		x, n := utf8.DecodeRuneInString(a)
		y, m := utf8.DecodeRuneInString(b)
		if x != y {
			if x, y = upper(x), upper(y); x != y {
				return order(x) - order(y)
			}
		}
		a, b = a[n:], b[m:]
	}
	return len(a) - len(b)
}

// order sorts characters as their UTF-16 units do: the surrogates come before
// U+E000.
func order(r rune) int {
	if r >= 0xE000 && r <= 0xFFFF {
		return int(r) + unicode.MaxRune
	}
	return int(r)
}

// units counts the UTF-16 units of s: lengths and positions are GitHub's.
func units(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xFFFF { // a surrogate pair
			n++
		}
	}
	return n
}
