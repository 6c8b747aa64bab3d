// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"strconv"
	"strings"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/executor/job"
)

// annotationLines is how many lines are shown of an annotation.
const annotationLines = 20

// place is "src/a.js:3:5", empty if the annotation is about nothing in particular.
func place(a *job.Annotation) string {
	s := ui.Clean(a.File)
	if a.Line > 0 {
		if s == "" {
			s = "line "
		} else {
			s += ":"
		}
		if s += strconv.Itoa(a.Line); a.Column > 0 {
			s += ":" + strconv.Itoa(a.Column)
		}
	}
	return s
}

// level is the kind of an annotation, one of three.
func level(a *job.Annotation) string {
	switch a.Level {
	case "notice", "warning":
		return a.Level
	}
	return "error"
}

// annotationText returns the lines of an annotation, clean: its level, and what follows
// it on the first line and on those below.
func annotationText(a *job.Annotation) []string {
	head := ""
	if p := place(a); p != "" {
		head = " " + p
	}
	if a.Code != "" {
		head += " " + ui.Clean(a.Code)
	}
	if a.Title != "" {
		head += " " + ui.Clean(a.Title)
	}
	lines := logLines(a.Message, false)
	if len(lines) > annotationLines {
		more := len(lines) - annotationLines
		lines = append(lines[:annotationLines:annotationLines], "… "+ui.Count(more, "more line", "more lines"))
	}
	lines[0] = head + ": " + lines[0]
	return lines
}

// logLines makes the lines that a text of a job is shown as: none can act on a terminal.
// What comes behind a carriage return is a line of its own, as with bars of progress:
// on a terminal it would hide what is in front.
func logLines(text string, color bool) []string {
	if !strings.ContainsAny(text, "\r\n") {
		return []string{ui.LogLine(text, color)}
	}
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		for part := range strings.SplitSeq(line, "\r") {
			if part != "" {
				lines = append(lines, ui.LogLine(part, color))
			}
		}
	}
	if len(lines) == 0 {
		return []string{""}
	}
	return lines
}
