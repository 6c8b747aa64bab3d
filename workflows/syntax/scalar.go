// SPDX-License-Identifier: Apache-2.0

package syntax

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

const tagPrefix = "tag:yaml.org,2002:"

// literal makes a token of a YAML scalar: the core schema of YAML 1.2 for plain ones,
// text for all others. The library's own tags are of another schema (0777, 1_000, yes,
// dates) and are not looked at.
func literal(n *yaml.Node, pos Pos) (*Token, error) {
	t := &Token{Kind: String, Pos: pos, Text: n.Value}
	style := n.Style &^ yaml.TaggedStyle
	if n.Style&yaml.TaggedStyle != 0 {
		return t, tagged(t, n, style)
	}
	if style != 0 {
		return t, nil
	}
	_, err := resolve(t, n.Value)
	return t, err
}

// tagged takes the type that the file names.
func tagged(t *Token, n *yaml.Node, style yaml.Style) error {
	tag := n.Tag
	if short, ok := strings.CutPrefix(tag, "!!"); ok {
		tag = tagPrefix + short
	}
	if tag == tagPrefix+"str" {
		return nil
	}
	if style != 0 {
		return stop{message: fmt.Sprintf("The scalar style '%s' on line %d and column %d is not valid with the tag '%s'", styleName(style), t.Pos.Line, t.Pos.Col, tag)}
	}
	want := map[string]Kind{"bool": Bool, "float": Number, "int": Number, "null": Null}
	kind, ok := want[strings.TrimPrefix(tag, tagPrefix)]
	if !ok || !strings.HasPrefix(tag, tagPrefix) {
		return stop{message: fmt.Sprintf("Unexpected tag '%s'", tag), hint: tagHint(tag)}
	}
	var matched bool
	var err error
	switch tag {
	case tagPrefix + "float":
		matched, err = resolveFloat(t, n.Value)
	case tagPrefix + "int":
		matched, err = resolveInt(t, n.Value)
	default:
		matched, err = resolve(t, n.Value)
		matched = matched && t.Kind == kind
	}
	if err == nil && !matched {
		err = invalid(t, n.Value, tag)
	}
	return err
}

// tagHint is for a text that begins with ! as a condition may.
func tagHint(tag string) string {
	if strings.HasPrefix(tag, tagPrefix) {
		return ""
	}
	return "a text that begins with ! must be in quotes, or an expression in ${{ }}"
}

func styleName(s yaml.Style) string {
	switch {
	case s&yaml.DoubleQuotedStyle != 0:
		return "DoubleQuoted"
	case s&yaml.SingleQuotedStyle != 0:
		return "SingleQuoted"
	case s&yaml.FoldedStyle != 0:
		return "Folded"
	default:
		return "Literal"
	}
}

func invalid(t *Token, value, tag string) error {
	return stop{message: fmt.Sprintf("The value '%s' on line %d and column %d is invalid for the type '%s'", value, t.Pos.Line, t.Pos.Col, tag)}
}

// resolve changes a plain scalar into what it means; false if that is text.
func resolve(t *Token, s string) (bool, error) {
	switch s {
	case "", "null", "Null", "NULL", "~":
		t.Kind, t.Text = Null, ""
		return true, nil
	case "true", "True", "TRUE":
		t.Kind, t.Text, t.Bool = Bool, "", true
		return true, nil
	case "false", "False", "FALSE":
		t.Kind, t.Text = Bool, ""
		return true, nil
	}
	if c := s[0]; (c < '0' || c > '9') && c != '-' && c != '+' && c != '.' {
		return false, nil
	}
	if ok, err := resolveInt(t, s); ok || err != nil {
		return ok, err
	}
	return resolveFloat(t, s)
}

func (t *Token) number(f float64) bool {
	t.Kind, t.Text, t.Num = Number, "", f
	return true
}

// resolveInt knows [-+]?[0-9]+, and the 32 bits of 0x[0-9a-fA-F]+ and 0o[0-7]+.
func resolveInt(t *Token, s string) (bool, error) {
	if digits := strings.TrimLeft(s, "0123456789"); digits == "" && s != "" {
		return t.number(parseFloat(s)), nil
	}
	if s == "" {
		return false, nil
	}
	if rest := s[1:]; (s[0] == '-' || s[0] == '+') && rest != "" && strings.Trim(rest, "0123456789") == "" {
		return t.number(parseFloat(s)), nil
	}
	if ok, err := resolveBase(t, s, "0x", "0123456789abcdefABCDEF", 16); ok || err != nil {
		return ok, err
	}
	return resolveBase(t, s, "0o", "01234567", 8)
}

func resolveBase(t *Token, s, prefix, digits string, base int) (bool, error) {
	rest, ok := strings.CutPrefix(s, prefix)
	if !ok || rest == "" || strings.Trim(rest, digits) != "" {
		return false, nil
	}
	n, err := strconv.ParseUint(rest, base, 32)
	if err != nil {
		return false, invalid(t, s, tagPrefix+"int")
	}
	return t.number(float64(int32(n))), nil
}

// resolveFloat knows [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?, .inf and .nan.
func resolveFloat(t *Token, s string) (bool, error) {
	switch s {
	case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF":
		return t.number(math.Inf(1)), nil
	case "-.inf", "-.Inf", "-.INF":
		return t.number(math.Inf(-1)), nil
	case ".nan", ".NaN", ".NAN":
		return t.number(math.NaN()), nil
	}
	const digits = "0123456789"
	rest := s
	if rest != "" && (rest[0] == '-' || rest[0] == '+') {
		rest = rest[1:]
	}
	whole := strings.TrimLeft(rest, digits)
	hasWhole := whole != rest
	fraction, hasDot := strings.CutPrefix(whole, ".")
	tail := fraction
	if hasDot {
		tail = strings.TrimLeft(fraction, digits)
	}
	if !hasWhole && (!hasDot || tail == fraction) {
		return false, nil
	}
	if tail != "" {
		if tail[0] != 'e' && tail[0] != 'E' {
			return false, nil
		}
		exponent := tail[1:]
		if exponent != "" && (exponent[0] == '-' || exponent[0] == '+') {
			exponent = exponent[1:]
		}
		if exponent == "" || strings.Trim(exponent, digits) != "" {
			return false, nil
		}
	}
	return t.number(parseFloat(s)), nil
}

// parseFloat reads a number whose form is known to be right; one that is too large is
// infinite, as it is for GitHub.
func parseFloat(s string) float64 {
	f, _ := strconv.ParseFloat(s, 64)
	return f
}
