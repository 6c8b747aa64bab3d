// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"testing"

	"github.com/zviz/run/egress"
)

// A decision that comes for one package after another is one line, and at the end one that
// names them.
func TestDenialsNamePackages(t *testing.T) {
	var d denials
	row := func(name string) egress.Summary {
		r, ok := rowOf(egress.Event{
			Host: "registry.test", Port: 443, Door: egress.DoorHTTP, Verdict: egress.VerdictNote, Reason: "min-release-age",
			Fetched: &egress.Fetched{Ecosystem: "npm", Name: name, Hidden: []string{"1.0.0", "1.1.0"}},
		})
		if !ok {
			t.Fatal("no row")
		}
		return r
	}
	first := row("left")
	if got, want := egressLine(first, ""), "note registry.test:443 (min-release-age: left@1.1.0)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !d.add(first) {
		t.Error("the first is not shown")
	}
	for _, name := range []string{"right", "left", "up", "down"} {
		if d.add(row(name)) {
			t.Errorf("%s is shown too", name)
		}
	}
	got := d.repeated()
	if want := "note registry.test:443 ×5 in all: min-release-age: left@1.1.0, right@1.1.0, up@1.1.0 and more"; len(got) != 1 || got[0].text != want {
		t.Errorf("got %+v, want %q", got, want)
	}
	if len(first.Packages) != 1 {
		t.Errorf("the first row was changed: %v", first.Packages)
	}
}
