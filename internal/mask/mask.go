// SPDX-License-Identifier: Apache-2.0

// Package mask hides secret values in a stream of output, also when a value is
// split over writes and in the encodings in which tools and attackers print it.
//
//	w := mask.New(os.Stdout, []string{token})
//	defer w.Flush()
//
// It hides each value as it is, each line of a value of several lines, base64
// (standard and URL alphabet, at any alignment), hex, URL escapes and JSON
// escapes. It cannot hide what a job encrypts, compresses or spells out letter by
// letter. Values shorter than four bytes are not hidden: they would blot out
// ordinary text. Values that overlap or touch each other are hidden as one.
package mask

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// Text replaces a hidden value.
const Text = "***"

const shortest = 4 // bytes

// Needles returns every form of the values that is hidden, longest first.
func Needles(values []string) []string {
	var out []string
	add := func(s string) {
		if len(s) >= shortest {
			out = append(out, s)
		}
	}
	for _, v := range values {
		forms := []string{v}
		if lines := strings.FieldsFunc(v, func(r rune) bool { return r == '\n' || r == '\r' }); len(lines) > 1 {
			forms = append(forms, lines...)
		}
		for _, f := range forms {
			if len(f) < shortest {
				continue
			}
			add(f)
			add(hex.EncodeToString([]byte(f)))
			add(strings.ToUpper(hex.EncodeToString([]byte(f))))
			add(url.QueryEscape(f))
			add(url.PathEscape(f))
			// As urllib.parse.quote of Python and encodeURIComponent of JavaScript spell it.
			escaped := strings.ReplaceAll(url.QueryEscape(f), "+", "%20")
			add(escaped)
			add(strings.ReplaceAll(escaped, "%2F", "/"))
			add(strings.NewReplacer("%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(escaped))
			for _, html := range []bool{true, false} { // Go escapes <, > and &, others do not
				add(jsonForm(f, html))
			}
			for _, s := range base64Forms(f) {
				add(s)
			}
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		if d := len(b) - len(a); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(out)
}

// jsonForm is a text as in JSON, without the quotes.
func jsonForm(s string, html bool) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(html)
	if err := e.Encode(s); err != nil {
		return "" // a string can always be encoded
	}
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(b.String(), "\n"), `"`), `"`)
}

// base64Forms returns what of v's base64 is the same whatever stands around it,
// for the three alignments and both alphabets.
func base64Forms(v string) []string {
	var out []string
	for shift := range 3 {
		// shift bytes before v fill up the first group; the characters that depend
		// on them, and on what follows, are cut off.
		enc := base64.StdEncoding.EncodeToString(append(make([]byte, shift), v...))
		from := (shift*8 + 5) / 6
		to := (shift + len(v)) * 8 / 6
		if to-from < shortest {
			continue
		}
		s := enc[from:to]
		out = append(out, s, strings.NewReplacer("+", "-", "/", "_").Replace(s))
	}
	return out
}
