// SPDX-License-Identifier: Apache-2.0

package page

import (
	"path"
	"strconv"
	"strings"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
)

// cell is a text of a table and the class that it is shown by.
type cell struct{ text, class string }

// table writes a table, without the columns that are empty, or nothing if there are
// no rows.
func (w *writer) table(head []string, n int, row func(i int) []cell) {
	if n == 0 {
		return
	}
	used, class := make([]bool, len(head)), make([]string, len(head))
	for i := range min(n, rowsMost) {
		for x, c := range row(i) {
			used[x] = used[x] || c.text != ""
			class[x] = c.class
		}
	}
	w.in("div", []string{"class", "scroll"}, func() {
		w.in("table", nil, func() {
			w.in("thead", nil, func() {
				w.in("tr", nil, func() {
					for x, h := range head {
						if used[x] {
							w.text("th", h, "class", class[x])
						}
					}
				})
			})
			w.in("tbody", nil, func() {
				for i := range min(n, rowsMost) {
					w.in("tr", nil, func() {
						for x, c := range row(i) {
							if used[x] {
								w.text("td", c.text, "class", c.class)
							}
						}
					})
				}
			})
		})
	})
	if n > rowsMost {
		w.text("p", "And "+strconv.Itoa(n-rowsMost)+" more; the report has all of them.", "class", "soft")
	}
}

func (w *writer) network(r executor.Report) {
	w.text("h2", "Who talked to whom")
	if len(r.Egress.Events) == 0 {
		w.text("p", "Nobody asked for anything.", "class", "soft")
		return
	}
	w.in("p", []string{"class", "legend"}, func() {
		w.text("span", "✓ ── let through", "class", "allow")
		w.text("span", "✗ ╌╌ denied", "class", "deny")
		w.text("span", "◐ both", "class", "both")
	})
	w.in("div", []string{"class", "scroll"}, func() { w.picture(newGraph(r)) })
	rows := r.Egress.Summary
	w.text("h2", "Decisions by host")
	w.table([]string{"Decision", "Host", "Why", "Times", "Sent", "Received", "Steps", "First asked by", "Packages", "To allow it"}, len(rows), func(i int) []cell {
		s := rows[i]
		return []cell{
			verdict(s.Verdict, s.Expected),
			{hostPort(s), "code host"},
			{s.Reason, "key"},
			number(s.Count),
			{ui.Amount(s.Up), "number"},
			{ui.Amount(s.Down), "number"},
			{strings.Join(s.Steps, ", "), ""},
			{process(s.First), ""},
			{wanted(s.Wanted), ""},
			{fix(s), "code"},
		}
	})
	w.open("details")
	w.text("summary", "Each of the "+strconv.Itoa(len(r.Egress.Events))+" decisions")
	events := r.Egress.Events
	w.table([]string{"Time", "Decision", "Door", "Host", "Request", "Rule, why", "Step", "Process chain", "Package", "Sent", "Received"}, len(events), func(i int) []cell {
		e := events[i]
		return []cell{
			{e.Time.UTC().Format("15:04:05.000"), "key"},
			verdict(e.Verdict, e.Expected),
			{string(e.Door), "key"},
			{joined(":", e.Host, port(e.Port)), "code host"},
			{joined(" ", e.Method, e.QType, e.Path), "code host"},
			{joined(", ", e.Rule, e.Reason), ""},
			{e.Step, ""},
			{strings.Join(e.Chain, " → "), ""},
			{packageText(e.Package), ""},
			{ui.Amount(e.Up), "number"},
			{ui.Amount(e.Down), "number"},
		}
	})
	w.close("details")
}

func (w *writer) rest(r executor.Report) {
	if len(r.Steps) > 0 {
		w.text("h2", "Steps")
		w.table([]string{"Step", "Conclusion", "Outcome", "Exit code", "Duration"}, len(r.Steps), func(i int) []cell {
			s := r.Steps[i]
			outcome := ""
			if s.Outcome != s.Conclusion {
				outcome = string(s.Outcome)
			}
			return []cell{{s.Name, ""}, {string(s.Conclusion), "key"}, {outcome, "key"}, {strconv.Itoa(s.ExitCode), "number"}, {ui.Duration(s.DurationMS), "number"}}
		})
	}
	if len(r.Packages) > 0 {
		w.text("h2", "Packages")
		w.table([]string{"From", "Name", "Version", "How", "Digest"}, len(r.Packages), func(i int) []cell {
			p := r.Packages[i]
			return []cell{{p.Ecosystem, "key"}, {p.Name, "code"}, {p.Version, "code"}, {p.How(), ""}, {p.Digest, "code"}}
		})
	}
	if len(r.Denials) > 0 {
		w.text("h2", "Denied system calls and files")
		w.table([]string{"What", "Error", "Times", "Process", "Step", "Why"}, len(r.Denials), func(i int) []cell {
			d := r.Denials[i]
			why := d.Rule
			if d.Claimed {
				why = joined(", ", why, "as the command says")
			}
			who := ""
			if d.PID != 0 {
				who = process(egress.Process{PID: d.PID, Exe: d.Exe})
			}
			return []cell{{joined("", d.Syscall, d.Path), "code"}, {d.Errno, "key"}, number(d.Count), {who, ""}, {d.Step, ""}, {why, ""}}
		})
	}
	if len(r.Changed) > 0 {
		w.text("h2", "Changed files")
		w.table([]string{"", "Path", "Size", "Why it matters"}, len(r.Changed), func(i int) []cell {
			c := r.Changed[i]
			return []cell{{c.Op, "key"}, {c.Path, "code"}, {ui.Amount(c.Size), "number"}, {joined("; ", c.Note, c.Fix), ""}}
		})
	}
	w.text("h2", "Layers")
	w.table([]string{"Layer", "State", "Detail"}, len(r.Layers), func(i int) []cell {
		l := r.Layers[i]
		class := "allow key"
		mark := "✓ "
		if l.State != "applied" {
			class, mark = "both key", "◌ "
		}
		return []cell{{string(l.Name), "key"}, {mark + strings.ReplaceAll(string(l.State), "_", " "), class}, {l.Detail, ""}}
	})
}

func verdict(v egress.Verdict, expected bool) cell {
	text := strings.ReplaceAll(string(v), "-", " ")
	switch {
	case v == egress.VerdictDeny && expected:
		return cell{"✗ denied, expected", "deny key"}
	case v == egress.VerdictDeny:
		return cell{"✗ denied", "deny key"}
	case v == egress.VerdictAllow:
		return cell{"✓ allowed", "allow key"}
	default:
		return cell{"◐ " + text, "both key"}
	}
}

// fix is what allows a host, but not one whose name carries something out.
func fix(s egress.Summary) string {
	if egress.CarriesData(s.Host) {
		return "the name itself carries data"
	}
	return s.Fix
}

func number(n int) cell { return cell{strconv.Itoa(n), "number"} }

func port(n uint16) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(int(n))
}

func hostPort(s egress.Summary) string {
	if strings.HasSuffix(s.Host, ":"+port(s.Port)) {
		return s.Host
	}
	return joined(":", s.Host, port(s.Port))
}

// joined joins the parts that are not empty.
func joined(sep string, parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, sep)
}

func process(p egress.Process) string {
	if p.PID == 0 {
		return "unknown"
	}
	return path.Base(p.Exe) + ", pid " + strconv.Itoa(p.PID)
}

func wanted(list []egress.Wanted) string {
	var out []string
	for _, w := range list {
		out = append(out, packageText(w.Package))
	}
	return strings.Join(out, "; ")
}

// packageText is the package that a process works for, or that it asked for.
func packageText(p egress.Package) string {
	if p == (egress.Package{}) {
		return ""
	}
	if p.PkgBy == "" {
		return p.Pkg + " (asked for)"
	}
	return joined(" ", p.Pkg, p.Script) + " (" + string(p.PkgBy) + ")"
}
