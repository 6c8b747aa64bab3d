// SPDX-License-Identifier: Apache-2.0

package attack_test

import (
	"slices"
	"testing"

	"github.com/zviz/run/internal/attack"
)

// TestJudge judges outcomes that no sandbox of ours has.
func TestJudge(t *testing.T) {
	stopped := attack.Attempt{ID: "ns-01", Want: []string{"EPERM"}, WantCI: []string{"EACCES", "no user namespace"}}
	open := attack.Attempt{ID: "net-02", Want: []string{"EAFNOSUPPORT"}, WantCI: []string{"allowed"}}
	needed := attack.Attempt{ID: "ok-01", Allowed: true}
	for _, tt := range []struct {
		a       attack.Attempt
		profile string
		said    attack.Outcome
		want    attack.End
	}{
		{stopped, "hostile", "BLOCKED EPERM", attack.Blocked},
		{stopped, "hostile", "BLOCKED EACCES", attack.Wrong},
		{stopped, "ci", "BLOCKED EPERM", attack.Wrong},
		{stopped, "ci", "BLOCKED EACCES", attack.Blocked},
		{stopped, "ci", "BLOCKED no user namespace", attack.Blocked},
		{stopped, "hostile", "BLOCKED", attack.Wrong},
		{stopped, "hostile", "ESCAPED a namespace", attack.Escaped},
		{stopped, "hostile", "ESCAPED", attack.Escaped},
		{stopped, "hostile", "WORKS a namespace", attack.Wrong},
		{stopped, "hostile", "BROKEN no terminal to try", attack.NotRun},
		{stopped, "hostile", "", attack.Wrong},
		{stopped, "hostile", "panic: of the attempt", attack.Wrong},
		{open, "ci", "ESCAPED a socket", attack.Permitted},
		{open, "ci", "BLOCKED EPERM", attack.Wrong},
		{open, "hostile", "ESCAPED a socket", attack.Escaped},
		{open, "hostile", "BLOCKED EAFNOSUPPORT", attack.Blocked},
		{needed, "ci", "WORKS read 7 bytes", attack.Works},
		{needed, "ci", "REFUSED EPERM", attack.Wrong},
		{needed, "ci", "ESCAPED read 7 bytes", attack.Wrong},
		{needed, "ci", "", attack.Wrong},
	} {
		if got := tt.a.Judge(tt.profile, tt.said); got != tt.want {
			t.Errorf("%s under %s says %q: got %s, want %s", tt.a.ID, tt.profile, tt.said, got, tt.want)
		}
		if bad := tt.want == attack.Escaped || tt.want == attack.Wrong; tt.want.Bad() != bad {
			t.Errorf("%s is bad: %v", tt.want, !bad)
		}
	}
}

// TestHarm wants a reason for each attempt that would change this machine.
func TestHarm(t *testing.T) {
	for _, a := range attack.All() {
		changes := slices.Contains([]string{
			"sc-03", "sc-03-finit", "sc-03-delete", "sc-07", "sc-21", "sc-22", "sc-22-off", "sc-22-acct", "cap-09", "cap-09-date", "proc-09", "res-03",
		}, a.ID)
		if changes && a.Harm() == "" {
			t.Errorf("%s, %s: harmless?", a.ID, a.What)
		}
		if a.Harm() != "" && !changes && a.Control != attack.Nowhere && attack.Class(a.ID) != "resource" {
			t.Errorf("%s, %s: has a control, and does harm: %s", a.ID, a.What, a.Harm())
		}
		if !slices.Contains(attack.Classes(), attack.Class(a.ID)) {
			t.Errorf("%s is of no class of the table: %s", a.ID, attack.Class(a.ID))
		}
	}
	if h := (attack.Attempt{ID: "sc-99", Control: attack.Nowhere, NoControl: "new"}).Harm(); h != "new" {
		t.Errorf("a row that nobody has thought about: got %q", h)
	}
}
