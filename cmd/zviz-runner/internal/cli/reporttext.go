// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/zviz/run/cmd/zviz-runner/internal/decision"
	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/sandbox"
)

// reportText prints a report for people. A part that is empty is left out.
func reportText(out io.Writer, r executor.Report, verified string) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	title := r.Title()
	if len(r.Command) > 0 {
		title = quoteCommand(r.Command)
	}
	line("%s", ui.CleanLine(title))
	line("%s: exit code %d, %s, after %s, on %s UTC", ui.Clean(string(r.Conclusion)), r.ExitCode,
		strings.ReplaceAll(ui.Clean(string(r.Cause)), "_", " "), ui.Duration(r.Usage.WallMS), r.Started.UTC().Format(time.DateTime))
	if e := r.Error; e != nil {
		for _, part := range [][2]string{{"error: ", e.What}, {"  why: ", e.Why}, {"  fix: ", e.Fix}} {
			if part[1] != "" {
				line("%s%s", part[0], ui.CleanLine(part[1]))
			}
		}
	}
	if e := r.Environment; e != nil {
		text := "environment: " + ui.CleanLine(e.Name)
		if e.URL != "" {
			text += ", " + ui.CleanLine(e.URL)
		}
		line("%s", text)
	}
	if r.Egress.Complete {
		line("the record of the network is complete: nothing opaque left the cell")
	} else {
		line("the record of the network is not complete: something opaque left the cell")
	}
	line("%s", verified)
	var rows [][]string
	for _, s := range r.Steps {
		conclusion := ui.Clean(string(s.Conclusion))
		if s.Outcome != s.Conclusion {
			conclusion += " after " + ui.Clean(string(s.Outcome))
		}
		rows = append(rows, []string{conclusion, strconv.Itoa(s.ExitCode), ui.Duration(s.DurationMS), ui.Clean(s.Name)})
	}
	textTable(&b, "steps", []string{"CONCLUSION", "EXIT CODE", "AFTER", "STEP"}, rows)
	textTable(&b, "hosts", []string{"DECISION", "HOST", "WHY", "TIMES", "SENT", "RECEIVED", "STEPS", "FIRST ASKED BY", "PACKAGES"}, hostRows(r.Egress.Summary))
	rows = nil
	for _, p := range r.Packages {
		rows = append(rows, []string{ui.Clean(p.Ecosystem), ui.Clean(p.Name), ui.Clean(p.Version), p.How(), ui.Clean(p.Digest)})
	}
	textTable(&b, "packages", []string{"FROM", "NAME", "VERSION", "HOW", "DIGEST"}, rows)
	rows = nil
	head := []string{"WHAT", "ERROR", "TIMES", "BY", "WHY"}
	if len(r.Steps) > 0 {
		head = append(head, "STEP")
	}
	for _, d := range r.Denials {
		who := ""
		if d.PID != 0 {
			who = decision.Process(d.Exe, d.PID)
		}
		row := []string{ui.Clean(d.Syscall + d.Path), ui.Clean(d.Errno), strconv.Itoa(d.Count), who, ui.Clean(d.Rule)}
		rows = append(rows, append(row, ui.Clean(d.Step))[:len(head)])
	}
	textTable(&b, "denied system calls and files", head, rows)
	rows = nil
	for _, c := range r.Changed {
		rows = append(rows, []string{ui.Clean(c.Op), ui.Clean(c.Path), strconv.FormatInt(c.Size, 10), ui.Clean(c.Note)})
	}
	textTable(&b, "changed files", []string{"", "PATH", "SIZE", "WHY IT MATTERS"}, rows)
	rows = nil
	for _, l := range r.Layers {
		if l.State != sandbox.Applied {
			rows = append(rows, []string{ui.Clean(string(l.Name)), strings.ReplaceAll(ui.Clean(string(l.State)), "_", " "), ui.Clean(l.Detail)})
		}
	}
	line("\nlayers: %d applied, %d not", len(r.Layers)-len(rows), len(rows))
	textTable(&b, "not applied", []string{"LAYER", "STATE", "DETAIL"}, rows)
	_, err := io.WriteString(out, b.String())
	return err
}

func hostRows(summary []egress.Summary) [][]string {
	var rows [][]string
	for _, s := range summary {
		verdict := string(s.Verdict)
		if s.Expected {
			verdict += " (expected)"
		}
		host := ui.Clean(decision.Host(s))
		first := ""
		if s.First.PID != 0 {
			first = decision.Process(s.First.Exe, s.First.PID)
		}
		var packages []string
		for _, w := range s.Wanted {
			packages = append(packages, decision.Wanted(w.Package))
		}
		rows = append(rows, []string{
			ui.Clean(verdict), host, decision.Why(s), strconv.Itoa(s.Count), ui.Amount(s.Up), ui.Amount(s.Down),
			ui.Clean(strings.Join(s.Steps, ",")), first, strings.Join(packages, "; "),
		})
	}
	return rows
}

// textTable prints a table, or nothing if there are no rows.
func textTable(b *strings.Builder, title string, head []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", title)
	_ = ui.Table(b, append([][]string{head}, rows...), nil) // a Builder does not fail
}
