// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/sandbox"
)

// Config is what an Executor needs of the host.
type Config struct {
	StateDir string   // for locks and what a killed run left; made 0700
	Home     string   // the operator's home directory
	Environ  []string // the operator's environment: PATH for tools, proxies; never given to a job
	Log      *slog.Logger
}

// Executor runs commands and jobs.
type Executor struct {
	cfg Config
}

// Request is one command to run.
type Request struct {
	Policy Policy
	// Presets names registries whose hosts and settings the job gets
	// (egress.Presets); they are discovered from the operator's toolchain.
	Presets []string

	Args []string
	Env  []string // KEY=VALUE on top of the built-in environment
	Dir  string   // the workspace or a directory below it, absolute

	Secrets []string // values masked in the command's output

	Stdin          io.Reader
	Stdout, Stderr io.Writer
	TTY            sandbox.TTY
	Resize         <-chan sandbox.TTY // new window sizes
	Signals        <-chan int         // signal numbers to forward to the command

	// Observe gets every egress event as it happens, and Phase the name of each
	// phase of the start ("network", "sandbox", ""). Both may be nil and must not block.
	Observe func(egress.Event)
	Phase   func(string)

	// DiffTo gets a unified diff of the text files that the command changed, with
	// Policy.Diff; nil discards.
	DiffTo io.Writer

	Grace time.Duration // between SIGTERM and the end on cancel; 0 means 500 ms
}

// New makes an Executor and removes what a killed run left in the state folder.
func New(cfg Config) (*Executor, error) { return &Executor{cfg: cfg}, nil }

// Plan compiles the request and returns what would be done, for people; nothing
// is run and nothing is left behind.
func (x *Executor) Plan(ctx context.Context, r Request) (string, error) {
	return "", errors.New("not built yet")
}

// Exec runs one command. The error is an error of ours (a *sandbox.LayerError,
// a bad workspace); the Report is filled in as far as the run came.
func (x *Executor) Exec(ctx context.Context, r Request) (Report, error) {
	return Report{}, errors.New("not built yet")
}

// Probe says what this machine offers to a sandbox, layer by layer.
func (x *Executor) Probe(ctx context.Context) (sandbox.Probe, error) {
	return sandbox.Probe{}, errors.New("not built yet")
}
