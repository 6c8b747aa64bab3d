// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/sethvargo/go-githubactions"

	"github.com/zviz/run/cmd/zviz-runner/internal/decision"
	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
)

// GitHub shows ten annotations of a kind for a step, and 1 MiB of its summary.
const (
	annotationsMost = 10
	summaryRowsMost = 100
)

// tellGitHub annotates the step of a workflow that we run as, and adds to its summary
// page. Annotations go to standard error: standard output is the command's.
func (e *execution) tellGitHub(r executor.Report) {
	if e.getenv("GITHUB_ACTIONS") != "true" || e.json {
		return
	}
	// The library panics if it cannot write; a log that nobody reads is no bug of ours.
	defer func() {
		if v := recover(); v != nil {
			e.ui.Notef("cannot tell GitHub: %v", v)
		}
	}()
	action := githubactions.New(githubactions.WithWriter(e.Err), githubactions.WithGetenv(e.getenv))
	e.annotate(action, r)
	if name := e.getenv("GITHUB_STEP_SUMMARY"); name != "" {
		// The library would follow a link of the command's.
		if fi, err := os.Lstat(name); err == nil && !fi.Mode().IsRegular() || e.workDir != "" && below(e.workDir, name) {
			e.ui.Notef("GITHUB_STEP_SUMMARY is not written: the command could have put a link there")
			return
		}
		action.AddStepSummary(e.mask(githubSummary(r)))
	}
}

// annotate says what failed and what was denied. Names of packages are left out unless
// proven: anybody can claim one.
func (e *execution) annotate(action *githubactions.Action, r executor.Report) {
	if r.Error != nil {
		action.Errorf("%s", e.mask(ui.CleanLine("zviz: "+r.Error.What)))
	}
	left := annotationsMost
	for _, s := range r.Egress.Summary {
		if s.Verdict != egress.VerdictDeny || s.Expected {
			continue
		}
		if left--; left == 0 {
			action.Warningf("zviz: more was denied; the summary of the step has it")
			return
		}
		text := "zviz: denied " + decision.Host(s)
		if s.Reason != "" {
			text += " (" + decision.Why(s) + ")"
		}
		if s.First.PID != 0 {
			text += ", asked by " + decision.Process(s.First.Exe, s.First.PID)
		}
		if i := slices.IndexFunc(s.Wanted, func(w egress.Wanted) bool { return w.PkgBy == egress.EvidenceProven }); i >= 0 {
			text += ", " + decision.Wanted(s.Wanted[i].Package)
		}
		action.Warningf("%s", e.mask(ui.CleanLine(text)+ui.Times(s.Count)))
	}
}

// githubSummary is the page of a step, in GitHub's Markdown.
func githubSummary(r executor.Report) string {
	var b strings.Builder
	mark := "✅"
	if r.Conclusion != executor.Success {
		mark = "❌"
	}
	fmt.Fprintf(&b, "### %s zviz: <code>%s</code>\n\n", mark, markdown(strings.Join(r.Command, " ")))
	fmt.Fprintf(&b, "%s, exit code %d, after %s. ", markdown(string(r.Conclusion)), r.ExitCode, ui.Duration(r.Usage.WallMS))
	if r.Egress.Complete {
		b.WriteString("The record of the network is complete.\n")
	} else {
		b.WriteString("The record of the network is **not complete**: something opaque left the cell.\n")
	}
	if r.Error != nil {
		fmt.Fprintf(&b, "\n**%s**\n", markdown(r.Error.What))
	}
	if len(r.Egress.Summary) > 0 {
		b.WriteString("\n| decision | host | why | times | sent | received | steps | first asked by | packages | to allow it |\n|---|---|---|--:|--:|--:|---|---|---|---|\n")
	}
	for i, s := range r.Egress.Summary {
		if i == summaryRowsMost {
			fmt.Fprintf(&b, "\nAnd %d more; the report has all of them.\n", len(r.Egress.Summary)-i)
			break
		}
		verdict := map[egress.Verdict]string{egress.VerdictDeny: "🚫 denied", egress.VerdictAllow: "✅ allowed"}[s.Verdict]
		if verdict == "" {
			verdict = markdown(string(s.Verdict))
		}
		if s.Expected {
			verdict += ", expected"
		}
		var packages []string
		for _, w := range s.Wanted {
			packages = append(packages, decision.Wanted(w.Package))
		}
		first := ""
		if s.First.PID != 0 {
			first = decision.Process(s.First.Exe, s.First.PID)
		}
		fix := s.Fix
		if egress.CarriesData(s.Host) {
			fix = ""
		}
		fmt.Fprintf(&b, "| %s | <code>%s</code> | %s | %d | %s | %s | %s | %s | %s | %s |\n", verdict, markdown(decision.Host(s)), markdown(decision.Why(s)), s.Count,
			ui.Amount(s.Up), ui.Amount(s.Down), markdown(strings.Join(s.Steps, ", ")), markdown(first), markdown(strings.Join(packages, "; ")), markdown(fix))
	}
	if n := len(r.Denials); n > 0 {
		fmt.Fprintf(&b, "\n%s denied.\n", ui.Count(n, "kind of system call or file was", "kinds of system calls and files were"))
	}
	return b.String()
}

// markdown makes any text plain: whatever could be markup, a link or a mention is
// written as a character reference, in which Markdown sees none.
func markdown(s string) string {
	var b strings.Builder
	for _, r := range ui.Clean(s) {
		if r == ' ' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			b.WriteRune(r)
		} else {
			b.WriteString("&#" + strconv.Itoa(int(r)) + ";")
		}
	}
	return b.String()
}
