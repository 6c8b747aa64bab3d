// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
)

// Needles returns every form of the values that is hidden, longest first.
//
// They are those that GitHub's runner hides (its ValueEncoders, but for what PowerShell
// makes of &), and the other alignments, alphabets and spellings of the same.
func Needles(values []string) []string {
	var out []string
	add := func(forms ...string) {
		for _, s := range forms {
			if len(s) >= Shortest {
				out = append(out, s)
			}
		}
	}
	for _, v := range values {
		forms := []string{v}
		for _, l := range strings.FieldsFunc(v, func(r rune) bool { return r == '\n' || r == '\r' }) {
			// Readers of YAML and JSON take the blanks off, shells the line break at the end.
			if l != v {
				forms = append(forms, l)
			}
			if bare := strings.TrimSpace(l); bare != l {
				forms = append(forms, bare)
			}
		}
		if bare, ok := unquote(v); ok {
			forms = append(forms, bare)
		}
		for _, f := range forms {
			if len(f) < Shortest {
				continue
			}
			add(f)
			add(hexForms(f)...)
			add(base64Forms(f)...)
			if !escapesNothing(f) {
				add(urlForms(f)...)
				add(jsonForms(f)...)
				add(quotedForms(f)...)
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

// escapesNothing reports whether every escape leaves a text as it is, as it does
// nearly all tokens. A set is made anew whenever a job names one more value.
func escapesNothing(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// unquote returns what is between quotes that are part of a value: a program that
// reads it as a quoted string prints it without them.
func unquote(v string) (string, bool) {
	if n := len(v); n > 8 && v[0] == v[n-1] && (v[0] == '"' || v[0] == '\'') { // 8 is GitHub's
		return v[1 : n-1], true
	}
	return "", false
}

// hexForms are hex in both cases, and in the lines of xxd -p.
func hexForms(s string) []string {
	lower := hex.EncodeToString([]byte(s))
	return append(lines(lower, 60), lower, strings.ToUpper(lower))
}

// urlForms are the escapes of Go (query and path), of urllib.parse.quote of Python, of
// encodeURIComponent of JavaScript, and the same with small letters.
func urlForms(s string) []string {
	query := url.QueryEscape(s)
	spaces := strings.ReplaceAll(query, "+", "%20")
	out := []string{
		query,
		spaces,
		url.PathEscape(s),
		strings.ReplaceAll(spaces, "%2F", "/"),
		strings.NewReplacer("%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(spaces),
	}
	for _, f := range out {
		if lower := lowerEscapes(f); lower != f {
			out = append(out, lower)
		}
	}
	return out
}

// lowerEscapes writes %2F as %2f.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i:], strings.ToLower(s[i:i+3]))
			i += 2
		}
	}
	return string(b)
}

// jsonForms are a text as in JSON, without the quotes: as Go writes it, which escapes
// <, > and &, as others do, and in ASCII only.
func jsonForms(s string) []string {
	var out []string
	for _, html := range []bool{true, false} {
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(html)
		if err := e.Encode(s); err != nil {
			continue // a string can always be encoded
		}
		f := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(b.String(), "\n"), `"`), `"`)
		out = append(out, f, asciiOnly(f), strings.ReplaceAll(f, "/", `\/`)) // the last one is PHP's
	}
	return out
}

// asciiOnly writes what is not ASCII as \u and four hex digits, as Python's json does.
func asciiOnly(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// quotedForms are a text within quotes of some kind, without the outer ones.
func quotedForms(s string) []string {
	xml := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
	return []string{
		strings.ReplaceAll(s, `"`, `\"`),    // command lines
		strings.ReplaceAll(s, "'", "''"),    // expressions, YAML, SQL
		strings.ReplaceAll(s, "'", `'\''`),  // shells
		strings.ReplaceAll(s, "'", `'"'"'`), // shlex.quote of Python
		xml,                                 // XML, between tags
		strings.NewReplacer(`"`, "&quot;", "'", "&apos;").Replace(xml), // XML, in attributes
		strings.NewReplacer(`"`, "&#34;", "'", "&#39;").Replace(xml),   // HTML, as Go and others write it
		strings.NewReplacer(`"`, "&quot;", "'", "&#39;").Replace(xml),  // as most do
		strings.NewReplacer(`"`, "&quot;", "'", "&#x27;").Replace(xml), // as Python does
		strings.ReplaceAll(xml, `"`, "&quot;"),                         // XML, in attributes with double quotes
	}
}

// base64Forms returns what of v's base64 is the same whatever stands around it,
// for the three alignments and both alphabets, and the lines in which tools print it
// where it stands at the beginning.
func base64Forms(v string) []string {
	var out []string
	for shift := range 3 {
		// shift bytes before v fill up the first group; the characters that depend
		// on them, and on what follows, are cut off.
		enc := base64.StdEncoding.EncodeToString(append(make([]byte, shift), v...))
		from := (shift*8 + 5) / 6
		to := (shift + len(v)) * 8 / 6
		if to-from < Shortest {
			continue
		}
		s := enc[from:to]
		out = append(out, s, strings.ReplaceAll(strings.ReplaceAll(s, "+", "-"), "/", "_"))
		if shift == 0 {
			out = append(out, lines(s, 76)...) // base64 of GNU, MIME
			out = append(out, lines(s, 64)...) // openssl, PEM
		}
	}
	return out
}

// shortestPiece is the last line of several that is still hidden, in bytes: less is
// part of too many other words, and makes the search for all forms slow.
const shortestPiece = 8

// lines cuts a text into lines; none if one is enough.
func lines(s string, width int) []string {
	if len(s) <= width {
		return nil
	}
	var out []string
	for part := range slices.Chunk([]byte(s), width) {
		if len(part) >= shortestPiece {
			out = append(out, string(part))
		}
	}
	return out
}
