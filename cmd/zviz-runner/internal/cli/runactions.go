// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"

	actioncache "github.com/zviz/run/cache/action"
	nodecache "github.com/zviz/run/cache/node"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/executor/actions"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/executor/run"
	"github.com/zviz/run/workflows"
	"github.com/zviz/run/workflows/plan"
)

// brought is where the actions of a call of run come from.
type brought struct {
	source *actions.Source
	tools  *actions.Tools
	real   bool // checkout is one that the user named
	some   bool // not all jobs are to run
	policy executor.Policy
	// waiting says what is being fetched before there is a run that could show it.
	waiting func(what string) (end func())
}

// bring is what brings actions, called workflows and the programs that they need. Nothing
// is opened or fetched before it is asked for.
func (a app) bring(o *runOptions) (*brought, error) {
	if err := actioncache.CheckBase(o.actionsURL); err != nil {
		return nil, argument("--actions-url", "", err) // without it: it may hold a password
	}
	b := &brought{some: o.listed || len(o.jobs) > 0, waiting: o.waiting(a)}
	var folders []actions.Folder
	for _, s := range o.localActions {
		f, err := actions.ParseFolder(s)
		if err == nil {
			f.Dir, err = filepath.Abs(f.Dir)
		}
		if err != nil {
			return nil, argument("--local-action", s, err)
		}
		b.real = b.real || strings.EqualFold(f.Owner+"/"+f.Repo, "actions/checkout")
		folders = append(folders, f)
	}
	log := newRunning(a, o).log()
	b.source = actions.NewSource(func() (*actioncache.Cache, error) {
		c, err := actioncache.Open(actioncache.Config{Dir: filepath.Join(a.cacheDir(), "actions"), Base: o.actionsURL, Environ: a.Env, Offline: o.offline, Log: log})
		if err != nil {
			return nil, &executor.CacheError{Err: err}
		}
		return c, nil
	}, folders)
	b.tools = &actions.Tools{Home: a.home(), Open: func() (*nodecache.Store, error) { return a.openNodes(b.policy, log) }}
	return b, nil
}

// waiting is app.waiting as the flags of a run want it.
func (o *runOptions) waiting(a app) func(what string) (end func()) {
	progress := o.progress
	if o.quiet || o.json || o.egress == string(egress.ModeLearn) { // a policy goes where it would be shown
		progress = "quiet"
	}
	return func(what string) func() { return a.waitingAs(progress, what) }
}

// openNodes opens the store of Node.js, which is fetched from the registry of the
// operator's npm under the rules of the operator's policy.
func (a app) openNodes(p executor.Policy, log *slog.Logger) (*nodecache.Store, error) {
	cfg := nodecache.Config{Dir: filepath.Join(a.cacheDir(), "node"), MinAge: p.Egress.NPM.MinReleaseAge}
	if !p.Offline {
		cfg.Registry = func(ctx context.Context) (nodecache.Registry, error) {
			x, err := executor.New(a.config(log))
			if err != nil {
				return nodecache.Registry{}, err
			}
			r, err := x.Registry(ctx, "npm", p.Egress.Upstream, p.AllowMissing)
			return nodecache.Registry(r), err
		}
	}
	s, err := nodecache.Open(cfg)
	if err != nil {
		return nil, &executor.CacheError{Err: err}
	}
	return s, nil
}

func (b *brought) close() error { return errors.Join(b.source.Close(), b.tools.Close()) }

// opener reads called workflows: those that lie beneath the root, then those of other
// repositories.
func (b *brought) opener(ctx context.Context, w workflowFile) func(uses string) (string, error) {
	fetched := b.source.Opener(ctx, nothing{})
	return func(uses string) (string, error) {
		if rel, ok := strings.CutPrefix(uses, "$/"); ok {
			uses = "./" + rel
		}
		text, err := w.called(uses)
		if !errors.Is(err, workflows.ErrNotHere) {
			return text, err
		}
		end := b.waiting("fetch " + uses)
		text, err = fetched(uses)
		end()
		if e, ok := errors.AsType[*actioncache.Error](err); ok && b.some && (e.Reason == actioncache.Unreachable || e.Reason == actioncache.Offline) {
			return "", errors.Join(err, workflows.ErrNotHere) // it may not be needed
		}
		return text, err
	}
}

// nothing has no files.
type nothing struct{}

func (nothing) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// into lets a run use them.
func (b *brought) into(q *run.Request) {
	b.policy = q.Policy
	q.RealCheckout = q.RealCheckout || b.real
	q.Tools = b.tools.For
	name, dir, path, files := q.Repository.Name, q.Repository.Dir, q.Path, q.Workflow.Files
	q.Actions = func(j *plan.Job) job.Actions {
		return b.source.For(actions.Origin{Repository: name, Dir: dir, File: path, Called: j.Workflow, Files: files})
	}
}
