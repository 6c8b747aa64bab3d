// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"io"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/workflows/plan"
)

// runSchema names the form of the report of a run. Fields are added, never renamed.
const runSchema = "zviz.run/run/v1"

// runReport is what --report of run writes: the report of each job that ran, and what
// became of the others.
type runReport struct {
	Schema     string           `json:"schema"`
	Conclusion plan.Conclusion  `json:"conclusion"`
	Workflows  []workflowReport `json:"workflows"`
}

type workflowReport struct {
	File       string          `json:"file"`
	Conclusion plan.Conclusion `json:"conclusion"`
	Jobs       []jobReport     `json:"jobs"`
}

type jobReport struct {
	ID         string           `json:"id"`
	Name       string           `json:"name"`
	Conclusion plan.Conclusion  `json:"conclusion"` // the outcome: a tolerated failure is one
	Tolerated  bool             `json:"tolerated,omitempty"`
	Why        string           `json:"why,omitempty"`    // why it did not run, or was cancelled
	Report     *executor.Report `json:"report,omitempty"` // of one that ran
}

// maxRunReport bounds the report of a run that is read, bytes: those of its jobs are
// bounded themselves.
const maxRunReport = 1 << 30

// jobReports are the reports of the jobs in a run's report, as they are stored; with a
// job its own only. It is false for what is no report of a run.
func jobReports(text []byte, job string) (list [][]byte, ok bool) {
	var r struct {
		Schema    string `json:"schema"`
		Workflows []struct {
			Jobs []struct {
				ID     string          `json:"id"`
				Report json.RawMessage `json:"report"`
			} `json:"jobs"`
		} `json:"workflows"`
	}
	if json.Unmarshal(text, &r) != nil || r.Schema != runSchema {
		return nil, false
	}
	for _, w := range r.Workflows {
		for _, j := range w.Jobs {
			if len(j.Report) > 0 && (job == "" || j.ID == job) {
				list = append(list, j.Report)
			}
		}
	}
	return list, true
}

// whole is the conclusion of several runs: the worst.
func whole(list []workflowReport) plan.Conclusion {
	out := plan.Skipped
	for _, w := range list {
		switch {
		case w.Conclusion == plan.Failure || out == plan.Failure:
			out = plan.Failure
		case w.Conclusion == plan.Cancelled || out == plan.Cancelled:
			out = plan.Cancelled
		case w.Conclusion == plan.Success:
			out = plan.Success
		}
	}
	return out
}

// store writes the report.
func (r *running) store(list []runnable) error {
	if r.reports == nil {
		return nil
	}
	rep := runReport{Schema: runSchema, Workflows: []workflowReport{}}
	for i, res := range r.results {
		w := workflowReport{File: list[i].path, Conclusion: res.Conclusion, Jobs: []jobReport{}}
		for _, j := range res.Jobs {
			w.Jobs = append(w.Jobs, jobReport{ID: j.ID, Name: j.Name, Conclusion: j.Conclusion, Tolerated: j.Tolerated, Why: j.Why, Report: j.Report})
		}
		rep.Workflows = append(rep.Workflows, w)
	}
	rep.Conclusion = whole(rep.Workflows)
	if err := r.reports.put(func(w io.Writer) error { return ui.WriteJSON(w, rep, "  ") }); err != nil {
		return failure{Code: "report.unwritable", What: badValue("--report", r.report, cause(err)), Fix: hint(err), Exit: exitOurs, err: err}
	}
	return nil
}
