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
// ordinary text.
package mask

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Text replaces a hidden value.
const Text = "***"

const shortest = 4 // bytes

// Writer masks what is written to it. It is not safe for concurrent use.
type Writer struct {
	mu      sync.Mutex // held by a Write that its caller does not wait for any more
	w       io.Writer
	needles [][]byte // longest first
	first   [256]bool
	held    []byte
	count   int
}

// New returns a writer that masks the values in what it passes on to w.
func New(w io.Writer, values []string) *Writer {
	m := &Writer{w: w}
	for _, n := range Needles(values) {
		m.needles = append(m.needles, []byte(n))
		m.first[n[0]] = true
	}
	return m
}

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
			if b, err := json.Marshal(f); err == nil {
				add(strings.Trim(string(b), `"`))
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

// Write masks p. It keeps back what may be the start of a value until more
// comes, or Flush.
func (m *Writer) Write(p []byte) (int, error) {
	if len(m.needles) == 0 {
		return m.w.Write(p)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	buf := append(m.held, p...)
	out, rest := m.replace(buf, false)
	m.held = append([]byte(nil), rest...)
	if len(out) > 0 {
		if _, err := m.w.Write(out); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// Flush writes what was kept back. If a Write has not returned, because nobody
// takes the output, there is nowhere to write to.
func (m *Writer) Flush() error {
	if !m.mu.TryLock() {
		return nil
	}
	defer m.mu.Unlock()
	out, _ := m.replace(m.held, true)
	m.held = nil
	if len(out) == 0 {
		return nil
	}
	_, err := m.w.Write(out)
	return err
}

// Count returns how many values were hidden so far.
func (m *Writer) Count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.count
}

// replace returns buf with every needle replaced, and the end of it that may
// still become one.
func (m *Writer) replace(buf []byte, final bool) (out, rest []byte) {
	out = make([]byte, 0, len(buf))
	for i := 0; i < len(buf); {
		if !m.first[buf[i]] {
			out = append(out, buf[i])
			i++
			continue
		}
		hit := 0
		for _, n := range m.needles {
			if bytes.HasPrefix(buf[i:], n) {
				hit = len(n)
				break
			}
			// Longest first: a longer one that may still come wins over a shorter one.
			if !final && len(buf)-i < len(n) && bytes.HasPrefix(n, buf[i:]) {
				return out, buf[i:]
			}
		}
		if hit == 0 {
			out = append(out, buf[i])
			i++
			continue
		}
		out = append(out, Text...)
		m.count++
		i += hit
	}
	return out, nil
}
