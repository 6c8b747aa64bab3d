// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/zviz/run/cmd/zviz-runner/internal/decision"
	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor/run"
	"github.com/zviz/run/workflows/plan"
)

// mostItems is how long each list of the summary is.
const mostItems = 50

// summary tells at the end what became of the run. Quiet leaves what failed, and the
// result.
func (n *narrator) summary(e run.Event) {
	t := n.tally
	if !n.quiet {
		n.jobTable(t)
	}
	n.failedSteps(t)
	if !n.quiet {
		n.annotated(t)
		n.denied(t)
		n.artifactTable()
		n.stepSummaries(t)
		n.put("")
	}
	n.say(nil, n.mark(string(e.Conclusion)), n.colors.Bold(ui.Clean(e.Name))+" "+result(t, e))
}

// result is "failure 15.3s: 1 of 3 jobs failed".
func result(t *tally, e run.Event) string {
	s := ui.Clean(string(e.Conclusion)) + " " + ui.Duration(e.Duration.Milliseconds())
	n := 0
	for _, j := range t.jobs {
		if j.Conclusion == plan.Failure {
			n++
		}
	}
	if n > 0 && len(t.jobs) > 1 {
		s += ": " + strconv.Itoa(n) + " of " + strconv.Itoa(len(t.jobs)) + " jobs failed"
	}
	if e.Why != "" {
		s += ": " + ui.Clean(e.Why)
	}
	return s
}

func (n *narrator) put(line string) { n.say(nil, "", line) }

func (n *narrator) heading(s string) {
	n.put("")
	n.put(n.colors.Bold(s))
}

// table shows rows with aligned columns, and how many were left out.
func (n *narrator) table(rows [][]string, style func(row, col int, cell string) string) {
	more := 0
	if len(rows) > mostItems {
		rows, more = rows[:mostItems], len(rows)-mostItems
	}
	for i := range rows {
		rows[i] = append([]string{""}, rows[i]...)
	}
	var b strings.Builder
	_ = ui.Table(&b, rows, style) // a Builder does not fail
	for line := range strings.Lines(b.String()) {
		n.put(strings.TrimSuffix(line, "\n"))
	}
	if more > 0 {
		n.put("  and " + ui.Count(more, "more", "more"))
	}
}

func (n *narrator) jobTable(t *tally) {
	if len(t.jobs) < 2 {
		return
	}
	n.heading("jobs")
	list := t.jobs
	if len(list) > mostItems {
		// What did not succeed first, so that it is among those that are shown.
		list = nil
		for _, first := range []bool{true, false} {
			for _, j := range t.jobs {
				if (j.Conclusion != plan.Success) == first {
					list = append(list, j)
				}
			}
		}
	}
	var rows [][]string
	for _, j := range list {
		took := ""
		if j.Duration > 0 {
			took = ui.Duration(j.Duration.Milliseconds())
		}
		rows = append(rows, []string{symbol(string(j.Conclusion)), cleanName(cmp.Or(j.Name, j.Job)), ui.Clean(string(j.Conclusion)), took, ui.Clean(j.Why)})
	}
	n.table(rows, func(row, col int, cell string) string {
		if col == 1 {
			return n.mark(string(list[row].Conclusion))
		}
		return cell
	})
}

// symbol is a mark without its colour.
func symbol(conclusion string) string { return (&narrator{}).mark(conclusion) }

func (n *narrator) failedSteps(t *tally) {
	if len(t.failed) == 0 {
		return
	}
	if !n.quiet {
		n.heading("failed steps")
	}
	for _, f := range t.failed {
		n.put("  " + n.colors.Red(markFailure) + " " + f.jobName + " / " + cleanName(f.result.Name) + exitCode(f.result.ExitCode))
		for _, text := range f.last {
			for _, line := range logLines(text, bool(n.colors)) {
				n.put("    " + n.colors.Dim(markPrinted) + " " + line)
			}
		}
	}
	if t.moreFailed > 0 {
		n.put("  and " + ui.Count(t.moreFailed, "more step", "more steps"))
	}
}

func (n *narrator) annotated(t *tally) {
	var parts []string
	for _, l := range []string{"error", "warning", "notice"} {
		if c := t.annotations[l]; c > 0 {
			parts = append(parts, ui.Count(c, l, l+"s"))
		}
	}
	if len(parts) == 0 {
		return
	}
	n.put("")
	n.put(n.colors.Bold("annotations") + ": " + strings.Join(parts, ", "))
	for _, line := range t.errors {
		n.put("  " + n.colors.Red(markNote) + " " + line)
	}
}

// denied lists what the network refused, by job, with the flag that would allow it.
func (n *narrator) denied(t *tally) {
	if len(t.rows) == 0 {
		return
	}
	for _, kind := range []struct {
		verdict egress.Verdict
		heading string
	}{{egress.VerdictDeny, "denied"}, {egress.VerdictWouldDeny, "let through, but would have been denied"}} {
		var rows [][]string
		for _, d := range t.rows {
			if d.row.Verdict == kind.verdict {
				fix := ""
				if hosts := decision.Allowable([]egress.Summary{d.row}); len(hosts) == 1 {
					fix = "--allow " + hosts[0]
				}
				rows = append(rows, []string{d.jobName, ui.Clean(decision.Row(d.row)), fix})
			}
		}
		if len(rows) > 0 {
			n.heading(kind.heading)
			n.table(rows, nil)
		}
	}
	if t.moreRows > 0 {
		n.put("  and " + ui.Count(t.moreRows, "more decision", "more decisions"))
	}
	if t.lost > 0 {
		n.put("  " + ui.Count(t.lost, "decision is", "decisions are") + " not in this list: there were more than could be taken")
	}
	var all []egress.Summary
	for _, d := range t.rows {
		all = append(all, d.row)
	}
	if hosts := decision.Allowable(all); len(hosts) > 0 && len(hosts) <= 10 {
		n.put("  " + n.colors.Bold("fix:") + " if this is wanted: --allow " + ui.CleanLine(strings.Join(hosts, ",")))
	}
}

func (n *narrator) artifactTable() {
	if n.artifacts == nil {
		return
	}
	var rows [][]string
	for _, a := range n.artifacts() {
		rows = append(rows, []string{cleanName(a.Name), ui.Amount(a.Bytes), ui.Clean(a.Path)})
	}
	if len(rows) > 0 {
		n.heading("artifacts")
		n.table(rows, nil)
	}
}

// stepSummaries prints what steps wrote for people, as they wrote it.
func (n *narrator) stepSummaries(t *tally) {
	if len(t.summaries) == 0 {
		return
	}
	n.heading("step summaries")
	for _, s := range t.summaries {
		name := s.jobName
		if s.step != "" {
			name += " / " + s.step
		}
		n.put("  " + name)
		for line := range strings.SplitSeq(strings.TrimRight(s.text, "\r\n"), "\n") {
			for _, part := range logLines(line, false) {
				n.put("    " + n.colors.Dim(markPrinted) + " " + part)
			}
		}
	}
	if t.moreSummary > 0 {
		n.put("  and " + ui.Amount(int64(t.moreSummary)) + " more")
	}
}
