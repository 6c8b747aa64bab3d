// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strconv"
	"strings"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/internal/attack"
)

// printAttack prints a table by class for each profile, what was not blocked,
// and what was not made.
func (a app) printAttack(rep attackReport) error {
	u := ui.New(ui.Config{In: a.In, Out: a.Out, Err: a.Out, Getenv: a.getenv, Progress: "quiet"})
	defer u.Close()
	for _, p := range rep.Profiles {
		if err := printLine(a.Out, "\n"+u.Bold("Attempts to get out, profile "+p.Profile)); err != nil {
			return err
		}
		if err := ui.Table(a.Out, attackRows(p), func(row, col int, cell string) string {
			switch bad := col > 0 && attack.Ends()[col-1].Bad(); {
			case row == 0:
				return u.Bold(cell)
			case bad && cell != "0":
				return u.Red(cell)
			default:
				return cell
			}
		}); err != nil {
			return err
		}
		for _, at := range p.Attempts {
			line := at.ID + ", " + at.What + ": " + ui.Clean(at.Detail)
			switch at.End {
			case attack.Escaped:
				line = u.Red("escaped:") + " " + line
			case attack.Wrong:
				line = u.Red("wrong:") + " " + line
				if len(at.Want) > 0 {
					line += "; want " + strings.Join(at.Want, " or ")
				}
			case attack.Permitted:
				line = "let through on purpose: " + line
			default:
				continue
			}
			if err := printLine(a.Out, line); err != nil {
				return err
			}
		}
	}
	if err := a.printNotRun(rep); err != nil {
		return err
	}
	return printLine(a.Out, "\n"+verdict(u, rep))
}

// verdict is the last thing that is said.
func verdict(u *ui.UI, rep attackReport) string {
	count := func(end attack.End) (n int) {
		for _, p := range rep.Profiles {
			n += p.Counts[end]
		}
		return n
	}
	switch {
	case count(attack.Escaped) > 0:
		return u.Red("The sandbox does not hold on this machine.") + "\nSECURITY.md of the source says how to tell us; add zviz-runner doctor --attack --json."
	case !rep.OK:
		return u.Red("Nothing escaped, but not everything ended as it should.") + "\nIf you report it, add zviz-runner doctor --attack --json."
	default:
		return "Nothing escaped. That each attempt succeeds without the sandbox is shown by make test,\nin a checkout of the source."
	}
}

// attackRows counts the ends of each class.
func attackRows(p profileReport) [][]string {
	rows := [][]string{{"CLASS", "BLOCKED", "WORKS", "LET THROUGH", "ESCAPED", "WRONG", "NOT RUN"}}
	row := func(name string, counts map[attack.End]int) {
		cells := []string{name}
		for _, end := range attack.Ends() {
			cells = append(cells, strconv.Itoa(counts[end]))
		}
		rows = append(rows, cells)
	}
	for _, class := range attack.Classes() {
		counts := map[attack.End]int{}
		for _, at := range p.Attempts {
			if at.Class == class {
				counts[at.End]++
			}
		}
		if len(counts) > 0 {
			row(class, counts)
		}
	}
	row("all", p.Counts)
	return rows
}

// printNotRun prints each reason once, with its attempts.
func (a app) printNotRun(rep attackReport) error {
	var reasons []string
	ids := map[string][]string{}
	seen := map[string]bool{}
	for _, p := range rep.Profiles {
		for _, at := range p.Attempts {
			key := at.ID + " " + at.Detail // most are not made for the same reason under each profile
			if at.End != attack.NotRun || seen[key] {
				continue
			}
			seen[key] = true
			if ids[at.Detail] == nil {
				reasons = append(reasons, at.Detail)
			}
			ids[at.Detail] = append(ids[at.Detail], at.ID)
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString("\nNot run:\n")
	for _, why := range reasons {
		b.WriteString("  " + ui.Clean(why) + "\n")
		for _, line := range wrapped(ids[why]) {
			b.WriteString("    " + line + "\n")
		}
	}
	return printLine(a.Out, strings.TrimRight(b.String(), "\n"))
}

// wrapped joins words to lines that fit next to a margin.
func wrapped(words []string) (lines []string) {
	const width = 76
	for _, w := range words {
		if last := len(lines) - 1; last >= 0 && len(lines[last])+1+len(w) <= width {
			lines[last] += " " + w
		} else {
			lines = append(lines, w)
		}
	}
	return lines
}
