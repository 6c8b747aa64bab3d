// SPDX-License-Identifier: Apache-2.0

package job

import (
	"context"
	"io/fs"

	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/syntax"
)

// Actions finds the actions that steps use.
type Actions interface {
	// Load reads an action: ./path in the workspace, which a job's code wrote, or
	// owner/repo[/path]@ref. It is asked anew for each use of a local one. The error
	// is shown to the user.
	Load(ctx context.Context, uses string, workspace fs.FS) (*Action, error)
}

// Using is how an action runs.
type Using string

// The ways.
const (
	Node      Using = "node"
	Composite Using = "composite"
)

// Action is an action's manifest and where its files are.
type Action struct {
	Using       Using
	NodeVersion int // 20, 24; of Node

	Dir        string          // inside; of a local one below the workspace
	Files      fs.FS           // the same as the runner sees it; may be nil
	Mounts     []sandbox.Mount // that show Dir inside; none if it is in the workspace
	Repository string          // owner/repo; empty for a local one
	Ref        string

	Inputs  []Input
	Outputs []Output // of Composite

	Pre, Main, Post string        // of Node: paths below Dir
	PreIf, PostIf   *syntax.Token // nil: always()

	Steps []*workflows.Step // of Composite
}

// Input is an input that an action declares.
type Input struct {
	Name        string
	Default     *syntax.Token // nil: an empty text
	Deprecation string        // shown to who sets it
}

// Output is an output that a composite action declares.
type Output struct {
	Name  string
	Value *syntax.Token
}

// post is what an action wants to do after the job's steps.
type post struct {
	run func(ctx context.Context)
}

// runPosts runs the post steps, the last registered first.
func (r *runner) runPosts(ctx context.Context) {
	for !r.shutdown() {
		r.mu.Lock()
		n := len(r.posts)
		if n == 0 {
			r.mu.Unlock()
			return
		}
		p := r.posts[n-1]
		r.posts = r.posts[:n-1]
		r.mu.Unlock()
		p.run(ctx)
	}
}

// useAction runs a step that uses an action.
func (st *stepRun) useAction(context.Context) Conclusion {
	st.fail("%s: actions are not run here yet", st.s.Uses.String())
	return Failure
}
