// SPDX-License-Identifier: Apache-2.0

package job

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/expr"
	"github.com/zviz/run/workflows/syntax"
)

// Cell is what a job has of the machine: *executor.Cell. It is an interface because
// that one is for Linux only.
type Cell interface {
	Run(ctx context.Context, s executor.Step) (sandbox.Result, error)
	Prepare(ctx context.Context) error
	Environ() map[string]string
	LookPath(name string, first []string) string
	Work() fs.FS
	WriteFile(name string, data []byte, mode fs.FileMode) error
	ReadFile(name string, limit int64) ([]byte, error)
	MkdirAll(name string) error
	Hide(values ...string) // in events of the network
}

// ErrShutdown as the cause of the context of Run says that the runner stops: no
// condition is evaluated any more, and the job fails.
var ErrShutdown = errors.New("the runner has received a shutdown signal. This can happen when the runner service is stopped, or a manually started runner is canceled")

// Request is a job with all that was evaluated before its first step.
type Request struct {
	Cell  Cell
	Steps []*workflows.Step

	// Contexts are github, inputs, vars, needs, strategy and matrix. What the engine
	// knows better of github (action, workspace, …) is put in its place.
	Contexts expr.Values
	Job      *expr.Object // further members of the job context
	Secrets  []Variable   // masked, and given to expressions only

	Env      []Setting // of the workflow, then of the job; the last of a name counts
	Defaults Defaults
	Outputs  *syntax.Token // a mapping, evaluated after the last step
	// Environment is the name of the deployment environment, and EnvironmentURL where
	// people find what was deployed, evaluated after the last step; both may be empty.
	Environment    string
	EnvironmentURL *syntax.Token

	Runner Runner

	Timeout       time.Duration // 0: 6 hours
	CancelTimeout time.Duration // how long steps may go on after the end of the context; 0: 5 minutes

	Actions   Actions    // nil: no step may use one
	Tools     Tools      // nil: the node in the cell's PATH, whatever its version
	ActionEnv []Variable // for the processes of actions only, as the addresses of caches are
	// ArtifactServer is GITHUB_SERVER_URL for the actions that store and fetch artifacts,
	// whose clients refuse servers that they do not know; empty: what it is for all.
	ArtifactServer string
	Masks          []string    // masked as secrets are, and nothing else
	Emit           func(Event) // may be nil; never called twice at a time

	// Failed is told of each step whose process fails, before the job goes on; it may
	// look around with a shell. Steps in the background are left out. Nil: nobody is.
	Failed func(ctx context.Context, f FailedStep)

	// Kill, once closed, ends everything: what runs is killed, no condition is
	// evaluated any more, and the job is cancelled. Nil never does.
	Kill <-chan struct{}
}

// Variable is a name and its value.
type Variable struct{ Name, Value string }

// Text is a text, or an expression of what is known only now, as github.workspace is.
type Text struct {
	Value string
	Later *syntax.Token // nil: Value is it
}

// Setting is a variable of a job's environment. Without a name, Later is a mapping.
type Setting struct {
	Name string
	Text
}

// Defaults are those of a job's run steps.
type Defaults struct{ Shell, Dir Text }

// Runner is what a job may know of its runner.
type Runner struct {
	Name        string
	Environment string // self-hosted if empty
	Debug       bool   // show debug lines
}

// Conclusion is what became of a step or a job.
type Conclusion string

// The conclusions.
const (
	Success   Conclusion = "success"
	Failure   Conclusion = "failure"
	Cancelled Conclusion = "cancelled"
	Skipped   Conclusion = "skipped"
)

// Result is what became of a job.
type Result struct {
	Conclusion Conclusion
	TimedOut   bool
	Outputs    []Variable // what may hold a secret is not among them
	// EnvironmentURL is masked; empty if the request has none, or it failed.
	EnvironmentURL string
	Steps          []StepResult
}

// StepResult is what became of a step.
type StepResult struct {
	ID         string // as in Event.Step
	Name       string // masked
	Outcome    Conclusion
	Conclusion Conclusion // the outcome but for continue-on-error
	Duration   time.Duration
	ExitCode   int // of its process; 0 if there was none
}
