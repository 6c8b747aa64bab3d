// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"math"
	"strconv"
	"strings"
	"unicode"
)

// FormatNumber writes a number as .NET's G15 does, which is what an expression
// sees of it: 15 significant digits, 1E+15 and 1E-05 in scientific form.
func FormatNumber(f float64) string {
	switch {
	case f == 0:
		return "0" // -0 too
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case f == math.Trunc(f) && math.Abs(f) < 1e15:
		return strconv.FormatInt(int64(f), 10)
	}
	return strings.ToUpper(strconv.FormatFloat(f, 'g', 15, 64))
}

// ParseNumber reads text as a number, as a comparison with a number does: NaN if
// it is none, 0 if it is blank.
func ParseNumber(s string) float64 {
	s = strings.TrimFunc(s, unicode.IsSpace)
	switch {
	case s == "":
		return 0
	case isDecimal(s):
		// Out of range is an infinity, as it is for .NET.
		f, _ := strconv.ParseFloat(s, 64)
		return f
	case len(s) > 2 && s[:2] == "0x":
		return parseInt32(s[2:], 16)
	case len(s) > 2 && s[:2] == "0o":
		return parseInt32(s[2:], 8)
	}
	return parseSymbol(s)
}

// isDecimal reports whether s is digits with one point among, before or after
// them, an optional sign and an optional exponent.
func isDecimal(s string) bool {
	s = trimSign(s)
	whole, frac, exp := digits(s), 0, -1
	rest := s[whole:]
	if strings.HasPrefix(rest, ".") {
		frac = digits(rest[1:])
		rest = rest[1+frac:]
	}
	if rest != "" && (rest[0] == 'e' || rest[0] == 'E') {
		rest = rest[1:]
		if rest != "" && (rest[0] == '-' || rest[0] == '+') {
			rest = rest[1:]
		}
		exp = digits(rest)
		rest = rest[exp:]
	}
	return whole+frac > 0 && exp != 0 && rest == ""
}

// digits counts the digits that s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// parseInt32 reads digits of a base as the bits of an int32: .NET's hexadecimal
// and octal numbers set the sign bit, and end there.
func parseInt32(s string, base int) float64 {
	for i := range len(s) {
		if !isAlnum(s[i]) { // ParseUint takes no sign, but an underscore
			return math.NaN()
		}
	}
	s = strings.TrimLeft(s, "0")
	if s == "" {
		return 0
	}
	u, err := strconv.ParseUint(s, base, 32)
	if err != nil {
		return math.NaN()
	}
	return float64(int32(uint32(u)))
}

// parseSymbol reads infinities. .NET takes them in any letter case, and with a
// plus too.
func parseSymbol(s string) float64 {
	switch strings.ToLower(s) {
	case "infinity", "+infinity":
		return math.Inf(1)
	case "-infinity":
		return math.Inf(-1)
	}
	return math.NaN()
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// trimSign takes away one sign.
func trimSign(s string) string {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		return s[1:]
	}
	return s
}
