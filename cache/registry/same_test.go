// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"testing"
	"time"
)

// A rule and a lockfile hold for every spelling that the registry takes for the same.
func TestSpellings(t *testing.T) {
	for _, tt := range []struct {
		e                   Ecosystem
		item, name, version string
		want                bool
	}{
		{PyPI, "Zope.Interface", "zope-interface", "5.0", true},
		{PyPI, "zope.*", "zope-event", "5.0", true},
		{PyPI, "Django@4.2", "django", "4.2.0", true},
		{PyPI, "django@4.2.0", "django", "4.2", true},
		{PyPI, "django@4.2", "django", "4.20", false},
		{PyPI, "certifi@2021.05.30", "certifi", "2021.5.30", true},
		{PyPI, "black@22.1.0-beta.1", "black", "22.1.0b1", true},
		{PyPI, "x@1.0.post1", "x", "1.0-1", true},
		{PyPI, "x@1.1", "x", "1.0-1", false},
		{PyPI, "x@1.0c1", "x", "1.0rc1", true},
		{PyPI, "x@1.0.dev1", "x", "1.0", false},
		{PyPI, "x@1!1.0", "x", "1.0", false},
		{PyPI, "torch@2.0+cu118", "torch", "2.0.0+cu118", true},
		{PyPI, "torch@2.0+cu118", "torch", "2.0.0", false},
		{Cargo, "Inflector", "inflector", "0.11.4", true},
		{Cargo, "serde_json@1.0.0", "serde-json", "1.0.0", true},
		{Cargo, "serde_json@1.0", "serde-json", "1.0.0", false},
		{NPM, "Left", "left", "1.0.0", false}, // another package
		{Go, "a.test/A_b@v1.0.0", "a.test/A-b", "v1.0.0", false},
	} {
		b, err := ParseBlocked(tt.item)
		if err != nil {
			t.Errorf("%s: %v", tt.item, err)
			continue
		}
		if got := b.Match(tt.e, tt.name, tt.version); got != tt.want {
			t.Errorf("%s: %s matches %s@%s: %v", tt.e, tt.item, tt.name, tt.version, got)
		}
	}
	lock := NewLock(Locked{Ecosystem: Cargo, Name: "Inflector", Version: "0.11.4"}, Locked{Ecosystem: PyPI, Name: "Zope.Interface", Version: "5.0"})
	for _, p := range []pkg{{Cargo, "inflector", "0.11.4"}, {Cargo, "Inflector", "0.11.4"}, {PyPI, "zope-interface", "5.0.0"}} {
		if !lock.Has(p.ecosystem, p.name, p.version) || !lock.HasName(p.ecosystem, p.name) {
			t.Errorf("%+v is locked", p)
		}
	}
	if lock.Has(Cargo, "inflector", "0.11.5") || lock.Has(PyPI, "zope-interface", "5.1") {
		t.Error("another version is locked")
	}
	if (Rules{MinReleaseAge: time.Hour, Exclude: []string{"Zope.*"}}).Aged(PyPI, "zope-interface") {
		t.Error("what is excluded is aged")
	}
}

// A part of a version matches nothing, so it must not look like a rule.
func TestBlockedCheck(t *testing.T) {
	for item, ok := range map[string]bool{"left": true, "left@1.0.0": true, "left@v1.0.0-rc.1": true, "left@1.x": true, "left@>=1.0.0": true, "left@1": false, "left@1.0": false, "left@latest": false} {
		b, err := ParseBlocked(item)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Check(NPM); (err == nil) != ok {
			t.Errorf("%s: %v", item, err)
		}
	}
	b, _ := ParseBlocked("curl@7")
	if err := b.Check(Debian); err != nil {
		t.Error(err)
	}
}
