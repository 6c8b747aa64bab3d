// SPDX-License-Identifier: Apache-2.0

package workflows

import "github.com/zviz/run/workflows/syntax"

// Workflow is a workflow file. A token that is nil was not written.
type Workflow struct {
	Name, RunName *syntax.Token
	On            []Event
	Env           *syntax.Token
	Permissions   *Permissions
	Defaults      *syntax.Token
	Concurrency   *syntax.Token
	Jobs          []*Job
	Files         []string // a token's File is an index, from 1
}

// Job is a job as written, or one that calls a workflow: then Uses is set, and Jobs
// are those of the called file.
type Job struct {
	ID    *syntax.Token
	Name  *syntax.Token // the ID if none was written
	Needs []*syntax.Token
	If    *syntax.Token // an Expression: success() if none was written

	Strategy        *syntax.Token
	ContinueOnError *syntax.Token
	Timeout         *syntax.Token // minutes
	CancelTimeout   *syntax.Token // minutes
	Concurrency     *syntax.Token
	Permissions     *Permissions // the workflow's if none was written
	Env             *syntax.Token
	Environment     *syntax.Token
	Defaults        *syntax.Token
	RunsOn          *syntax.Token
	Container       *syntax.Token
	Services        *syntax.Token
	Outputs         *syntax.Token
	Steps           []*Step
	Snapshot        *syntax.Token

	Uses *syntax.Token
	Call Call
}

// Call is what a calling job and the called file agree on.
type Call struct {
	Inputs, Secrets            *syntax.Token // what is given
	InputSpec, SecretSpec      *syntax.Token // what is defined
	InheritSecrets             bool
	Outputs                    *syntax.Token
	Defaults, Env, Concurrency *syntax.Token // of the called file
	Jobs                       []*Job
	File                       string // the called file as Options.Open was asked for it; empty without Open
	Loaded                     bool   // the called file was read
}

// StepKind is what a step does.
type StepKind string

// The kinds of steps.
const (
	RunStep      StepKind = "run"
	UsesStep     StepKind = "uses"
	WaitStep     StepKind = "wait"
	WaitAllStep  StepKind = "wait-all"
	CancelStep   StepKind = "cancel"
	ParallelStep StepKind = "parallel"
)

// Step is a step of a job.
type Step struct {
	Kind            StepKind
	Pos             syntax.Pos
	ID              string // __run and the like if none was written
	Name            *syntax.Token
	If              *syntax.Token // nil for steps that only wait
	ContinueOnError *syntax.Token
	Timeout         *syntax.Token
	Env             *syntax.Token

	Run, Shell, Dir *syntax.Token
	Uses, With      *syntax.Token
	Background      *syntax.Token

	Wait     []*syntax.Token
	Cancel   *syntax.Token
	Parallel []*Step
}
