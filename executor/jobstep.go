// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"io"
	"time"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/sandbox"
)

// Where a job's folders are inside. They are those of GitHub's hosted runners.
const (
	RunnerHome = "/home/runner"
	RunnerWork = "/home/runner/work" // holds the workspace and _temp
	ToolCache  = "/opt/hostedtoolcache"
	ActionsDir = ownDir + "/actions" // each action's repository, read-only

	ownDir = "/opt/zviz" // holds all that is mounted for one step alone
)

// ErrTooLarge says that a file of a job's is larger than the caller reads.
var ErrTooLarge = errors.New("file too large")

// Step is one process of a job, with all that it starts.
type Step struct {
	As   egress.StepName // how policies and events name it
	Args []string
	Env  map[string]string // on top of Environ
	Path []string          // directories in front of the cell's PATH
	Dir  string            // inside, absolute

	// Mounts are shown read-only, outside of home, /tmp and RunnerWork.
	Mounts []sandbox.Mount

	Stdin          io.Reader
	Stdout, Stderr io.Writer // written to as long as the job lives: a background process may print

	// TTY: the streams of which are a terminal; then Stdout gets all that it prints, and
	// what it starts ends with it.
	TTY    sandbox.TTY
	Resize <-chan sandbox.TTY // new sizes; may be nil

	Timeout   time.Duration // 0 means none
	Interrupt time.Duration // between SIGINT and SIGTERM; 0 means that there is no SIGINT
	Grace     time.Duration // between SIGTERM and the end; 0 means 500 ms
}
