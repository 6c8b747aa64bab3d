// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"fmt"
	"slices"

	"github.com/zviz/run/cmd/zviz-runner/internal/decision"
	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/egress"
)

// deniedMost is how many different decisions are shown of a step; a job can ask for any
// number of names.
const deniedMost = 50

// deniedPackagesMost is how many packages are kept of a decision.
const deniedPackagesMost = 8

// denialKey is what is alike to a reader.
type denialKey struct {
	host    string
	door    egress.Door
	verdict egress.Verdict
	reason  string
}

func keyOf(row egress.Summary) denialKey {
	return denialKey{decision.Host(row), row.Door, row.Verdict, row.Reason}
}

// denials are the decisions of a step that were shown.
type denials struct {
	times map[denialKey]int
	order []egress.Summary
	other int // not shown, since they are too many
}

// add counts a decision, and reports whether it is the first of its kind and shown.
func (d *denials) add(row egress.Summary) bool {
	k := keyOf(row)
	if n, ok := d.times[k]; ok {
		d.times[k] = n + row.Count
		d.name(k, row.Packages)
		return false
	}
	if len(d.order) == deniedMost {
		d.other += row.Count
		return false
	}
	if d.times == nil {
		d.times = map[denialKey]int{}
	}
	d.times[k] = row.Count
	d.order = append(d.order, row)
	return true
}

// name adds packages to those that the row says it is about.
func (d *denials) name(k denialKey, packages []string) {
	for i := range d.order {
		row := &d.order[i]
		if keyOf(*row) != k {
			continue
		}
		for _, p := range packages {
			if len(row.Packages) < deniedPackagesMost && !slices.Contains(row.Packages, p) {
				row.Packages = append(slices.Clip(row.Packages), p)
			}
		}
	}
}

// again is a line about what came again after it was shown.
type again struct {
	verdict egress.Verdict
	text    string
}

// repeated are the lines about that.
func (d *denials) repeated() []again {
	var list []again
	for _, row := range d.order {
		if n := d.times[keyOf(row)]; n > row.Count {
			text := fmt.Sprintf("%s %s%s in all", verb(row), ui.Clean(decision.Host(row)), ui.Times(n))
			if len(row.Packages) > 0 {
				text += ": " + decision.Why(row)
			}
			list = append(list, again{row.Verdict, text})
		}
	}
	if d.other > 0 {
		list = append(list, again{egress.VerdictDeny, "and " + ui.Count(d.other, "more decision", "more decisions") + " about other hosts"})
	}
	return list
}

// rowOf makes the row of one decision.
func rowOf(e egress.Event) (egress.Summary, bool) {
	rows := egress.Summarize([]egress.Event{e})
	if len(rows) == 0 {
		return egress.Summary{}, false
	}
	return rows[0], true
}

// shown says whether a decision is worth a line while a job runs: what was refused, and
// advice.
func shown(row egress.Summary, hint string, verbose bool) bool {
	switch row.Verdict {
	case egress.VerdictDeny, egress.VerdictWouldDeny:
		return verbose || !row.Expected
	case egress.VerdictNote:
		return verbose || hint != ""
	case egress.VerdictAllow, egress.VerdictLearned:
	}
	return verbose
}

// verb is what was done with a request.
func verb(row egress.Summary) string {
	what := ""
	if row.Door == egress.DoorDNS {
		what = " name"
	}
	switch row.Verdict {
	case egress.VerdictDeny:
		if row.Expected {
			what = " (as expected)" + what
		}
		return "denied" + what
	case egress.VerdictWouldDeny:
		return "would have denied" + what
	case egress.VerdictAllow:
		return "allowed" + what
	case egress.VerdictLearned:
		return "learned" + what
	case egress.VerdictNote:
	}
	return "note" + what
}

// egressLine is "denied evil.test:443 (node, pid 41)".
func egressLine(row egress.Summary, hint string) string {
	s := verb(row) + " " + decision.Row(row)
	if hint != "" {
		s += "; " + ui.Clean(hint)
	}
	return s
}
