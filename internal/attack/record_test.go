// SPDX-License-Identifier: Apache-2.0

//go:build linux

package attack_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/zviz/run/internal/attack"
)

// judge compares what an attempt printed with what it wants under the profile.
func judge(t *testing.T, a attack.Attempt, where, profile, got string) {
	t.Helper()
	say(t, profile, a.ID, got)
	switch end := a.Judge(profile, attack.Outcome(firstLine(got))); {
	case end == attack.Blocked || end == attack.Works || end == attack.Permitted:
	case a.Allowed:
		t.Errorf("%s, %s: got %q, want WORKS", a.What, where, got)
	case a.LetThrough(profile):
		t.Errorf("%s, %s, which %s allows: got %q", a.What, where, profile, got)
	default:
		t.Errorf("%s, %s: got %q, want BLOCKED %s", a.What, where, got, strings.Join(a.Wants(profile), " or "))
	}
}

// say puts into the log of the test what an attempt said, or what became of a row
// that is no attempt: make attack reads it there.
func say(t *testing.T, profile, id, got string) {
	t.Helper()
	t.Attr("attack:"+profile+":"+id, strings.ReplaceAll(firstLine(got), "\r", " "))
}

// record is say for the attempt that a command line makes, if it makes one.
func record(t *testing.T, profile string, args []string, got string) {
	t.Helper()
	if i := slices.Index(args, "./attack"); i >= 0 && i+1 < len(args) {
		say(t, profile, args[i+1], got)
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
