// SPDX-License-Identifier: Apache-2.0

package syntax

import (
	"fmt"
	"strings"
)

// Error is what is wrong with a workflow file.
type Error struct {
	File      string // the name that the file was read by; empty if it is about none
	Line, Col int    // from 1; 0 if the place is not known
	Message   string // without the place

	text string // GitHub's text
	hint string
}

// Error is GitHub's text, with the place.
func (e *Error) Error() string { return e.text }

// Hint says what may have been meant; empty if nothing is near.
func (e *Error) Hint() string { return e.hint }

// errorList keeps the first errors, and of each the first characters, as GitHub does.
type errorList struct {
	limits Limits
	list   []*Error
}

func (l *errorList) add(e *Error) {
	if len(l.list) >= l.limits.MaxErrors {
		return
	}
	switch {
	case e.File == "":
		e.text = e.Message
	case e.Line == 0:
		e.text = e.File + ": " + e.Message
	default:
		e.text = fmt.Sprintf("%s (Line: %d, Col: %d): %s", e.File, e.Line, e.Col, e.Message)
	}
	e.text, e.Message = cut(e.text, l.limits.MaxErrorLength), cut(e.Message, l.limits.MaxErrorLength)
	l.list = append(l.list, e)
}

// cut shortens s to n UTF-16 units.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i, r := range s {
		if n--; r > 0xFFFF {
			n--
		}
		if n < 0 {
			return s[:i] + "[...]"
		}
	}
	return s
}

// calledFrom marks the errors that a called file has as found through its caller.
func (l *errorList) calledFrom(file string, at Pos) {
	for _, e := range l.list {
		if !strings.HasPrefix(e.text, file) {
			e.text = fmt.Sprintf("In %s (Line: %d, Col: %d): Error from called workflow %s", file, at.Line, at.Col, e.text)
		}
	}
}

// stop ends the reading of a file: the text is GitHub's for it.
type stop struct{ message, hint string }

func (s stop) Error() string { return s.message }
