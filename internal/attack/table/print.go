// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/zviz/run/internal/attack"
)

// counts are numbers of ends.
type counts map[attack.End]int

// line is a line of the table, in the order of attack.Ends.
func (n counts) line(name string) string {
	sum := 0
	for _, c := range n {
		sum += c
	}
	var line strings.Builder
	fmt.Fprintf(&line, "| %s | %d |", name, sum)
	for _, end := range attack.Ends() {
		fmt.Fprintf(&line, " %d |", n[end])
	}
	return line.String()
}

// print prints a table by class, then what went wrong, what is not run and what
// ends otherwise than the published table says.
func (t table) print(out io.Writer, verbose bool) {
	fmt.Fprintf(out, "%s\n\n", t.box.name)
	fmt.Fprintln(out, "| class | rows | blocked | works | let through | escaped | wrong | not run |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|---|")
	all, own, attempts := counts{}, counts{}, counts{}
	for _, class := range attack.Classes() {
		n := counts{}
		for _, r := range t.rows {
			switch {
			case r.Class != class:
			case r.published():
				n[r.End]++
				all[r.End]++
			default:
				own[r.End]++
			}
		}
		if len(n) > 0 {
			fmt.Fprintln(out, n.line(class))
		}
	}
	for _, r := range t.rows {
		for _, a := range r.Attempts {
			attempts[a.End]++
		}
	}
	fmt.Fprintln(out, all.line("all rows of the published table"))
	fmt.Fprintln(out, own.line("rows of our own, and what builds need"))
	fmt.Fprintf(out, "%s\n\n", attempts.line("attempts of all these"))

	for _, end := range []attack.End{attack.Escaped, attack.Wrong} {
		for _, r := range t.rows {
			for _, a := range r.ends() {
				if a.End == end {
					fmt.Fprintf(out, "%s: %s, %s: %s\n", end, a.ID, a.What, a.Why)
				}
			}
		}
	}
	for _, failure := range t.failures {
		fmt.Fprintf(out, "failed: %s\n", failure)
	}
	t.printNotRun(out)
	t.printOverrides(out)
	if verbose {
		for _, r := range t.rows {
			for _, a := range r.ends() {
				fmt.Fprintf(out, "%-16s %-8s %-40s %s\n", a.ID, a.End, a.Why, a.What)
			}
		}
	}
	fmt.Fprintln(out)
}

// ends are the attempts of a row, or the row if it has none.
func (r tableRow) ends() []row {
	if len(r.Attempts) > 0 {
		return r.Attempts
	}
	return []row{{ID: r.ID, What: r.What, End: r.End, Why: r.Why}}
}

// printNotRun prints the rows that are not run, and attempts of others that are not.
func (t table) printNotRun(out io.Writer) {
	var rows, parts grouped
	for _, r := range t.rows {
		if r.End == attack.NotRun {
			rows.add(r.Why, r.ID)
			continue
		}
		for _, a := range r.Attempts {
			if a.End == attack.NotRun {
				parts.add(a.Why, a.ID)
			}
		}
	}
	rows.print(out, "not run")
	parts.print(out, "not run of a row that is")
}

func (t table) printOverrides(out io.Writer) {
	var all grouped
	for _, r := range t.rows {
		for _, o := range r.Overrides {
			all.add(o.Got+": "+o.Why, o.ID)
		}
	}
	all.print(out, "override")
	var users grouped
	for _, r := range t.rows {
		for _, d := range r.Differences {
			users.add(d.Got+": "+d.Why, d.ID)
		}
	}
	users.print(out, "ordinary user")
}

// grouped are identifiers by reason, in order.
type grouped struct {
	reasons []string
	ids     map[string][]string
}

func (g *grouped) add(reason, id string) {
	if g.ids == nil {
		g.ids = map[string][]string{}
	}
	if g.ids[reason] == nil {
		g.reasons = append(g.reasons, reason)
	}
	g.ids[reason] = append(g.ids[reason], id)
}

func (g *grouped) print(out io.Writer, what string) {
	for _, reason := range g.reasons {
		fmt.Fprintf(out, "%s: %s: %s\n", what, strings.Join(g.ids[reason], " "), reason)
	}
}

// json prints one object a row.
func (t table) json(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	for _, r := range t.rows {
		if err := e.Encode(r); err != nil {
			return err
		}
	}
	for _, failure := range t.failures {
		if err := e.Encode(map[string]string{"sandbox": t.box.name, "failed": failure}); err != nil {
			return err
		}
	}
	return nil
}

// printJSON prints one object an attempt in another sandbox.
func printJSON(out io.Writer, b box, rows []row) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	for _, r := range rows {
		if err := e.Encode(struct {
			Sandbox string `json:"sandbox"`
			row
		}{b.name, r}); err != nil {
			return err
		}
	}
	return nil
}

// printAttempts prints, by class, the attempts that need no place of their own:
// what can be compared with other sandboxes.
func printAttempts(out io.Writer, b box, rows []row, verbose bool) {
	fmt.Fprintf(out, "%s: attempts that need no place of their own\n\n", b.name)
	fmt.Fprintln(out, "| class | attempts | blocked | works | let through | escaped | wrong | not run |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|---|")
	all := counts{}
	for _, class := range attack.Classes() {
		n := counts{}
		for _, r := range rows {
			if attack.Class(r.ID) != class {
				continue
			}
			end := r.End
			if r.ID == "fs-06" && end == attack.Works {
				end = attack.Blocked // it is no need of builds; what counts is that the host has no such file
			}
			n[end]++
			all[end]++
		}
		if len(n) > 0 {
			fmt.Fprintln(out, n.line(class))
		}
	}
	fmt.Fprintf(out, "%s\n\n", all.line("all"))
	var missing grouped
	for _, end := range []attack.End{attack.Escaped, attack.Wrong} {
		for _, r := range rows {
			if r.End == end {
				fmt.Fprintf(out, "%s: %s, %s: %s\n", end, r.ID, r.What, r.Why)
			}
		}
	}
	for _, r := range rows {
		if r.End == attack.NotRun {
			missing.add(r.Why, r.ID)
		}
	}
	missing.print(out, "not run")
	if verbose {
		for _, r := range rows {
			fmt.Fprintf(out, "%-16s %-40s %s\n", r.ID, r.Why, r.What)
		}
	}
	fmt.Fprintln(out)
}
