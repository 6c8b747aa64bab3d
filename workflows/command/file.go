// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"strings"
)

// bom is what some editors and PowerShell put first.
const bom = "\ufeff"

// Pair is a name and its value in a file of a step.
type Pair struct{ Name, Value string }

// FileError says what is wrong with a file of a step. What stood before it counts.
type FileError struct {
	Line int // from 1
	Text string
}

func (e *FileError) Error() string { return e.Text }

// ParseValues reads a file of names and values: NAME=VALUE on a line, or
//
//	NAME<<DELIMITER
//	lines
//	DELIMITER
//
// A line ends with LF only. The pairs before an error are returned with it.
func ParseValues(text string) (pairs []Pair, err error) {
	lines := lines{rest: strings.TrimPrefix(text, bom)}
	for {
		line, _, ok := lines.next()
		if !ok {
			return pairs, nil
		}
		if line == "" {
			continue
		}
		fail := func(format string, args ...any) ([]Pair, error) {
			return pairs, &FileError{Line: lines.number, Text: fmt.Sprintf(format, args...)}
		}
		equals, heredoc := strings.Index(line, "="), strings.Index(line, "<<")
		switch {
		case equals >= 0 && (heredoc < 0 || equals < heredoc):
			pairs = append(pairs, Pair{line[:equals], line[equals+1:]})
		case heredoc >= 0:
			name, delimiter := line[:heredoc], line[heredoc+2:]
			if name == "" || delimiter == "" {
				return fail("Invalid format '%s'. Name must not be empty and delimiter must not be empty", line)
			}
			value, problem := lines.until(delimiter)
			if problem != "" {
				return fail("%s", problem)
			}
			pairs = append(pairs, Pair{name, value})
		default:
			return fail("Invalid format '%s'", line)
		}
	}
}

// ParsePaths reads a file of directories, one on a line.
func ParsePaths(text string) []string {
	var out []string
	for line := range strings.SplitSeq(strings.TrimPrefix(text, bom), "\n") {
		if line != "" {
			out = append(out, line)
		}
	}
	return out
}

// lines reads lines of a text.
type lines struct {
	rest   string
	number int
}

// next returns a line, and whether a line break ends it.
func (l *lines) next() (line string, newline, ok bool) {
	if l.rest == "" {
		return "", false, false
	}
	l.number++
	line, l.rest, newline = strings.Cut(l.rest, "\n")
	return line, newline, true
}

// until returns the lines before the one that is the delimiter.
func (l *lines) until(delimiter string) (value, problem string) {
	start, size := l.rest, 0
	for {
		line, more, ok := l.next()
		switch {
		case !ok:
			return "", "Invalid value. Matching delimiter not found '" + delimiter + "'"
		case line == delimiter:
			return strings.TrimSuffix(start[:size], "\n"), ""
		case !more:
			return "", "Invalid value. EOF marker missing new line."
		}
		size += len(line) + 1
	}
}
