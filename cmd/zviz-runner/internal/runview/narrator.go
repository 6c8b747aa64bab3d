// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/executor/run"
	"github.com/zviz/run/workflows/plan"
)

// The marks in front of lines. Behind printed, and only there, is what a job printed.
const (
	markPrinted   = "│"
	markJob       = "●"
	markStep      = "▸"
	markSuccess   = "✓"
	markFailure   = "✗"
	markCancelled = "■"
	markSkipped   = "-"
	markWaits     = "…"
	markDenied    = "⊘"
	markNote      = "!"
)

// narrator tells what happens in lines, for people.
type narrator struct {
	jobs
	colors    ui.Colors
	verbose   bool
	quiet     bool
	tally     *tally
	artifacts func() []Artifact

	// say shows a line about a job, or about the run if that is nil. The text is clean;
	// mark is styled, and empty in the summary.
	say func(j *jobState, mark, text string)
	// title is say for the lines at which a job begins and ends.
	title func(j *jobState, mark, text string)
	// named says whether say shows the job's name itself.
	named func() bool
}

func (n *narrator) event(e run.Event) {
	n.tally.event(e)
	switch e.Kind {
	case run.RunStarted:
	case run.RunWaiting:
		n.waits(nil, e)
	case run.JobWaiting: // it is no job beside others before it starts
		n.waits(&jobState{id: e.Job, name: cleanName(cmp.Or(e.Name, e.Job)), number: n.started}, e)
	case run.JobStarted:
		j := n.of(e.Job, e.Name)
		if !n.quiet {
			if n.named() {
				n.title(j, n.colors.Bold(markJob), "started")
			} else {
				n.title(j, n.colors.Bold(markJob), n.colors.Bold(j.name))
			}
		}
	case run.JobStep:
		if e.Step != nil {
			n.step(n.of(e.Job, e.Name), e.Step)
		}
	case run.JobEgress:
		if e.Egress != nil && !n.quiet {
			n.egress(n.of(e.Job, e.Name), e)
		}
	case run.JobFinished:
		n.jobFinished(e)
	case run.RunFinished:
		n.summary(e)
	}
}

// waits says that a job, or the run, waits for other runs.
func (n *narrator) waits(j *jobState, e run.Event) {
	if n.quiet {
		return
	}
	text := "waits " + ui.Clean(e.Why)
	switch {
	case j == nil:
		text = n.colors.Bold(ui.Clean(e.Name)) + " " + text
	case !n.named():
		text = n.colors.Bold(j.name) + " " + text
	}
	n.title(j, n.colors.Yellow(markWaits), text)
}

func (n *narrator) jobFinished(e run.Event) {
	j := n.find(e.Job)
	ran := j != nil
	if !ran {
		// It never started: it is no job beside others.
		j = &jobState{id: e.Job, name: cleanName(cmp.Or(e.Name, e.Job))}
		n.ended++
	} else {
		n.repeats(j, nil)
	}
	if !n.quiet || e.Conclusion == plan.Failure {
		n.title(j, n.mark(string(e.Conclusion)), n.conclusion(j, e, ran))
	}
	if ran {
		n.remove(j)
	}
}

// conclusion is "failure 3.2s: why", behind the job's name if nothing else names it.
func (n *narrator) conclusion(j *jobState, e run.Event, ran bool) string {
	s := ui.Clean(string(e.Conclusion))
	if !n.named() {
		s = n.colors.Bold(j.name) + " " + s
	}
	if ran {
		s += " " + ui.Duration(e.Duration.Milliseconds())
	}
	if e.Why != "" {
		s += ": " + ui.Clean(e.Why)
	}
	return s
}

// marked puts a mark in front of a text, if there are both.
func marked(mark, text string) string {
	if mark == "" || text == "" {
		return mark + text
	}
	return mark + " " + text
}

func (n *narrator) mark(conclusion string) string {
	switch plan.Conclusion(conclusion) {
	case plan.Success:
		return n.colors.Green(markSuccess)
	case plan.Cancelled:
		return n.colors.Yellow(markCancelled)
	case plan.Skipped:
		return markSkipped
	case plan.Failure:
	}
	return n.colors.Red(markFailure)
}

// step shows an event of a job's step.
func (n *narrator) step(j *jobState, e *job.Event) {
	st := j.step(e.Step)
	n.release(j, st, e)
	switch e.Kind {
	case job.Preparing:
		j.prepares = cleanName(e.Text)
	case job.StepStarted:
		if st != nil {
			j.begin(e)
			n.ours(j, st, n.colors.Bold(markStep), n.colors.Bold(st.name))
		}
	case job.Line:
		n.line(j, st, e)
	case job.GroupStarted:
		if st != nil {
			st.group, st.held = true, e
		}
	case job.GroupEnded:
		if st != nil {
			st.group, st.head = false, false
		}
	case job.Annotated:
		if e.Annotation != nil {
			n.annotation(j, st, e.Annotation)
		}
	case job.Summary: // shown at the end
		name := ""
		if st != nil {
			name = st.name
		}
		n.tally.summary(j.name, name, e.Text)
	case job.StepFinished:
		if st != nil && e.Result != nil {
			n.stepFinished(j, st, e)
		}
	}
}

// release shows the title of a group, which was held until it is clear what is in it:
// the head of a step is for those who want more.
func (n *narrator) release(j *jobState, st *stepState, next *job.Event) {
	if st == nil || st.held == nil {
		return
	}
	title := st.held.Text
	st.held = nil
	if next.Kind == job.Line && next.Stream == job.Info && !n.verbose {
		st.head = true
		return
	}
	for _, line := range logLines(title, false) {
		n.printed(j, st, n.colors.Bold("▾ "+line))
	}
}

func (n *narrator) line(j *jobState, st *stepState, e *job.Event) {
	if st != nil && st.head {
		if e.Stream == job.Info {
			return
		}
		st.head, st.group = false, false
	}
	if st != nil {
		st.last.add(e.Text)
	}
	if n.quiet {
		return
	}
	for _, line := range logLines(e.Text, bool(n.colors)) {
		switch e.Stream {
		case job.Debug:
			line = n.colors.Dim("debug: ") + line
		case job.Info:
			line = n.colors.Dim(ui.LogLine(line, false))
		}
		if st != nil && st.group {
			line = "  " + line
		}
		n.printed(j, st, line)
	}
}

// printed shows what a job printed.
func (n *narrator) printed(j *jobState, st *stepState, line string) {
	n.ours(j, st, n.colors.Dim(markPrinted), line)
}

// ours shows a line about a step. If the last header is not that of the step, it names it.
func (n *narrator) ours(j *jobState, st *stepState, mark, text string) {
	if n.quiet {
		return
	}
	if st != nil {
		if st != j.current {
			text = n.colors.Dim(ui.Clip(st.name, 24)+":") + " " + text
		}
		text = strings.Repeat("  ", st.depth) + text
	}
	n.say(j, mark, text)
}

func (n *narrator) annotation(j *jobState, st *stepState, a *job.Annotation) {
	lines := annotationText(a)
	if st != nil && !n.quiet { // who wants errors only sees this one once
		for i, line := range lines {
			if i == 0 {
				line = level(a) + line
			}
			st.last.add(line)
		}
	}
	if n.quiet && level(a) != "error" {
		return
	}
	name := level(a)
	mark := n.colors.Bold(markNote)
	switch name {
	case "error":
		name, mark = n.colors.Red(name), n.colors.Red(markNote)
	case "warning":
		name, mark = n.colors.Yellow(name), n.colors.Yellow(markNote)
	default:
		name = n.colors.Bold(name)
	}
	for i, line := range lines {
		if i == 0 {
			line = name + line
		} else {
			line = "  " + line
		}
		switch {
		case !n.quiet:
			n.ours(j, st, mark, line)
		case n.named():
			n.say(j, mark, line)
		default:
			n.say(j, mark, j.name+": "+line)
		}
	}
}

func (n *narrator) stepFinished(j *jobState, st *stepState, e *job.Event) {
	r := e.Result
	ran := st.running
	if e.Name != "" {
		st.name = cleanName(e.Name)
	}
	n.repeats(j, st)
	text, mark := st.name, n.mark(string(r.Conclusion))
	switch {
	case r.Outcome != r.Conclusion:
		text, mark = text+" "+ui.Clean(string(r.Outcome))+exitCode(r.ExitCode)+", and goes on", n.colors.Yellow(markFailure)
	case r.Conclusion != job.Success:
		text += " " + ui.Clean(string(r.Conclusion)) + exitCode(r.ExitCode)
	}
	if ran {
		text += " " + ui.Duration(r.Duration.Milliseconds())
	}
	j.current = st // the line names it
	n.ours(j, st, mark, text)
	n.tally.stepFinished(j.id, j.name, r, st.last.all())
	j.finish(st)
	st.last, st.denied = ring{}, denials{}
}

func exitCode(n int) string {
	if n == 0 {
		return ""
	}
	return " (exit code " + strconv.Itoa(n) + ")"
}

// egress shows a decision of the network at the step that it belongs to.
func (n *narrator) egress(j *jobState, e run.Event) {
	row, ok := rowOf(*e.Egress)
	if !ok || !shown(row, e.Egress.Hint, n.verbose) {
		return
	}
	st := j.called(e.Egress.Step)
	to := &j.denied
	if st != nil {
		to = &st.denied
	}
	if to.add(row) {
		n.ours(j, st, n.egressMark(row.Verdict), egressLine(row, e.Egress.Hint))
	}
}

func (n *narrator) egressMark(verdict egress.Verdict) string {
	switch verdict {
	case egress.VerdictDeny, egress.VerdictWouldDeny:
		return n.colors.Yellow(markDenied)
	case egress.VerdictAllow, egress.VerdictLearned, egress.VerdictNote:
	}
	return n.colors.Bold(markNote)
}

// repeats says how often came again what was shown once.
func (n *narrator) repeats(j *jobState, st *stepState) {
	of := &j.denied
	if st != nil {
		of = &st.denied
	}
	for _, a := range of.repeated() {
		n.ours(j, st, n.egressMark(a.verdict), a.text)
	}
	*of = denials{}
}
