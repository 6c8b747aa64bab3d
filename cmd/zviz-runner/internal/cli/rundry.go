// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/executor/run"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/plan"
)

// dryJob is a job as dry-run shows it.
type dryJob struct {
	ID    string    `json:"id"`
	Name  string    `json:"name"`
	Needs []string  `json:"needs"`
	Cells []string  `json:"cells,omitempty"` // their names, if they are known before the run
	Uses  string    `json:"uses,omitempty"`  // the workflow that it calls
	Steps []dryStep `json:"steps,omitempty"`
	Jobs  []dryJob  `json:"jobs,omitempty"` // of the called workflow
}

type dryStep struct {
	ID    string   `json:"id"`
	Name  string   `json:"name"`
	Uses  string   `json:"uses,omitempty"`
	Allow []string `json:"allow"` // presets and hosts that it may reach
}

// dryRun prints the jobs, their steps, and what each step may reach. Conditions are not
// evaluated.
func (a app) dryRun(w runnable, p *plan.Plan, o *runOptions) error {
	list := dryJobs(p.Graph(), w.Workflow.Jobs, w.Request)
	if o.json {
		return writeJSON(a.Out, struct {
			File string   `json:"file"`
			Jobs []dryJob `json:"jobs"`
		}{w.path, list})
	}
	return a.printDry(list, "")
}

func dryJobs(nodes []plan.Node, jobs []*workflows.Job, q run.Request) []dryJob {
	out := []dryJob{}
	for i, n := range nodes {
		j := dryJob{ID: n.ID, Name: n.Name, Needs: orEmpty(n.Needs), Cells: n.Cells, Uses: n.Uses}
		if i < len(jobs) {
			j.Steps = drySteps(jobs[i].Steps, q)
			if len(n.Jobs) > 0 {
				j.Jobs = dryJobs(n.Jobs, jobs[i].Call.Jobs, q)
			}
		}
		out = append(out, j)
	}
	return out
}

func drySteps(steps []*workflows.Step, q run.Request) []dryStep {
	var out []dryStep
	for _, s := range steps {
		if s.Kind == workflows.ParallelStep {
			out = append(out, drySteps(s.Parallel, q)...)
			continue
		}
		d := dryStep{ID: s.ID, Name: stepName(s), Allow: []string{}}
		if s.Uses != nil {
			d.Uses = s.Uses.Text
		}
		switch {
		case q.Policy.NoNetwork:
		case q.Guess && s.Run != nil:
			d.Allow = append(d.Allow, run.ToolsOf(run.Template(s.Run))...)
		case !q.Guess:
			d.Allow = append(d.Allow, q.Presets...)
			for _, r := range q.Policy.Egress.Rules {
				d.Allow = append(d.Allow, r.String())
			}
		}
		out = append(out, d)
	}
	return out
}

// stepName is the name of a step as it is written.
func stepName(s *workflows.Step) string {
	switch {
	case s.Name != nil:
		return s.Name.AsWritten()
	case s.Uses != nil:
		return "Run " + s.Uses.Text
	case s.Run != nil:
		first, _, _ := strings.Cut(strings.TrimSpace(s.Run.AsWritten()), "\n")
		return "Run " + first
	default:
		return string(s.Kind)
	}
}

func (a app) printDry(list []dryJob, indent string) error {
	for _, j := range list {
		head := indent + j.ID
		if j.Name != j.ID {
			head += " (" + j.Name + ")"
		}
		if len(j.Needs) > 0 {
			head += ", needs " + strings.Join(j.Needs, ", ")
		}
		if len(j.Cells) > 0 {
			head += ": " + ui.Count(len(j.Cells), "job", "jobs")
		}
		if j.Uses != "" {
			head += ", calls " + j.Uses
		}
		if err := printLine(a.Out, ui.CleanLine(head)); err != nil {
			return err
		}
		for i, s := range j.Steps {
			line := fmt.Sprintf("%s  %d. %s", indent, i+1, s.Name)
			if len(s.Allow) > 0 {
				line += "  [may reach " + strings.Join(s.Allow, ", ") + "]"
			}
			if err := printLine(a.Out, ui.CleanLine(line)); err != nil {
				return err
			}
		}
		if err := a.printDry(j.Jobs, indent+"  "); err != nil {
			return err
		}
	}
	return nil
}
