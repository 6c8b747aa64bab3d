// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// screen is a terminal that knows the sequences that we write and fails at any other. It
// keeps what scrolls away.
type screen struct {
	mu sync.Mutex // what follows

	t          testing.TB
	rows, cols int
	reflows    bool // breaks lines anew when its width changes, as most do; else it cuts them

	lines   [][]rune // from the first line on, each as long as it was written
	at, off int      // the cursor: line and place in it
	noWrap  bool
	rest    string
	drawn   int // how often something was erased
	tallest int // rows below the cursor's highest place
}

func newScreen(t testing.TB, rows, cols int) *screen {
	t.Helper()
	return &screen{t: t, rows: rows, cols: cols, reflows: true, lines: [][]rune{nil}}
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data := s.rest + string(p)
	for data != "" {
		n := s.take(data)
		if n == 0 {
			break
		}
		data = data[n:]
	}
	s.rest = data
	return len(p), nil
}

// take does what the data begins with; 0 if it is not whole.
func (s *screen) take(data string) int {
	switch {
	case data[0] == '\r':
		s.off -= s.off % s.cols
		return 1
	case data[0] == '\n': // the terminal's driver makes it begin the next line
		s.at, s.off = s.at+1, 0
		for len(s.lines) <= s.at {
			s.lines = append(s.lines, nil)
		}
		return 1
	case data[0] == 0x1b:
		end := strings.IndexFunc(data[1:], func(r rune) bool { return r >= '@' && r != '[' })
		if end < 0 {
			return 0
		}
		s.sequence(data[1 : end+2])
		return end + 2
	case !utf8.FullRuneInString(data):
		return 0
	}
	r, n := utf8.DecodeRuneInString(data)
	s.put(r)
	return n
}

func (s *screen) put(r rune) {
	line := s.lines[s.at]
	if s.noWrap && s.off > 0 && s.off%s.cols == 0 && s.off == len(line) {
		s.off-- // the last column is written over
	}
	for len(line) <= s.off {
		line = append(line, ' ')
	}
	line[s.off] = r
	s.lines[s.at] = line
	s.off++
}

func (s *screen) sequence(q string) {
	switch {
	case strings.HasPrefix(q, "[") && strings.HasSuffix(q, "m"):
	case q == "[?7l" || q == "[?7h":
		s.noWrap = q == "[?7l"
	case q == "[J":
		s.drawn++
		s.lines = s.lines[:s.at+1]
		s.lines[s.at] = s.lines[s.at][:min(s.off, len(s.lines[s.at]))]
	case strings.HasPrefix(q, "[") && strings.HasSuffix(q, "A"):
		n, err := strconv.Atoi(q[1 : len(q)-1])
		if err != nil || n < 1 {
			s.t.Fatalf("sequence %q", q)
		}
		s.up(n)
	default:
		s.t.Fatalf("sequence %q, which the view does not make", q)
	}
}

// up moves the cursor, not above the window.
func (s *screen) up(n int) {
	s.tallest = max(s.tallest, n+1)
	below := s.off / s.cols // rows of the cursor's line above it
	for n = min(n, s.rows-1); n > 0; n-- {
		switch {
		case below > 0:
			below--
			s.off -= s.cols
		case s.at > 0:
			s.at--
			below = max(len(s.lines[s.at])-1, 0) / s.cols
			s.off = below * s.cols
		}
	}
}

// resize changes the window.
func (s *screen) resize(rows, cols int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.reflows {
		for i, line := range s.lines {
			s.lines[i] = line[:min(len(line), cols)]
		}
		s.off = min(s.off, cols)
	}
	s.rows, s.cols = rows, cols
}

func (s *screen) size() (rows, cols int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows, s.cols
}

// erased is how often something was erased since it was last asked.
func (s *screen) erased() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.drawn
	s.drawn = 0
	return n
}

// text is all that was ever written and not erased.
func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, line := range s.lines {
		b.WriteString(strings.TrimRight(string(line), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}
