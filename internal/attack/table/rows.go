// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"slices"
	"strings"

	"github.com/zviz/run/internal/attack"
)

// table is what became of every row under one profile of the runner.
type table struct {
	box      box
	rows     []tableRow
	failures []string // of tests, that are in no row
}

// tableRow is one row of the published table, or one of our own.
type tableRow struct {
	Sandbox  string     `json:"sandbox"`
	Profile  string     `json:"profile"`
	ID       string     `json:"row"`
	Class    string     `json:"class"`
	What     string     `json:"what"`
	Expected string     `json:"expected,omitempty"` // what the published table says
	End      attack.End `json:"outcome"`
	Why      string     `json:"why,omitempty"` // why it is not run, or what went wrong
	// Overrides are the outcomes that differ from Expected.
	Overrides []override `json:"overrides,omitempty"`
	// Differences are those that are an ordinary user's only.
	Differences []override `json:"ordinary_user,omitempty"`
	Attempts    []row      `json:"attempts,omitempty"`
}

type override struct {
	ID  string `json:"attempt"`
	Got string `json:"got"`
	Why string `json:"why"`
}

// published reports whether a row is of the published table.
func (r tableRow) published() bool {
	return !slices.Contains(attack.Added(), r.ID) && !strings.HasPrefix(r.ID, "ok-")
}

// newTable joins what was made here and what the tests made. Its rows are those of
// the published table, in its order, and then our own. Without the published table
// the rows are what is known of it here.
func newTable(b box, cases []attack.Case, direct []row, tested suite) table {
	t := table{box: b}
	at := map[string]int{}
	add := func(id string) *tableRow {
		i, ok := at[id]
		if !ok {
			i = len(t.rows)
			at[id] = i
			t.rows = append(t.rows, tableRow{Sandbox: b.name, Profile: b.profile, ID: id, Class: attack.Class(id), End: attack.NotRun})
		}
		return &t.rows[i]
	}
	for _, c := range cases {
		r := add(c.ID)
		r.What, r.Expected = c.Attempt, c.Expected
	}
	for i, a := range attempts(b.user) {
		r := add(attack.RowOf(a.ID))
		if r.What == "" {
			r.What = a.What
		}
		r.Attempts = append(r.Attempts, joined(a, b.profile, direct[i], tested))
		if !b.user || !r.differ(a.ID, b.profile) {
			r.override(a.ID, b.profile)
		}
	}
	for _, e := range elsewheres(b.user) {
		r := add(e.Row)
		made := tested.elsewhere(e, b.profile)
		r.End, r.Why = made.End, made.Why
		r.override(e.Row, b.profile)
	}
	wrong := map[string]bool{}
	var shown strings.Builder
	for i := range t.rows {
		r := &t.rows[i]
		r.judge()
		if r.End == attack.Escaped || r.End == attack.Wrong {
			wrong[r.ID] = true
			shown.WriteString(r.Why + "\n")
		}
		for _, a := range r.Attempts {
			if a.End == attack.Escaped || a.End == attack.Wrong {
				wrong[a.ID] = true
				shown.WriteString(a.Why + "\n")
			}
		}
	}
	t.failures = tested.failures(wrong, shown.String())
	slices.SortStableFunc(t.rows, func(x, y tableRow) int {
		return slices.Index(attack.Classes(), x.Class) - slices.Index(attack.Classes(), y.Class)
	})
	return t
}

// joined is the worse end of an attempt: of the one that was made here, and of
// those of the tests.
func joined(a attack.Attempt, profile string, direct row, tested suite) row {
	if a.Arch != "" && a.Arch != runtime.GOARCH {
		return direct
	}
	by := tested.attempt(a, profile)
	if direct.Why == inPlace || direct.End == attack.NotRun && by.End != attack.NotRun {
		return by
	}
	return worse(direct, by)
}

// worse returns the worse of two ends of one attempt, and the first of two equals.
func worse(x, y row) row {
	order := []attack.End{attack.NotRun, attack.Works, attack.Permitted, attack.Blocked, attack.Wrong, attack.Escaped}
	if slices.Index(order, y.End) > slices.Index(order, x.End) {
		return y
	}
	return x
}

func (r *tableRow) override(id, profile string) {
	if o, ok := attack.OverrideOf(id, profile); ok {
		r.Overrides = append(r.Overrides, override{o.ID, o.Got, o.Why})
	}
}

// judge ends a row as the worst of its attempts did. What works beside what is
// blocked is there to show that it still does, or is let through by an override.
func (r *tableRow) judge() {
	if len(r.Attempts) == 0 {
		if r.Why == "" { // TestCatalogueHasRows says so too
			r.End, r.Why = attack.Wrong, "nothing here makes this row, and no reason is given"
		}
		return
	}
	var worst row
	for _, a := range r.Attempts {
		worst = worse(worst, a)
	}
	switch r.End = worst.End; r.End {
	case attack.NotRun:
		r.Why = worst.Why
	case attack.Escaped, attack.Wrong:
		r.Why = worst.ID + ": " + worst.Why
	default: // what holds needs no reason
	}
}

// good reports whether nothing escaped, nothing was wrong and no test failed.
func (t table) good() bool {
	return len(t.failures) == 0 && !slices.ContainsFunc(t.rows, func(r tableRow) bool {
		return r.End == attack.Escaped || r.End == attack.Wrong
	})
}
