// SPDX-License-Identifier: Apache-2.0

package attack_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/zviz/run/internal/attack"
)

// TestDifferences: a difference is of an attempt that is there, is none of root's
// outcomes, lets nothing through, has a reason, and is published.
func TestDifferences(t *testing.T) {
	var lines strings.Builder
	lines.WriteString("| attempt | root | ordinary user | why |\n|---|---|---|---|\n")
	for _, d := range attack.Differences() {
		a, ok := attack.ByID(d.ID)
		if !ok || d.Why == "" || len(d.Got) == 0 {
			t.Errorf("%+v: no such attempt, no outcome or no reason", d)
		}
		if a.Allowed || slices.Contains(d.Got, "allowed") {
			t.Errorf("%s: an attempt is let through, or a needed thing is refused", d.ID)
		}
		for _, profile := range []string{"ci", "hostile"} {
			got, ok := attack.DifferenceOf(d.ID, profile)
			if here := d.Profile == "" || d.Profile == profile; !here {
				continue
			}
			if !ok || got.Why != d.Why {
				t.Errorf("%s, %s: another difference hides it", d.ID, profile)
			}
			if !slices.Equal(a.ForUser().Wants(profile), d.Got) {
				t.Errorf("%s, %s: an ordinary user's wants %q", d.ID, profile, a.ForUser().Wants(profile))
			}
			for _, word := range d.Got {
				if slices.Contains(a.Wants(profile), word) {
					t.Errorf("%s, %s: %s stops it for root too: no difference", d.ID, profile, word)
				}
				if end := a.Judge(profile, attack.Outcome("BLOCKED "+word)); end != attack.Wrong {
					t.Errorf("%s, %s: root's BLOCKED %s is %s", d.ID, profile, word, end)
				}
			}
			if end := a.ForUser().Judge(profile, attack.Outcome("BLOCKED "+a.Wants(profile)[0])); end != attack.Wrong {
				t.Errorf("%s, %s: what stops it for root is %s for a user", d.ID, profile, end)
			}
			if end := a.ForUser().Judge(profile, "ESCAPED"); end != attack.Escaped {
				t.Errorf("%s, %s: escaped is %s", d.ID, profile, end)
			}
		}
		name := d.ID
		if d.Profile != "" {
			name += ", " + d.Profile
		}
		fmt.Fprintf(&lines, "| %s | %s | %s | %s |\n", name, strings.Join(a.Wants(d.Profile), " or "), d.Words(), d.Why)
	}
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "<!-- differences: begin; TestDifferences compares them with attack.Differences -->\n")
	published, _, ok2 := strings.Cut(rest, "<!-- differences: end -->\n")
	if !ok || !ok2 {
		t.Fatal("docs/security.md has no marks around its differences")
	}
	if published != lines.String() {
		t.Errorf("docs/security.md has\n%swant\n%s", published, lines.String())
	}
}
