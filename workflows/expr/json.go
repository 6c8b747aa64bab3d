// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxJSONDepth is the runner's (JsonParser.cs).
const maxJSONDepth = 100

func (x *evaluator) fromJSON(n *node) (Value, error) {
	v, err := x.eval(n.args[0])
	if err != nil {
		return nil, err
	}
	v, err = ParseJSON(ToString(v))
	if err != nil {
		return nil, x.fail(n, "Error parsing JSON when evaluating fromJson: %v", err)
	}
	return v, nil
}

// ParseJSON reads one strict JSON value (RFC 8259). Objects keep their order. Of
// names that are the same the last value counts, of those that differ only in case
// the first.
func ParseJSON(s string) (Value, error) {
	r := jsonReader{text: s}
	r.space()
	if r.at == len(s) {
		return nil, errors.New("empty input")
	}
	v, err := r.value(1)
	if err != nil {
		return nil, err
	}
	if r.space(); r.at < len(s) {
		return nil, r.unexpected()
	}
	return v, nil
}

type jsonReader struct {
	text string
	at   int
}

func (r *jsonReader) unexpected() error {
	if r.at >= len(r.text) {
		return errors.New("unexpected end of input")
	}
	c, _ := utf8.DecodeRuneInString(r.text[r.at:])
	return fmt.Errorf("unexpected character %q at offset %d", c, r.at)
}

func (r *jsonReader) space() {
	for r.at < len(r.text) && strings.IndexByte(" \t\r\n", r.text[r.at]) >= 0 {
		r.at++
	}
}

// take goes past c if it is next.
func (r *jsonReader) take(c byte) bool {
	if r.at < len(r.text) && r.text[r.at] == c {
		r.at++
		return true
	}
	return false
}

func (r *jsonReader) word(w string) bool {
	if !strings.HasPrefix(r.text[r.at:], w) {
		return false
	}
	r.at += len(w)
	return true
}

func (r *jsonReader) value(depth int) (Value, error) {
	if depth > maxJSONDepth {
		return nil, fmt.Errorf("nested deeper than %d at offset %d", maxJSONDepth, r.at)
	}
	switch {
	case r.word("null"):
		return Null{}, nil
	case r.word("true"):
		return Bool(true), nil
	case r.word("false"):
		return Bool(false), nil
	case r.take('['):
		return r.array(depth)
	case r.take('{'):
		return r.object(depth)
	case r.take('"'):
		s, err := r.str()
		return String(s), err
	}
	return r.number()
}

func (r *jsonReader) array(depth int) (Value, error) {
	a := &Array{}
	if r.space(); r.take(']') {
		return a, nil
	}
	for {
		r.space()
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		a.items = append(a.items, v)
		r.space()
		switch {
		case r.take(','):
		case r.take(']'):
			return a, nil
		default:
			return nil, r.unexpected()
		}
	}
}

func (r *jsonReader) object(depth int) (Value, error) {
	var list []Member
	if r.space(); r.take('}') {
		return NewObject(), nil
	}
	seen := map[string]int{}
	for {
		if r.space(); !r.take('"') {
			return nil, r.unexpected()
		}
		name, err := r.str()
		if err != nil {
			return nil, err
		}
		if r.space(); !r.take(':') {
			return nil, r.unexpected()
		}
		r.space()
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if i, twice := seen[name]; twice {
			list[i].Value = v
		} else {
			seen[name] = len(list)
			list = append(list, Member{name, v})
		}
		r.space()
		switch {
		case r.take(','):
		case r.take('}'):
			return NewObject(list...), nil
		default:
			return nil, r.unexpected()
		}
	}
}

func (r *jsonReader) number() (Value, error) {
	start := r.at
	r.take('-')
	if !r.take('0') {
		if err := r.digits(); err != nil {
			return nil, err
		}
	}
	if r.take('.') {
		if err := r.digits(); err != nil {
			return nil, err
		}
	}
	if r.take('e') || r.take('E') {
		if !r.take('+') {
			r.take('-')
		}
		if err := r.digits(); err != nil {
			return nil, err
		}
	}
	f, _ := strconv.ParseFloat(r.text[start:r.at], 64) // out of range: an infinity
	return Number(f), nil
}

func (r *jsonReader) digits() error {
	n := digits(r.text[r.at:])
	if n == 0 {
		return r.unexpected()
	}
	r.at += n
	return nil
}

// str reads what follows a quotation mark.
func (r *jsonReader) str() (string, error) {
	var b strings.Builder
	for {
		n := strings.IndexFunc(r.text[r.at:], func(c rune) bool { return c == '"' || c == '\\' || c < ' ' })
		if n < 0 {
			r.at = len(r.text)
			return "", r.unexpected()
		}
		b.WriteString(r.text[r.at : r.at+n])
		r.at += n
		switch {
		case r.take('"'):
			return b.String(), nil
		case r.take('\\'):
			c, err := r.escape()
			if err != nil {
				return "", err
			}
			b.WriteRune(c)
		default:
			return "", r.unexpected()
		}
	}
}

// escape reads what follows a backslash. Half of a surrogate pair is U+FFFD.
func (r *jsonReader) escape() (rune, error) {
	if r.at == len(r.text) {
		return 0, r.unexpected()
	}
	switch c := r.text[r.at]; c {
	case '"', '\\', '/':
		r.at++
		return rune(c), nil
	case 'b', 'f', 'n', 'r', 't':
		r.at++
		return rune("\b\f\n\r\t"[strings.IndexByte("bfnrt", c)]), nil
	}
	hi, err := r.unit()
	if err != nil || !utf16.IsSurrogate(hi) {
		return hi, err
	}
	start := r.at
	if r.take('\\') {
		if lo, err := r.unit(); err == nil && utf16.DecodeRune(hi, lo) != utf8.RuneError {
			return utf16.DecodeRune(hi, lo), nil
		}
	}
	r.at = start
	return utf8.RuneError, nil
}

// unit reads u and four hexadecimal digits.
func (r *jsonReader) unit() (rune, error) {
	if !r.take('u') {
		return 0, r.unexpected()
	}
	var u rune
	for range 4 {
		if r.at == len(r.text) {
			return 0, r.unexpected()
		}
		n, err := strconv.ParseUint(r.text[r.at:r.at+1], 16, 8)
		if err != nil {
			return 0, r.unexpected()
		}
		u = u<<4 | rune(n)
		r.at++
	}
	return u, nil
}
