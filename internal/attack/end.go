// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"slices"
	"strings"
)

// End is how an attempt ended, judged.
type End string

// The ends.
const (
	Blocked End = "blocked"
	Works   End = "works" // needed, or let through on purpose
	Escaped End = "escaped"
	Wrong   End = "wrong" // refused with an errno that says something else, or a needed thing refused
	NotRun  End = "not run"
)

// allowed is what Wants returns alone if a profile lets the attempt through.
const allowed = "allowed"

// LetThrough reports whether a profile lets the attempt through on purpose.
func (a Attempt) LetThrough(profile string) bool {
	return slices.Equal(a.Wants(profile), []string{allowed})
}

// Judge says what the line that an attempt printed means under a profile.
func (a Attempt) Judge(profile, said string) End {
	word, by, _ := strings.Cut(said, " ")
	through := a.LetThrough(profile)
	switch {
	case a.Allowed && word == "WORKS", through && word == "ESCAPED":
		return Works
	case word == "ESCAPED" && !a.Allowed:
		return Escaped
	case word == "BLOCKED" && slices.Contains(a.Wants(profile), by):
		return Blocked
	case word == "BLOCKED", word == "REFUSED":
		return Wrong
	default:
		return NotRun
	}
}

// Got is what an attempt's line says, in the words of Wants and of the overrides:
// the errno, WORKS, or allowed.
func Got(said string) string {
	word, by, _ := strings.Cut(said, " ")
	switch word {
	case "BLOCKED", "REFUSED":
		return by
	case "WORKS":
		return word
	case "ESCAPED":
		return allowed
	default:
		return said
	}
}
