// SPDX-License-Identifier: Apache-2.0

//go:build linux

package attack_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/zviz/run/internal/attack"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox/seccomp"
)

// catalogue reads the published table of attempts. It is not part of this
// repository.
func catalogue(t *testing.T) map[string]attack.Case {
	t.Helper()
	cases, err := attack.ReadCases(filepath.Join(testenv.Conformance(t, "escape"), "cases.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]attack.Case{}
	for _, c := range cases {
		rows[c.ID] = c
	}
	return rows
}

// TestCatalogueHasRows holds the published table and this package together: each
// row has attempts, or is Elsewhere, and not both; and there is no row here that
// it does not have but those that are named as our own.
func TestCatalogueHasRows(t *testing.T) {
	rows := catalogue(t)
	attempts, elsewhere := map[string]bool{}, map[string]bool{}
	for _, a := range attack.All() {
		attempts[attack.RowOf(a.ID)] = true
	}
	for _, e := range attack.Elsewheres() {
		if elsewhere[e.Row] || e.Why == "" {
			t.Errorf("%s is twice Elsewhere, or has no reason", e.Row)
		}
		elsewhere[e.Row] = true
		if _, ok := rows[e.Row]; !ok {
			t.Errorf("%s is Elsewhere, and the table does not have it", e.Row)
		}
	}
	for id, c := range rows {
		switch {
		case attempts[id] && elsewhere[id]:
			t.Errorf("%s has attempts, and is Elsewhere", id)
		case !attempts[id] && !elsewhere[id]:
			t.Errorf("%s (%s) has no attempt, and is not Elsewhere", id, c.Attempt)
		}
		if got := attack.Class(id); got != c.Class {
			t.Errorf("%s is of the class %s, want %s", id, got, c.Class)
		}
	}
	added := attack.Added()
	for id := range attempts {
		if _, ok := rows[id]; ok || attack.Class(id) == attack.Class("ok-01") {
			continue
		}
		if !slices.Contains(added, id) {
			t.Errorf("the table does not have %s, and it is not Added", id)
		}
	}
	for _, id := range added {
		if _, ok := rows[id]; ok || !attempts[id] {
			t.Errorf("%s is Added, and the table has it, or it has no attempt", id)
		}
	}
}

// TestOverrides compares what the attempts want with what the table expects.
// What differs is an override; and an override is of something that is there,
// differs from the table, and is all that is wanted: there is no other outcome
// with which the attempt passes.
func TestOverrides(t *testing.T) {
	rows := catalogue(t)
	used := map[attack.Override]bool{}
	for _, a := range attack.All() {
		c, ok := rows[attack.RowOf(a.ID)]
		if !ok || a.Allowed && attack.RowOf(a.ID) != a.ID { // what must work beside the row's own attempt
			continue
		}
		for _, profile := range append(seccomp.ProfileNames(), attack.RootOfUser) {
			wants := a.Wants(profile)
			if a.Allowed {
				wants = []string{"WORKS"}
			}
			o, overridden := attack.OverrideOf(a.ID, profile)
			used[o] = true
			if overridden && strings.Join(wants, " or ") != o.Got {
				t.Errorf("%s, %s: the override says %s, and the attempt wants %q", a.ID, profile, o.Got, wants)
			}
			for _, want := range wants {
				if want == "ENOENT" && a.Needs != "" {
					continue // what a kernel says that does not have it
				}
				if got := attack.Expects(c.Expected, want); got == overridden {
					t.Errorf("%s, %s: the attempt wants %s, the table %q, override: %q", a.ID, profile, want, c.Expected, o.Why)
				}
			}
		}
	}
	for _, e := range attack.Elsewheres() {
		for _, profile := range append(seccomp.ProfileNames(), attack.RootOfUser) {
			if o, ok := attack.OverrideOf(e.Row, profile); ok {
				used[o] = true
				if e.Test == "" || attack.Expects(rows[e.Row].Expected, o.Got) {
					t.Errorf("%s: the override by %q: no test makes it, or the table expects that: %q", e.Row, o.Got, rows[e.Row].Expected)
				}
			}
		}
	}
	for _, o := range attack.Overrides() {
		if !used[o] || o.Why == "" {
			t.Errorf("the override of %s by %s is of no attempt or row, is hidden by another one, or has no reason", o.ID, o.Got)
		}
	}
}
