// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/zviz/run/executor/job"
	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/workflows/action"
)

//go:embed checkout
var checkoutFiles embed.FS

// Where the checkout step sees the operator's repository. No other step does.
const (
	checkoutDir   = "/opt/zviz/checkout"
	repositoryDir = "/opt/zviz/repository"
)

// checkout is the local one, made for the first job that asks for it.
type checkout struct {
	repository Repository
	temp       func() (string, error) // where the folder of its script is made

	once   sync.Once
	dir    string
	action *job.Action
	err    error
}

func (c *checkout) get() (*job.Action, error) {
	c.once.Do(func() {
		if c.action, c.err = c.make(); c.err != nil {
			c.err = fmt.Errorf("checkout of %s: %w", c.repository.Dir, c.err)
		}
	})
	return c.action, c.err
}

func (c *checkout) make() (_ *job.Action, err error) {
	temp, err := c.temp()
	if err != nil {
		return nil, err
	}
	if c.dir, err = os.MkdirTemp(temp, "checkout-"); err != nil {
		return nil, err
	}
	if err := os.Chmod(c.dir, 0o755); err != nil { //nolint:gosec // the job reads it
		return nil, err
	}
	dir, err := filepath.EvalSymlinks(c.dir)
	if err != nil {
		return nil, err
	}
	return localCheckout(c.repository, dir)
}

// close removes what was made, when no job runs any more. The error is one of ours,
// which made jobs fail, too.
func (c *checkout) close() error {
	if c.dir == "" {
		return c.err
	}
	return errors.Join(c.err, os.RemoveAll(c.dir))
}

// localCheckout is what stands in the place of actions/checkout: the files of the
// operator's work tree. dir is a folder of the runner's for its script.
func localCheckout(r Repository, dir string) (*job.Action, error) {
	text, err := checkoutFiles.ReadFile("checkout/action.yml")
	if err != nil {
		return nil, err
	}
	m, problems := action.Parse("actions/checkout/action.yml", string(text))
	if len(problems.Errors) > 0 {
		return nil, problems.Errors[0]
	}
	script, err := checkoutFiles.ReadFile("checkout/checkout.sh")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "checkout.sh"), script, 0o644); err != nil { //nolint:gosec // the job reads it
		return nil, err
	}
	a := job.FromManifest(m, checkoutDir)
	a.Repository, a.Ref = "actions/checkout", "local"
	a.Mounts = []sandbox.Mount{{Source: dir, Target: checkoutDir}}
	tree, err := readOnly(r.Dir, repositoryDir+"/tree")
	if err != nil {
		return nil, err
	}
	a.Mounts = append(a.Mounts, tree)
	if r.Common == "" {
		return a, nil
	}
	git, err := readOnly(r.Common, repositoryDir+"/git")
	if err != nil {
		return nil, err
	}
	a.Mounts = append(a.Mounts, git)
	if r.Git == r.Common {
		return a, nil
	}
	// A work tree of several: its own part lies below what they share.
	name, err := filepath.Rel(r.Common, r.Git)
	if err != nil || !filepath.IsLocal(name) {
		return nil, fmt.Errorf("checkout: %s is not below %s", r.Git, r.Common)
	}
	file := filepath.Join(dir, "name")
	if err := os.WriteFile(file, []byte(filepath.ToSlash(name)), 0o644); err != nil { //nolint:gosec // the job reads it
		return nil, err
	}
	a.Mounts = append(a.Mounts, sandbox.Mount{Source: file, Target: repositoryDir + "/name", File: true})
	return a, nil
}

// readOnly shows a folder of the operator's as if it were the job's own, so that files
// that only their owner may read can be checked out.
func readOnly(dir, target string) (sandbox.Mount, error) {
	st, err := os.Stat(dir)
	if err != nil {
		return sandbox.Mount{}, err
	}
	m := sandbox.Mount{Source: dir, Target: target}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		m.Owner = &sandbox.Owner{UID: sys.Uid, GID: sys.Gid}
	}
	return m, nil
}

// actions are those of a job: the checkout of the local repository, local ones, and
// what the caller brings.
type actions struct {
	checkout  *checkout // nil: the real one
	workspace string
	more      job.Actions // may be nil
}

// Load implements job.Actions.
func (a actions) Load(ctx context.Context, use job.Use, workspace fs.FS) (*job.Action, error) {
	u, err := action.ParseUses(use.Text)
	if err != nil {
		return nil, err
	}
	if u.Kind == action.Remote && u.Path == "" && a.checkout != nil && strings.EqualFold(u.Owner+"/"+u.Repo, "actions/checkout") {
		return a.checkout.get()
	}
	if a.more != nil {
		return a.more.Load(ctx, use, workspace)
	}
	if u.Kind != action.Local {
		return nil, fmt.Errorf("%s: actions of other repositories are not fetched here", use.Text)
	}
	m, problems, err := action.Find(workspace, u)
	if err != nil {
		return nil, err
	}
	if len(problems.Errors) > 0 {
		return nil, problems.Errors[0]
	}
	return job.FromManifest(m, path.Join(a.workspace, u.Path)), nil
}
