// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/workflows/action"
	"github.com/zviz/run/workflows/action/lock"
)

// Origin is where the steps of a job are from.
type Origin struct {
	Repository string // owner/repo of the run: github.repository
	Dir        string // of the host: the top of that repository; empty if it is not here
	File       string // the run's workflow below Dir, with /
	// Called is the called workflow that the job is from, as plan.Job.Workflow has it;
	// empty if it is of the run's own.
	Called string
	Files  []string // of the workflow: what a position's File is an index of, from 1
}

// For is what brings the actions of a job. The lock file of the repository that the job's
// steps are from is read with the first of them.
func (s *Source) For(o Origin) job.Actions {
	return &list{s: s, o: o, workspace: job.Workspace(o.Repository)}
}

// from is where the steps of the job are from.
type from struct {
	self action.Uses  // what $/ means; Remote only for the jobs of a called workflow
	lock *lock.Locked // nil: the workflow is not locked
}

func (l *list) read(ctx context.Context) (f from, err error) {
	file := l.o.File
	if l.o.Called != "" {
		u, err := action.ParseUses(l.o.Called)
		if err != nil {
			return f, err
		}
		file = u.Path
		if u.Kind == action.Remote {
			f.self = u
		}
	}
	var repo repository
	switch {
	case f.self.Kind == action.Remote:
		repo, err = l.s.at(ctx, f.self)
	case l.o.Dir != "":
		repo, err = l.s.local(l.o.Dir)
	default:
		return f, nil
	}
	if err == nil {
		f.lock, err = readLock(repo.files, file)
	}
	return f, err
}

// at opens the repository of a uses at the commit that its ref has now.
func (s *Source) at(ctx context.Context, u action.Uses) (repository, error) {
	commit, err := s.Resolve(ctx, u)
	if err != nil {
		return repository{}, err
	}
	return s.open(ctx, u, commit)
}

// mostLock is more than the reader of lock files takes, in bytes.
const mostLock = 4<<20 + 1

// readLock reads what the lock file of a repository says of a workflow; nil if it says
// nothing, or there is none.
func readLock(files fs.FS, workflow string) (*lock.Locked, error) {
	text, err := readText(files, lock.Path, mostLock)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, err
	}
	f, problems := lock.Parse(lock.Path, text)
	if len(problems) > 0 {
		return nil, problems[0]
	}
	l, _ := f.Workflow(workflow)
	return l, nil
}

// readText reads a regular file, no more than most bytes of it.
func readText(files fs.FS, name string, most int64) (string, error) {
	f, err := files.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s: not a regular file", name)
	}
	b, err := io.ReadAll(io.LimitReader(f, most))
	return string(b), err
}
