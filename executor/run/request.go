// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"maps"

	"github.com/zviz/run/cache/results"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/executor/concurrency"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/plan"
)

// Cells opens the cells of jobs.
type Cells interface {
	OpenCell(ctx context.Context, r executor.CellRequest) (Cell, error)
}

// Cell is what a job runs in: *executor.Cell, which is for Linux only.
type Cell interface {
	job.Cell
	Report() executor.Report
	ServiceURL(name string) string
	Kill() error
	Close() error
}

// Request is a run.
type Request struct {
	Workflow   *workflows.Workflow
	Path       string // of its file, below the repository
	Repository Repository
	Plan       plan.Options // Secrets, and what of GitHub the repository says, are filled in

	Cells   Cells
	Policy  executor.Policy
	Presets []string
	// Narrowed is the repository's own policy, which can only narrow; nil: none.
	Narrowed  *executor.PolicyFile
	ToolCache string // a folder of the operator's; see executor.CellRequest
	Guess     bool   // the operator names no hosts: each step has the presets of the tools it starts

	Secrets []job.Variable
	// EnvironmentSecrets are those of deployment environments, by name.
	EnvironmentSecrets map[string][]job.Variable
	Env                []job.Setting // beneath what the workflow sets
	Token              string        // of the forge; empty if there is none
	RealToken          bool          // jobs get it, and no placeholder

	// Actions are those that steps use, but for the checkout of the local repository;
	// nil: only local ones.
	Actions      func(j *plan.Job) job.Actions
	RealCheckout bool // actions/checkout is one of them
	// Tools finds the programs of actions; nil: the node in the cell's PATH.
	Tools func(cell job.Cell) job.Tools

	// Results opens what keeps the artifacts of jobs, once, when a job begins that may have
	// some. Nil, and without a network: there is no such service.
	Results func() (*results.Run, error)

	Steps    []string // only these, by id, name or number, and checkouts; nil: all
	Parallel int      // jobs at a time; 0: 1
	Runner   job.Runner
	// TempDir makes a folder of the runner's own, once, for the files of the checkout.
	TempDir func() (string, error)

	// Groups are the concurrency groups of all runs of this machine; nil: other runs are
	// not looked at.
	Groups *concurrency.Groups

	// Failed is told of each step that fails, as job.Request.Failed; job is the job's id,
	// name its name. Two jobs may call it at a time.
	Failed func(ctx context.Context, jobID, name string, f job.FailedStep)

	Emit func(Event) // may be nil; never called twice at a time
	// Kill, once closed, ends what the end of the context asked to end: nothing is
	// waited for any more.
	Kill <-chan struct{}
}

// Result is what became of a run.
type Result struct {
	Conclusion plan.Conclusion
	Jobs       []JobResult // in the order in which they ended
}

// JobResult is what became of a job.
type JobResult struct {
	ID, Name   string
	Conclusion plan.Conclusion // the outcome: a tolerated failure is one
	Tolerated  bool
	Why        string           // why it never ran, or was cancelled
	Report     *executor.Report // nil of a job that never started
	TimedOut   bool             // the limit of the operator's policy ended it, not one of the workflow
}

// Options are those of the plan, with the names of the secrets.
func (q *Request) Options() plan.Options {
	o := q.Plan
	for _, s := range q.Secrets {
		o.Secrets = append(o.Secrets, s.Name)
	}
	o.Environments = map[string]plan.OfEnvironment{}
	maps.Copy(o.Environments, q.Plan.Environments)
	for name, list := range q.EnvironmentSecrets {
		of := o.Environments[name]
		for _, s := range list {
			of.Secrets = append(of.Secrets, s.Name)
		}
		o.Environments[name] = of
	}
	return o
}
