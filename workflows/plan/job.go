// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// Job is a job that may start: all that is known before its first step.
type Job struct {
	ID       string // unique in the run: build, build.1_x of a matrix, call.build of a called workflow
	Key      string // as written in its file: github.job
	Name     string // what people see: build (1, x), call / build
	Workflow string // the called file it is from, as in Call.File; empty if it is of the run's own

	Matrix       []expr.Member // nil without a matrix
	Index, Total int           // which cell of the matrix, from 0

	RunsOn      RunsOn
	Env         []Variable // of the workflow, then of the job
	Defaults    Defaults
	Timeout     int // minutes
	Grace       int // minutes that a cancelled job has
	Tolerated   bool
	Environment Environment
	Container   *Container // nil: on the machine itself
	Services    []Container
	Permissions *workflows.Permissions // nil: what the operator gives
	Groups      []Group                // of concurrency that it holds: its own, then those of its callers

	Steps   []*workflows.Step // not evaluated
	Outputs *syntax.Token     // a mapping, evaluated when the job ends; nil: none

	// Contexts are github, inputs, vars, needs, strategy and matrix. The runner adds
	// secrets, env, steps, job and runner.
	Contexts expr.Values
	Secrets  *Secrets
}

// RunsOn is the runner that a job asks for.
type RunsOn struct {
	Group  string
	Labels []string
}

// Text is a text, or what it will be: then Later is set.
type Text struct {
	Value string
	Later *syntax.Token
}

// Variable is a variable of an environment. Without a name, Later is a mapping of which
// not even the names are known. The last of a name counts.
type Variable struct {
	Name string
	Text
}

// Defaults are what a run step has if it says nothing.
type Defaults struct{ Shell, Dir Text }

// Environment is the deployment environment of a job; without a name there is none.
type Environment struct {
	Name string
	URL  *syntax.Token // evaluated after the last step
}

// Container is the container of a job, or a service.
type Container struct {
	Name                                string // of a service
	Image, Options, Entrypoint, Command string
	Ports, Volumes                      []string
	Env, Credentials                    []Variable
}

// Conclusion is how something ended.
type Conclusion string

// The conclusions.
const (
	Success   Conclusion = "success"
	Failure   Conclusion = "failure"
	Cancelled Conclusion = "cancelled"
	Skipped   Conclusion = "skipped"
)

// Output is a value that a job hands to those that need it.
type Output struct{ Name, Value string }

// Result is what came of a job that ran.
type Result struct {
	Conclusion Conclusion // not Skipped
	TimedOut   bool       // with Cancelled: the job was too slow, so the run fails
	Outputs    []Output   // evaluated; empty values are as if they were not set
}

// State is how far a job is.
type State string

// The states.
const (
	Waiting State = "waiting" // for needs, for its turn in a matrix
	Pending State = "pending" // for its concurrency group
	Ready   State = "ready"
	Running State = "running" // for a calling job: its workflow runs
	Done    State = "done"
)

// Status is a job in the list of a run: one that runs, calls, or never came to that.
type Status struct {
	ID, Name string
	State    State
	// Conclusion is what needs sees. It is success for a tolerated failure; Outcome
	// is how the job really ended.
	Conclusion, Outcome Conclusion
	Calls               bool
	Why                 string // why it was skipped or cancelled, or failed before it ran
	Outputs             []Output
}

// Stop asks for the end of a running job. It is then finished as any other.
type Stop struct{ ID, Reason string }
