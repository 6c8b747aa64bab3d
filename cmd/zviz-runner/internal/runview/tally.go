// SPDX-License-Identifier: Apache-2.0

package runview

import (
	"slices"
	"strings"

	"github.com/zviz/run/cmd/zviz-runner/internal/decision"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/executor/run"
)

// What is kept for the end of a run. Jobs decide how much there is of it.
const (
	mostFailed      = 20        // steps whose last lines are shown
	mostAnnotations = 10        // errors with a place
	mostRows        = 1000      // different refusals in a run
	mostSummary     = 256 << 10 // bytes of step summaries
)

// tally is what the end of a run is told from.
type tally struct {
	jobs        []run.Event // JobFinished
	failed      []failedStep
	moreFailed  int
	annotations map[string]int
	errors      []string // annotations with a place, clean
	rows        []deniedRow
	index       map[rowKey]int
	moreRows    int
	summaries   []stepSummary
	summaryLen  int
	moreSummary int // bytes
	lost        int // decisions of the network that nobody took
}

type failedStep struct {
	job, jobName string // the name is clean
	result       job.StepResult
	last         []string // not clean
}

type deniedRow struct {
	job, jobName string
	row          egress.Summary
}

type rowKey struct {
	job string
	denialKey
}

// stepSummary is what a step wrote to GITHUB_STEP_SUMMARY.
type stepSummary struct{ jobName, step, text string }

func newTally() *tally { return &tally{annotations: map[string]int{}, index: map[rowKey]int{}} }

func (t *tally) event(e run.Event) {
	switch {
	case e.Kind == run.JobFinished:
		t.jobs = append(t.jobs, e)
	case e.Egress != nil:
		t.egress(e)
	case e.Step == nil:
	case e.Step.Kind == job.Annotated && e.Step.Annotation != nil:
		t.annotation(e.Step.Annotation)
	}
}

func (t *tally) annotation(a *job.Annotation) {
	t.annotations[level(a)]++
	if level(a) == "error" && a.File != "" && len(t.errors) < mostAnnotations {
		t.errors = append(t.errors, strings.TrimSpace(annotationText(a)[0]))
	}
}

func (t *tally) egress(e run.Event) {
	row, ok := rowOf(*e.Egress)
	if !ok || row.Expected || row.Verdict != egress.VerdictDeny && row.Verdict != egress.VerdictWouldDeny {
		return
	}
	k := rowKey{e.Job, denialKey{decision.Host(row), row.Door, row.Verdict, row.Reason}}
	if i, ok := t.index[k]; ok {
		t.rows[i].row.Count += row.Count
		return
	}
	if len(t.rows) == mostRows {
		t.moreRows++
		return
	}
	t.index[k] = len(t.rows)
	t.rows = append(t.rows, deniedRow{e.Job, cleanName(e.Name), row})
}

// stepFinished keeps the last lines of a step that failed. Of an action it is the step
// in it.
func (t *tally) stepFinished(jobID, jobName string, r *job.StepResult, last []string) {
	if r.Conclusion != job.Failure {
		return
	}
	if slices.ContainsFunc(t.failed, func(f failedStep) bool {
		return f.job == jobID && strings.HasPrefix(f.result.ID, r.ID+"/")
	}) {
		return
	}
	if len(t.failed) == mostFailed {
		t.moreFailed++
		return
	}
	t.failed = append(t.failed, failedStep{jobID, jobName, *r, last})
}

// summary keeps what a step wrote for people, as far as there is room. The names are clean.
func (t *tally) summary(jobName, step, text string) {
	if room := mostSummary - t.summaryLen; len(text) > room {
		t.moreSummary += len(text) - room
		text = strings.ToValidUTF8(text[:room], "")
	}
	if text == "" {
		return
	}
	t.summaryLen += len(text)
	t.summaries = append(t.summaries, stepSummary{jobName, step, text})
}
