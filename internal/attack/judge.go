// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"slices"
	"strings"
)

// End is how an attempt ended in the sandbox.
type End string

// The ends.
const (
	Blocked   End = "blocked" // by what must stop it
	Works     End = "works"   // what every build needs
	Permitted End = allowed   // the profile lets it through on purpose
	Escaped   End = "escaped"
	Wrong     End = "wrong"   // stopped by something else, or a needed thing refused, or no answer
	NotRun    End = "not_run" // it could not be tried
)

// allowed is what Wants returns alone if a profile lets the attempt through.
const allowed = "allowed"

// Ends returns every end in the order in which tables show them.
func Ends() []End { return []End{Blocked, Works, Permitted, Escaped, Wrong, NotRun} }

// Bad reports whether an end says that the sandbox does not do what it should.
func (e End) Bad() bool { return e == Escaped || e == Wrong }

// LetThrough reports whether a profile lets the attempt through on purpose.
func (a Attempt) LetThrough(profile string) bool {
	return slices.Equal(a.Wants(profile), []string{allowed})
}

// Judge says what the line that an attempt printed under a profile means.
func (a Attempt) Judge(profile string, said Outcome) End {
	word, by, _ := strings.Cut(string(said), " ")
	switch {
	case word == "BROKEN":
		return NotRun
	case word == "WORKS" && a.Allowed:
		return Works
	case word == "ESCAPED" && !a.Allowed:
		if a.LetThrough(profile) {
			return Permitted
		}
		return Escaped
	case word == "BLOCKED" && !a.Allowed && slices.Contains(a.Wants(profile), by):
		return Blocked
	default:
		return Wrong
	}
}
