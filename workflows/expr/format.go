// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"strconv"
	"strings"
)

// format puts arguments into a text. Those that it does not mention are not
// evaluated, and none is before the whole text is known to be good.
func (x *evaluator) format(n *node) (Value, error) {
	v, err := x.eval(n.args[0])
	if err != nil {
		return nil, err
	}
	text := ToString(v)
	used := x.counter()
	parts, problem := splitFormat(text, len(n.args)-1, used)
	switch {
	case used.full():
		return nil, x.tooBig(n)
	case problem != "":
		return nil, x.fail(n, "%s: %s", problem, text)
	}
	var b strings.Builder
	args := make([]Value, len(n.args)-1)
	for _, p := range parts {
		s := p.text
		if p.arg >= 0 {
			if args[p.arg] == nil {
				if args[p.arg], err = x.eval(n.args[p.arg+1]); err != nil {
					return nil, err
				}
			}
			if p.text != "" {
				return nil, x.fail(n, "The format specifiers '%s' are not valid for objects of type '%s'", p.text, args[p.arg].Kind())
			}
			s = ToString(args[p.arg])
		}
		if p.arg >= 0 && s != "" && !used.str(s) {
			return nil, x.tooBig(n)
		}
		b.WriteString(s)
	}
	return String(b.String()), nil
}

// formatPart is text, or an argument with what stands after its colon.
type formatPart struct {
	text string
	arg  int // -1: text
}

const (
	badFormat   = "The following format string is invalid"
	badArgument = "The following format string references more arguments than were supplied"
)

// splitFormat cuts a format at its braces.
func splitFormat(s string, args int, used *counter) (parts []formatPart, problem string) {
	text := func(s string) {
		if s != "" && used.str(s) {
			parts = append(parts, formatPart{s, -1})
		}
	}
	for s != "" && !used.full() {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			text(s)
			break
		}
		if i+1 < len(s) && s[i+1] == s[i] { // twice is once
			text(s[:i+1])
			s = s[i+2:]
			continue
		}
		if s[i] == '}' {
			return nil, badFormat
		}
		p, rest, ok := readArgument(s[i+1:])
		if !ok {
			return nil, badFormat
		}
		if p.arg >= args {
			return nil, badArgument
		}
		text(s[:i])
		parts = append(parts, p)
		s = rest
	}
	return parts, ""
}

// readArgument reads "0}" or "0:specifiers}", where }} in these is a brace. The
// number is a byte.
func readArgument(s string) (p formatPart, rest string, ok bool) {
	d := digits(s)
	n, err := strconv.ParseUint(s[:d], 10, 8)
	if err != nil || d == len(s) {
		return p, "", false
	}
	p.arg = int(n)
	switch s[d] {
	case '}':
		return p, s[d+1:], true
	case ':':
	default:
		return p, "", false
	}
	var b strings.Builder
	for s = s[d+1:]; ; {
		i := strings.IndexByte(s, '}')
		if i < 0 {
			return p, "", false
		}
		b.WriteString(s[:i])
		if i+1 == len(s) || s[i+1] != '}' {
			p.text = b.String()
			return p, s[i+1:], true
		}
		b.WriteByte('}')
		s = s[i+2:]
	}
}
