// SPDX-License-Identifier: Apache-2.0

package workflows

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/zviz/run/workflows/expr"
)

const (
	maxIDLength = 100
	maxAttempts = 1000 // at numbers that make an id unique
)

// ids makes and checks the identifiers of one scope; they ignore case.
type ids struct {
	taken map[string]bool
	tried map[wanted]int // the last attempt, so that a thousand steps do not all begin at the first
	name  strings.Builder
}

// wanted is what build was asked for.
type wanted struct {
	original string
	reserved bool
	length   int
}

func newIDs() *ids { return &ids{taken: map[string]bool{}, tried: map[wanted]int{}} }

func (b *ids) take(id string) bool {
	key := expr.Fold(id)
	if b.taken[key] {
		return false
	}
	b.taken[key] = true
	return true
}

// known takes an id that the user wrote. The text says what is wrong with it.
func (b *ids) known(id string) (problem string) {
	switch {
	case !validID(id) || len(id) >= maxIDLength:
		// GitHub says "and" twice.
		return fmt.Sprintf("The identifier '%s' is invalid. IDs may only contain alphanumeric characters, '_', and '-'. IDs must start with a letter or '_' and and must be less than %d characters.", id, maxIDLength)
	case strings.HasPrefix(id, "__"):
		return fmt.Sprintf("The identifier '%s' is invalid. IDs starting with '__' are reserved.", id)
	case !b.take(id):
		return fmt.Sprintf("The identifier '%s' may not be used more than once within the same scope.", id)
	default:
		return ""
	}
}

func validID(id string) bool {
	for i, r := range id {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_'
		if !letter && (i == 0 || (r < '0' || r > '9') && r != '-') {
			return false
		}
	}
	return id != ""
}

// segment adds to the id that build makes.
func (b *ids) segment(s string) {
	if s == "" {
		return
	}
	if b.name.Len() > 0 {
		b.name.WriteByte('_')
	} else if s[0] >= '0' && s[0] <= '9' || s[0] == '-' {
		b.name.WriteByte('_')
	}
	for _, unit := range utf16.Encode([]rune(s)) {
		if r := rune(unit); validID("_" + string(r)) {
			b.name.WriteRune(r)
		} else {
			b.name.WriteByte('_')
		}
	}
}

// build makes an id of the segments that is not taken; false if there is none left.
func (b *ids) build(reserved bool, length int) (string, bool) {
	original := b.name.String()
	b.name.Reset()
	if original == "" {
		original = "job"
	}
	if !reserved && strings.HasPrefix(original, "__") {
		original = "_" + strings.TrimLeft(original, "_")
	}
	want := wanted{original, reserved, length}
	for attempt := b.tried[want] + 1; attempt < maxAttempts; attempt++ { // those before are taken
		suffix := ""
		switch {
		case attempt == 1:
		case !reserved && original == "_":
			suffix = strconv.Itoa(attempt)
		default:
			suffix = fmt.Sprintf("_%d", attempt)
		}
		id := original[:min(len(original), length-len(suffix))] + suffix
		if b.take(id) {
			b.tried[want] = attempt
			return id, true
		}
	}
	return "", false
}

// utf16Len is the length of a text as GitHub counts it.
func utf16Len(s string) int { return len(utf16.Encode([]rune(s))) }
