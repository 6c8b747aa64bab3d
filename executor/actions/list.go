// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/action"
	"github.com/zviz/run/workflows/action/lock"
	"github.com/zviz/run/workflows/syntax"
)

// list brings the actions of one job.
type list struct {
	s         *Source
	o         Origin
	workspace string
	from      once[from]
}

// Load reads an action.
func (l *list) Load(ctx context.Context, use job.Use, workspace fs.FS) (*job.Action, error) {
	u, err := action.ParseUses(use.Text)
	if err != nil {
		return nil, err
	}
	from, err := l.from.get(func() (from, error) { return l.read(ctx) })
	if err != nil {
		return nil, err
	}
	switch u.Kind {
	case action.Local:
		m, err := find(workspace, u)
		if err != nil {
			return nil, err
		}
		a := job.FromManifest(m, path.Join(l.workspace, u.Path))
		a.Root, a.Manifest = l.workspace, m.File(syntax.Pos{File: 1})
		return a, nil
	case action.SameRef:
		return l.same(ctx, u, from)
	case action.Remote:
		return l.remote(ctx, u, use, from)
	default:
		return nil, &NotRunError{fmt.Sprintf("%s: docker actions are not run here yet", u)}
	}
}

// NotRunError is the error for an action of a kind that is not run here.
type NotRunError struct{ text string }

func (e *NotRunError) Error() string { return e.text }

// find reads a manifest that can be run.
func find(files fs.FS, u action.Uses) (*action.Manifest, error) {
	m, problems, err := action.Find(files, u)
	switch {
	case err != nil:
		return nil, err
	case len(problems.Errors) > 0:
		return nil, fmt.Errorf("%s: %w", u, problems.Errors[0])
	case m.Runs.Kind == action.Docker || m.Runs.Kind == action.Plugin:
		return nil, &NotRunError{fmt.Sprintf("%s: 'using: %s' is not run here yet; node20, node24 and composite are", u, m.Runs.Kind)}
	default:
		return m, nil
	}
}

// remote reads an action of another repository.
func (l *list) remote(ctx context.Context, u action.Uses, use job.Use, f from) (*job.Action, error) {
	if u.Workflow() {
		return nil, fmt.Errorf("%s is a workflow, which a job calls; a step uses an action", u)
	}
	commit := ""
	if _, ok := l.s.folder(u); !ok { // a folder is there because the user said so
		var err error
		if commit, err = l.commit(ctx, u, use, f); err != nil {
			return nil, err
		}
	}
	repo, err := l.s.open(ctx, u, commit)
	if err != nil {
		return nil, err
	}
	a, err := shown(repo, u, path.Join(strings.ToLower(u.Owner), strings.ToLower(u.Repo)))
	if err != nil {
		return nil, err
	}
	a.Repository, a.Ref = u.Owner+"/"+u.Repo, u.Ref
	// The first text is that of GitHub's runner.
	if a.Note = fmt.Sprintf("Download action repository '%s/%s@%s' (SHA:%s)", u.Owner, u.Repo, u.Ref, commit); commit == "" {
		a.Note = fmt.Sprintf("Action repository '%s/%s@%s' is the folder %s", u.Owner, u.Repo, u.Ref, repo.dir)
	}
	// What the action's steps call the same repository is this one, as GitHub's runner
	// writes it too (actions/runner, ActionManager.ResolveSelfRepositoryReferences).
	rename(a.Steps, u)
	return a, nil
}

// commit is that of the lock file, or what the ref is now.
func (l *list) commit(ctx context.Context, u action.Uses, use job.Use, f from) (string, error) {
	if f.lock == nil {
		return l.s.Resolve(ctx, u)
	}
	pin, err := f.lock.Resolve(u, l.place(use))
	if err != nil {
		return "", err
	}
	return pin.Commit, nil
}

// place is where a uses stands.
func (l *list) place(use job.Use) lock.At {
	at := lock.At{Line: use.Pos.Line, Col: use.Pos.Col, File: l.o.File}
	switch {
	case use.In != nil:
		at.File = use.In.Manifest
	case use.Pos.File > 0 && use.Pos.File <= len(l.o.Files):
		at.File = l.o.Files[use.Pos.File-1]
	}
	return at
}

// same reads an action of the workflow's own repository.
func (l *list) same(ctx context.Context, u action.Uses, f from) (*job.Action, error) {
	if f.self.Kind == action.Remote {
		again, err := action.ParseUses(renamed(u, f.self))
		if err != nil {
			return nil, err
		}
		// Its commit is the workflow's, which a lock file does not name.
		repo, err := l.s.at(ctx, again)
		if err != nil {
			return nil, err
		}
		a, err := shown(repo, again, path.Join(strings.ToLower(again.Owner), strings.ToLower(again.Repo)))
		if err != nil {
			return nil, err
		}
		a.Repository, a.Ref = again.Owner+"/"+again.Repo, again.Ref
		return a, nil
	}
	return l.own(u)
}

// own reads an action of the repository that is run. A job sees the action's folder and
// not the whole work tree: there may be files that git ignores, and the configuration of
// the repository, with what they hold of secrets.
func (l *list) own(u action.Uses) (*job.Action, error) {
	if l.o.Dir == "" {
		return nil, fmt.Errorf("%s: the repository of the workflow is not on this machine", u)
	}
	top, err := l.s.local(l.o.Dir)
	if err != nil {
		return nil, err
	}
	m, err := find(top.files, u)
	if err != nil {
		return nil, err
	}
	dir, err := below(l.o.Dir, u.Path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", u, err)
	}
	repo, err := l.s.local(dir)
	if err != nil {
		return nil, err
	}
	a := show(repo, m, "own", "")
	a.Repository = l.o.Repository
	return a, nil
}

// below is a folder below another one, without links. Git's own is none.
func below(top, name string) (string, error) {
	top, err := filepath.EvalSymlinks(top)
	if err != nil {
		return "", err
	}
	dir, err := filepath.EvalSymlinks(filepath.Join(top, filepath.FromSlash(name)))
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(top, dir)
	if err != nil || !filepath.IsLocal(rel) || slices.Contains(strings.Split(rel, string(filepath.Separator)), ".git") {
		return "", errors.New("it is no folder of the repository's files")
	}
	return dir, nil
}

// shown is an action with the mount that shows its repository.
func shown(repo repository, u action.Uses, name string) (*job.Action, error) {
	m, err := find(repo.files, u)
	if err != nil {
		return nil, err
	}
	return show(repo, m, name, u.Path), nil
}

func show(repo repository, m *action.Manifest, name, folder string) *job.Action {
	root := path.Join(executor.ActionsDir, name, repo.name)
	a := job.FromManifest(m, path.Join(root, folder))
	a.Root, a.Files, a.Manifest = root, repo.files, m.File(syntax.Pos{File: 1})
	a.Mounts = []sandbox.Mount{{Source: repo.dir, Target: root, Owner: repo.owner}}
	return a
}

// rename makes $/path of an action's steps the action's repository.
func rename(steps []*workflows.Step, to action.Uses) {
	for _, s := range steps {
		rename(s.Parallel, to)
		if s.Kind != workflows.UsesStep {
			continue
		}
		if u, err := action.ParseUses(s.Uses.Text); err == nil && u.Kind == action.SameRef {
			token := *s.Uses
			token.Text = renamed(u, to)
			s.Uses = &token
		}
	}
}

func renamed(u, to action.Uses) string {
	return path.Join(to.Owner, to.Repo, u.Path) + "@" + to.Ref
}

func short(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:6])
}
