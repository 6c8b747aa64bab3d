// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/zviz/run/cache/node"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/sandbox"
)

// Tools finds the Node.js for JavaScript actions, in this order:
//
//  1. the one in the job's PATH, if it is of the major version wanted or newer;
//  2. one of that major version, or newer, that a version manager keeps on this machine;
//  3. one that was fetched before;
//  4. the one in PATH, or a manager's, if it is as new as the action itself asks: GitHub
//     runs actions for Node.js 20 on 24 since June 2026, and so do we where 24 is there;
//  5. one that is fetched.
//
// What is not the major version wanted is said in the log of the step.
type Tools struct {
	Home string // the operator's: where version managers keep theirs
	// Open opens the store of those that were fetched, when it is needed first. It is
	// closed with the tools. Nil: there is none, and nothing is fetched.
	Open func() (*node.Store, error)

	mu       sync.Mutex
	opened   *node.Store
	versions map[string]string // of programs in PATH, by path and what tells that it is the same
	fetched  map[int]*node.Node
}

// Close gives back what was fetched. The jobs must have ended.
func (t *Tools) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var err error
	for _, n := range t.fetched {
		err = errors.Join(err, n.Close())
	}
	if t.opened != nil {
		err = errors.Join(err, t.opened.Close())
	}
	t.fetched, t.opened = nil, nil
	return err
}

// For is what a job asks.
func (t *Tools) For(cell job.Cell) job.Tools { return &cellTools{t, cell} }

type cellTools struct {
	t    *Tools
	cell job.Cell
}

// nodeDir is where a Node.js that is not in PATH is shown.
const nodeDir = "/opt/zviz/node"

// noNodeError says what there is instead.
type noNodeError struct {
	wanted int
	path   string // version in PATH
	why    error
}

func (e *noNodeError) Error() string {
	there := "there is no node in the runner's PATH"
	if e.path != "" {
		there = "the runner's PATH has " + e.path
	}
	return fmt.Sprintf("the action needs Node.js %d or newer, and %s: %v", e.wanted, there, e.why)
}

func (e *noNodeError) Unwrap() error { return e.why }

// Hint says what the user can do.
func (e *noNodeError) Hint() string {
	return fmt.Sprintf("install Node.js %d, or start the runner with one in PATH", e.wanted)
}

// Node finds a Node.js.
func (c *cellTools) Node(ctx context.Context, wanted, least int) (job.Program, error) {
	inPath, version := c.inPath(ctx)
	if major(version) >= wanted {
		return c.noted(job.Program{Path: inPath}, version, "in PATH", wanted), nil
	}
	kept := managed(c.t.Home)
	if v, ok := newest(kept, wanted); ok {
		return c.noted(mounted(v.dir, v.version), v.version, "of "+v.manager, wanted), nil
	}
	p, err := c.t.store(ctx, wanted, false)
	if err == nil {
		return p, nil
	}
	if version != "" && major(version) >= least {
		return c.noted(job.Program{Path: inPath}, version, "in PATH", wanted), nil
	}
	if v, ok := newest(kept, least); ok {
		return c.noted(mounted(v.dir, v.version), v.version, "of "+v.manager, wanted), nil
	}
	if p, err = c.t.store(ctx, wanted, true); err != nil {
		if ctx.Err() != nil {
			return job.Program{}, context.Cause(ctx)
		}
		return job.Program{}, &noNodeError{wanted, version, err}
	}
	return p, nil
}

// noted says in the log what is not as it was wanted.
func (c *cellTools) noted(p job.Program, version, where string, wanted int) job.Program {
	if major(version) != wanted {
		p.Note = fmt.Sprintf("Node.js %s %s runs this action; at GitHub it is Node.js %d.", version, where, wanted)
	}
	return p
}

// mounted shows a version.
func mounted(dir, version string) job.Program {
	target := path.Join(nodeDir, version)
	return job.Program{Path: target + "/bin/node", Mounts: []sandbox.Mount{{Source: dir, Target: target}}}
}

// store finds a version that was fetched, or fetches one.
func (t *Tools) store(ctx context.Context, wanted int, fetch bool) (job.Program, error) {
	if t.Open == nil {
		return job.Program{}, node.ErrNone
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.opened == nil {
		var err error
		if t.opened, err = t.Open(); err != nil {
			return job.Program{}, err
		}
	}
	n, note := t.fetched[wanted], ""
	if n == nil {
		get := t.opened.Find
		if fetch {
			get = t.opened.Get
		}
		var err error
		if n, err = get(ctx, wanted); err != nil {
			return job.Program{}, err
		}
		if fetch {
			note = fmt.Sprintf("Node.js %s was fetched from the npm registry.", n.Version)
		}
		if t.fetched == nil {
			t.fetched = map[int]*node.Node{}
		}
		t.fetched[wanted] = n
	}
	p := mounted(n.Dir, n.Version)
	p.Note = note
	return p, nil
}

// inPath is the node that the job's processes would start, and its version, for which it
// is asked inside: it may be a script of a version manager.
func (c *cellTools) inPath(ctx context.Context) (program, version string) {
	program = c.cell.LookPath("node", nil)
	if program == "" {
		return "", ""
	}
	key := program
	if info, err := os.Stat(program); err == nil { // the host's tools are where they are outside
		key += fmt.Sprint(" ", info.ModTime().UnixNano(), " ", info.Size())
	}
	c.t.mu.Lock()
	version, known := c.t.versions[key]
	c.t.mu.Unlock()
	if known {
		return program, version
	}
	var out bytes.Buffer
	_, err := c.cell.Run(ctx, executor.Step{
		As: egress.StepName{Name: "node --version"}, Args: []string{program, "--version"}, Dir: executor.RunnerWork,
		Stdout: &out, Timeout: 30 * time.Second, Grace: time.Second,
	})
	if text := strings.TrimSpace(out.String()); err == nil && major(strings.TrimPrefix(text, "v")) > 0 {
		version = strings.TrimPrefix(text, "v")
	}
	if ctx.Err() == nil {
		c.t.mu.Lock()
		if c.t.versions == nil {
			c.t.versions = map[string]string{}
		}
		c.t.versions[key] = version
		c.t.mu.Unlock()
	}
	return program, version
}

// major is 0 for what is no version of Node.js.
func major(version string) int {
	head, rest, ok := strings.Cut(version, ".")
	n, err := strconv.Atoi(head)
	if !ok || err != nil || n < 1 || strings.Trim(rest, "0123456789.") != "" {
		return 0
	}
	return n
}
