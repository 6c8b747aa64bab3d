// SPDX-License-Identifier: Apache-2.0

package job

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"strings"

	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/syntax"
)

// Actions finds the actions that steps use.
type Actions interface {
	// Load reads an action: ./path in the workspace, which a job's code wrote,
	// owner/repo[/path]@ref, or $/path in the repository of the workflow. It is asked
	// anew for each use of a local one. The error is shown to the user.
	Load(ctx context.Context, u Use, workspace fs.FS) (*Action, error)
}

// Use is a uses, and where it stands.
type Use struct {
	Text string
	Pos  syntax.Pos
	In   *Action // the action whose steps say it; nil: the workflow
}

// Tools finds the programs that actions need.
type Tools interface {
	// Node finds a Node.js of the major version wanted or a newer one; if there is none
	// and none can be had, one that is at least as new as least. The error is shown to
	// the user.
	Node(ctx context.Context, wanted, least int) (Program, error)
}

// Program is a program that a job's processes can start.
type Program struct {
	Path   string          // inside
	Mounts []sandbox.Mount // that show it; none if every process sees it
	Note   string          // for the log of the step; may be empty
}

// Using is how an action runs.
type Using string

// deepest is how many composite actions may be in each other.
const deepest = 9

// The ways.
const (
	Node      Using = "node"
	Composite Using = "composite"
)

// Action is an action's manifest and where its files are.
type Action struct {
	Using       Using
	NodeVersion int // that it was written for: 12, 16, 20, 24; of Node

	Dir string // of its action.yml, inside; of a local one below the workspace
	// Root is the directory of its repository inside, which Dir is or lies in: its scripts
	// may lie beside Dir. Empty: Dir.
	Root       string
	Files      fs.FS           // those of Root as the runner sees them; may be nil
	Mounts     []sandbox.Mount // that show Root inside; none if it is in the workspace
	Manifest   string          // name of its action.yml for messages
	Note       string          // for the job's log when it is loaded; may be empty
	Repository string          // owner/repo; empty for a local one
	Ref        string

	Inputs  []Input
	Outputs []Output // of Composite

	Pre, Main, Post string // of Node: paths below Dir
	// PreIf and PostIf are expressions; always() if empty. Unlike the if of a step they
	// are not joined with success().
	PreIf, PostIf string

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

func (a *Action) root() string { return cmp.Or(a.Root, a.Dir) }

// holds says whether a path inside is one of the action's repository.
func (a *Action) holds(name string) bool {
	return name == a.root() || strings.HasPrefix(name, strings.TrimSuffix(a.root(), "/")+"/")
}

// local reports whether an action is in the workspace.
func local(uses string) bool { return strings.HasPrefix(uses, "./") || strings.HasPrefix(uses, `.\`) }

// instance is one use of an action: its pre, main and post share it.
type instance struct {
	action   *Action
	state    []Variable
	post     *post // nil: not registered
	children map[*workflows.Step]*instance
}

// instanceOf returns the use of an action by a step of the scope.
func (r *runner) instanceOf(sc *scope, s *workflows.Step) *instance {
	r.mu.Lock()
	defer r.mu.Unlock()
	in := sc.uses[s]
	if in == nil {
		in = &instance{children: map[*workflows.Step]*instance{}}
		sc.uses[s] = in
	}
	return in
}

// load reads an action once for each use; one that is not local once for the job. In is
// the action whose step it is.
func (r *runner) load(ctx context.Context, s *workflows.Step, in *Action) (*Action, error) {
	uses := s.Uses.Text
	switch {
	case strings.HasPrefix(uses, "docker://"):
		return nil, fmt.Errorf("%s: docker actions are not run here", uses)
	case r.q.Actions == nil:
		return nil, fmt.Errorf("%s: this job may use no action", uses)
	}
	if !local(uses) {
		r.mu.Lock()
		a := r.loaded[uses]
		r.mu.Unlock()
		if a != nil {
			return a, nil
		}
	}
	workspace, err := fs.Sub(r.q.Cell.Work(), r.repo+"/"+r.repo)
	if err != nil {
		return nil, err
	}
	if !local(uses) {
		r.emit(Event{Kind: Preparing, Text: r.text(uses)})
	}
	a, err := r.q.Actions.Load(ctx, Use{Text: uses, Pos: s.Uses.Pos, In: in}, workspace)
	if err != nil {
		return nil, err
	}
	if a.Note != "" {
		r.emit(Event{Kind: Line, Stream: Info, Text: r.text(a.Note)})
	}
	if !local(uses) {
		r.mu.Lock()
		r.loaded[uses] = a
		r.mu.Unlock()
	}
	return a, nil
}

// loadAll loads every action that can be reached before the first step; those that a
// local one uses are known only when it runs.
func (r *runner) loadAll(ctx context.Context, list []*workflows.Step, in *Action, depth int) error {
	if depth > deepest {
		return says("Composite action depth exceeded max depth %d", deepest)
	}
	for _, s := range list {
		if err := r.loadAll(ctx, s.Parallel, in, depth); err != nil {
			return err
		}
		if s.Kind != workflows.UsesStep || local(s.Uses.Text) {
			continue
		}
		a, err := r.load(ctx, s, in)
		if err != nil {
			return err
		}
		if err := r.loadAll(ctx, a.Steps, a, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// post is what an action wants to do after the job's steps.
type post struct {
	step *workflows.Step
	use  *instance
	in   *scope // of the last part that ran: in an action its inputs are those of main
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
		r.part(ctx, p.in, p.step, p.use, phasePost, p.use.action.Post)
	}
}
