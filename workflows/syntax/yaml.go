// SPDX-License-Identifier: Apache-2.0

package syntax

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// document is a file as YAML nodes. When the text breaks off, failure says why and
// nodes may still be what came before.
type document struct {
	root    *yaml.Node
	failure *Error // without the file
}

// maxRepairs bounds how often a text is read again.
const maxRepairs = 32

// parseYAML reads one document. GitHub's YAML library is older than ours and takes a
// comment right after a bracket ("[a]#, b"); so do we.
func parseYAML(text string) document {
	if at := invalidUTF8(text); at >= 0 {
		line := 1 + strings.Count(text[:at], "\n")
		col := 1 + utf8.RuneCountInString(text[strings.LastIndexByte(text[:at], '\n')+1:at])
		return document{failure: &Error{Line: line, Col: col, Message: "The file is not valid UTF-8"}}
	}
	for range maxRepairs {
		var doc yaml.Node
		err := yaml.Load([]byte(text), &doc)
		if err == nil {
			return document{root: content(&doc)}
		}
		e, isLoad := errors.AsType[*yaml.LoadError](err)
		switch {
		case isLoad && strings.HasPrefix(e.Message, "found a comment without preceding whitespace"):
			repaired, ok := insertSpace(text, e.Mark.Line, e.Mark.Column)
			if !ok {
				return document{failure: yamlError(e, text)}
			}
			text = repaired
		case isLoad && e.Mark.Line > 0:
			return document{failure: yamlError(e, text)}
		case strings.Contains(err.Error(), "no documents"):
			return document{failure: &Error{Message: "Expected document start parse event", hint: "the file is empty"}}
		case strings.Contains(err.Error(), "multiple"):
			return document{root: content(&doc), failure: &Error{Message: "Expected stream end parse event", hint: secondDocument(text)}}
		case isLoad:
			return document{failure: yamlError(e, text)}
		default:
			return document{failure: &Error{Message: err.Error()}}
		}
	}
	return document{failure: &Error{Message: "too many comments that follow a bracket without a space"}}
}

// secondDocument says where it begins.
func secondDocument(text string) string {
	line, begun := 0, false
	for s := range strings.Lines(text) {
		line++
		s = strings.TrimRight(s, " \t\r\n")
		marker := s == "---" || strings.HasPrefix(s, "--- ")
		if marker && begun {
			return fmt.Sprintf("a workflow file is one document: remove what follows the --- of line %d", line)
		}
		begun = begun || marker || s != "" && s[0] != '#' && s[0] != '%'
	}
	return "a workflow file is one document"
}

func content(doc *yaml.Node) *yaml.Node {
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		return doc.Content[0]
	}
	return nil
}

func yamlError(e *yaml.LoadError, text string) *Error {
	message := e.Message
	if e.ContextMsg != "" {
		message = e.ContextMsg + ": " + message
	}
	// The end of the text is a line further for the library.
	last := 1 + strings.Count(text, "\n")
	failure := &Error{Line: min(e.Mark.Line, last), Col: e.Mark.Column, Message: message}
	if strings.Contains(message, "parsing a flow ") && strings.Contains(message, "',' or") && strings.Contains(text, openExpression) {
		failure.hint = "within [ ] and { } an expression must be in quotes: '${{ x }}'"
	}
	return failure
}

// insertSpace puts a space before the # that stands at a place or after it in its line.
func insertSpace(text string, line, col int) (string, bool) {
	start := 0
	for range line - 1 {
		i := strings.IndexByte(text[start:], '\n')
		if i < 0 {
			return "", false
		}
		start += i + 1
	}
	for range col - 1 {
		_, n := utf8.DecodeRuneInString(text[start:])
		start += n
	}
	i := strings.IndexByte(text[start:], '#')
	if i < 0 || strings.Contains(text[start:start+i], "\n") {
		return "", false
	}
	return text[:start+i] + " " + text[start+i:], true
}

// invalidUTF8 is the first byte that is no UTF-8, -1 if there is none.
func invalidUTF8(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return i
			}
		}
	}
	return -1
}
