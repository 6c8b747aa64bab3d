// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/cmd/zviz-runner/internal/decision"
	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/sandbox"
)

// maxRows bounds each list of the summary: the job decides how long they are,
// and the report has all of it.
const maxRows = 10

// summarize says at the end what the operator should know: nothing if all was
// fine. Whatever a job can influence is cleaned. The error is that of a policy that was
// learned and is lost.
func (e *execution) summarize(r executor.Report) error {
	e.limit(r)
	e.denied(r.Egress.Summary, egress.VerdictDeny, "denied")
	e.denied(r.Egress.Summary, egress.VerdictWouldDeny, "let through, but would have denied")
	e.allowFix(r)
	e.hid(r.Egress.Events)
	err := e.teach(r)
	e.systemCalls(r.Denials)
	e.changed(r.Changed)
	if why := r.Leftovers.Incomplete; why != "" {
		e.ui.Notef("not all of what the command left was looked at: %s", e.mask(ui.Clean(why)))
	}
	if e.verbose {
		e.details(r)
	}
	return err
}

// teach prints the policy that a run with --egress learn has learned.
func (e *execution) teach(r executor.Report) error {
	to := e.lesson
	if !e.learns || r.Cause == sandbox.CauseNotStarted {
		return nil
	}
	if to == nil {
		if e.quiet || e.json {
			return nil
		}
		e.ui.Notef("the smallest policy for it:")
		to = e.ui.Err()
	}
	return lesson(to, e.args, egress.Learn(r.Egress.Events), e.mask)
}

// limit names what ended the command, if it was not the command.
func (e *execution) limit(r executor.Report) {
	switch r.Cause {
	case sandbox.CauseTimeout:
		after := r.Limits.WallMS // its clock runs from before the command's start
		if after == 0 {
			after = r.Usage.WallMS
		}
		e.ui.Notef("ended by the time limit after %s", ui.Duration(after))
		e.ui.Fixf("if it needs longer: --timeout TIME, or limits.timeout of the policy file")
	case sandbox.CauseOOM:
		if r.ExitCode == exitSignal+9 || r.Usage.OOMKills == 0 {
			e.memory("killed by the memory limit"+memoryLimit(r), r)
		}
	case sandbox.CauseDisk:
		e.ui.Notef("ended because the disk was almost full: of the workspace, or of the state folder, where home and /tmp are")
		e.ui.Fixf("free space there, or name another disk: -C DIR for the one, ZVIZ_STATE_DIR for the other")
	case sandbox.CauseCancelled:
		if s := r.ExitCode - exitSignal; s > 0 {
			e.ui.Notef("interrupted")
		}
	default: // the command's own doing
	}
	if n := r.Usage.OOMKills; n > 0 && (r.Cause != sandbox.CauseOOM || r.ExitCode != exitSignal+9) {
		e.memory("the memory limit"+memoryLimit(r)+" killed "+ui.Count(n, "process", "processes"), r) // and the command lived on
	}
	if n := r.Usage.PidsDenied; n > 0 {
		of := ""
		if r.Limits.Pids > 0 {
			of = " of " + strconv.Itoa(r.Limits.Pids)
		}
		e.ui.Notef("%s failed at the limit of processes%s%s", ui.Count(n, "fork", "forks"), of, peak(r.Usage.PidsPeak))
		e.ui.Fixf("if it needs more: --pids N, or limits.pids of the policy file")
	}
	switch r.Limits.Reached {
	case "open_files":
		e.ui.Notef("its last words name the limit of open files: %d for each process", r.Limits.OpenFiles)
		e.ui.Fixf("if it needs more: limits.open_files of the policy file")
	case "space":
		e.ui.Notef("its last words name a full file system: /dev/shm holds half of the memory limit of %s, all else is the disk", ui.Amount(r.Limits.MemoryBytes))
		e.ui.Fixf("if it needs more there: --memory SIZE; else free space on the disk")
	}
}

// memoryLimit is " of 64 MiB".
func memoryLimit(r executor.Report) string {
	if r.Limits.MemoryBytes == 0 {
		return ""
	}
	return " of " + ui.Amount(r.Limits.MemoryBytes)
}

func (e *execution) memory(what string, r executor.Report) {
	if r.Usage.MemoryPeakBytes > 0 {
		what += " at " + ui.Amount(r.Usage.MemoryPeakBytes)
	}
	e.ui.Notef("%s", what)
	e.ui.Fixf("if it needs more: --memory SIZE, or limits.memory of the policy file")
}

func peak(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d at most at one time)", n)
}

// kind is a group of rows that read alike.
type kind struct{ one, many string }

func kindOf(d egress.Door) kind {
	switch d {
	case egress.DoorDNS:
		return kind{"name", "names"}
	case egress.DoorUDP, egress.DoorICMP:
		return kind{"packet", "packets"}
	case egress.DoorHTTP:
		return kind{"request", "requests"}
	default:
		return kind{"connection", "connections"}
	}
}

// denied prints the rows with a verdict, grouped.
func (e *execution) denied(rows []egress.Summary, verdict egress.Verdict, verb string) {
	for _, k := range []kind{kindOf(egress.DoorTLS), kindOf(egress.DoorHTTP), kindOf(egress.DoorDNS), kindOf(egress.DoorUDP)} {
		total := 0
		var lines []string
		for _, row := range rows {
			if row.Verdict == verdict && !row.Expected && kindOf(row.Door) == k {
				if row.Door == egress.DoorDNS {
					total++ // a name is asked for twice, for each kind of address
				} else {
					total += row.Count
				}
				lines = append(lines, e.mask(decision.Row(row)))
			}
		}
		if total > 0 {
			e.list(verb+" "+ui.Count(total, k.one, k.many), lines)
		}
	}
}

// hid says which versions of packages the job was not shown: what asked for one hears of
// it as if it did not exist.
func (e *execution) hid(events []egress.Event) {
	var rows []string
	aged := false
	seen := map[string]bool{} // a package manager may ask again
	for _, ev := range events {
		p := ev.Fetched
		if p == nil || len(p.Hidden) == 0 || seen[p.Ecosystem+" "+p.Name] {
			continue
		}
		seen[p.Ecosystem+" "+p.Name] = true
		aged = aged || ev.Reason == registry.ReasonAge
		newest := p.Hidden[len(p.Hidden)-1]
		switch n := len(p.Hidden); {
		case n == egress.HiddenMost:
			newest += " and older ones"
		case n > 1:
			newest += fmt.Sprintf(" and %d older", n-1)
		}
		rows = append(rows, e.mask(ui.Clean(p.Name+" "+newest+" ("+ev.Reason+")")))
	}
	if len(rows) == 0 {
		return
	}
	e.list("hid versions of "+ui.Count(len(rows), "package", "packages"), rows)
	if aged {
		e.ui.Fixf("if one is wanted: exclude of egress.npm or egress.packages in the policy file, or a shorter min_release_age")
	}
}

// list prints one item on the line itself, more of them below it.
func (e *execution) list(what string, items []string) {
	if len(items) == 1 {
		e.ui.Notef("%s: %s", what, items[0])
		return
	}
	e.ui.Notef("%s:", what)
	for i, item := range items {
		if i == maxRows {
			e.line("  and %d more; all of them: --report FILE", len(items)-i)
			return
		}
		e.line("  %s", item)
	}
}

func (e *execution) line(format string, args ...any) {
	if !e.quiet && !e.json {
		fmt.Fprintf(e.ui.Err(), format+"\n", args...)
	}
}

// allowFix prints the command that would allow what was denied.
func (e *execution) allowFix(r executor.Report) {
	if e.noNetwork {
		return
	}
	hosts := decision.Allowable(r.Egress.Summary)
	if len(hosts) == 0 || len(hosts) > maxRows {
		return
	}
	e.ui.Fixf("if this is wanted: %s", e.mask(ui.CleanLine(
		"zviz-runner exec --allow "+strings.Join(append(e.allowed(), hosts...), ",")+" -- "+quoteCommand(e.args))))
}

// allowed returns what --allow must repeat so that the next run allows no less.
func (e *execution) allowed() []string {
	if e.origin["allow"] != "" {
		return splitList(e.allow)
	}
	if e.guessed != "" {
		return []string{e.guessed}
	}
	return nil
}

func (e *execution) systemCalls(denials []executor.ReportDenial) {
	var calls, files, fixes []string
	callCount, fileCount := 0, 0
	for _, d := range denials {
		by := ""
		if d.PID != 0 {
			by = " (" + decision.Process(d.Exe, d.PID) + ")"
		}
		if d.Syscall != "" {
			callCount += d.Count
			calls = append(calls, e.mask(ui.Clean(d.Syscall)+by+ui.Times(d.Count)))
		} else {
			fileCount += d.Count
			rule := ""
			if d.Rule != "" {
				rule = " (" + ui.Clean(d.Rule) + ")"
			}
			files = append(files, e.mask(ui.Clean(d.Path)+rule+by+ui.Times(d.Count)))
			if d.Fix != "" {
				fixes = append(fixes, e.mask(ui.CleanLine(d.Fix)))
			}
		}
	}
	if callCount > 0 {
		e.list("denied "+ui.Count(callCount, "system call", "system calls"), calls)
	}
	if fileCount > 0 {
		e.list("denied "+ui.Count(fileCount, "file", "files"), files)
		for _, f := range fixes {
			e.ui.Fixf("if this is wanted: %s", f)
		}
	}
}

// changed lists what other tools of this machine may run later; with --diff,
// everything that changed.
func (e *execution) changed(changes []executor.Change) {
	if e.diff {
		for _, c := range changes {
			e.line("%s %s %d", ui.Clean(c.Op), e.mask(ui.Clean(c.Path)), c.Size)
		}
	}
	if e.diff || e.ephemeral {
		return // thrown away: nothing can run it
	}
	var rows, fixes []string
	for _, c := range changes {
		if c.Fix != "" && !slices.Contains(fixes, c.Fix) {
			fixes = append(fixes, c.Fix)
		}
		if c.Note != "" {
			rows = append(rows, e.mask(fmt.Sprintf("%s %s (%s)", ui.Clean(c.Op), ui.Clean(c.Path), ui.Clean(c.Note))))
		}
	}
	if len(rows) > 0 {
		e.list("changed "+ui.Count(len(rows), "file", "files")+" that tools outside of the sandbox may run", rows)
	}
	for _, f := range fixes {
		e.ui.Fixf("%s", ui.CleanLine(f))
	}
}

// details is what -v adds.
func (e *execution) details(r executor.Report) {
	for _, l := range r.Layers {
		detail := ""
		if l.Detail != "" {
			detail = ": " + ui.Clean(l.Detail)
		}
		e.ui.Notef("layer %s %s%s", l.Name, strings.ReplaceAll(string(l.State), "_", " "), detail)
	}
	for _, row := range r.Egress.Summary {
		if row.Verdict == egress.VerdictAllow {
			e.ui.Notef("allowed %s up %s down %s", e.mask(decision.Row(row)), ui.Amount(row.Up), ui.Amount(row.Down))
		}
	}
	u := r.Usage
	line := fmt.Sprintf("took %s, processor %s user and %s system", ui.Duration(u.WallMS), ui.Duration(u.UserMS), ui.Duration(u.SysMS))
	if u.MemoryPeakBytes > 0 {
		line += ", memory " + ui.Amount(u.MemoryPeakBytes)
	}
	if u.PidsPeak > 0 {
		line += ", " + ui.Count(u.PidsPeak, "process", "processes")
	}
	e.ui.Notef("%s", line)
}

// deniedCount returns how many requests were denied that nobody expects.
func deniedCount(rows []egress.Summary) int {
	n := 0
	for _, r := range rows {
		if r.Verdict == egress.VerdictDeny && !r.Expected {
			n += r.Count
		}
	}
	return n
}
