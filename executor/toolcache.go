// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/zviz/run/sandbox"
)

// toolCache is the operator's folder of tools below the job's own, so that actions of the
// setup family find there what they would fetch. It is no layer of security: where the
// kernel cannot stack the two for several sandboxes the job sees the operator's alone,
// read-only.
type toolCache struct {
	dir   string
	mount *sandbox.Layered // nil: read-only
}

// layTools shows the operator's tool cache in the place of the job's empty one.
func (x *Executor) layTools(dir string, c *cell, user bool) error {
	if dir == "" {
		return nil
	}
	// A mount's source is no link.
	target, err := filepath.EvalSymlinks(dir)
	if err == nil {
		var st fs.FileInfo
		if st, err = os.Stat(target); err == nil && !st.IsDir() {
			err = &fs.PathError{Op: "open", Path: dir, Err: errors.New("not a folder")}
		}
	}
	if err != nil {
		return hinted{"tool cache: " + err.Error(), "name a folder that is there: --tool-cache DIR"}
	}
	c.tooling = &toolCache{dir: target}
	work := filepath.Join(c.job.Dir, "tools-work")
	if err := os.Mkdir(work, 0o700); err != nil {
		return &StateError{Dir: x.folder(), Err: err}
	}
	own := filepath.Join(c.job.Dir, "tools")
	mount, err := sandbox.NewLayered(sandbox.LayerSpec{Lower: target, Home: c.job.Dir, Dir: "tools", Work: work, IDs: c.spec.IDs, User: user})
	if err == nil {
		c.tooling.mount = mount
		c.spec.Mounts = append(c.spec.Mounts, mount.Mount(ToolCache))
		return nil
	}
	x.cfg.Log.Warn("the job cannot add to the tool cache: it sees the runner's read-only", slog.String("job", c.job.ID), slog.Any("error", err))
	i := slices.IndexFunc(c.spec.Mounts, func(m sandbox.Mount) bool { return m.Source == own })
	if i < 0 {
		return errors.New("bug: the job has no tool cache of its own")
	}
	c.spec.Mounts[i] = sandbox.Mount{Source: target, Target: ToolCache}
	return nil
}

// stat describes a file of the tool cache as the job has it: of its own folder, else of
// the operator's. A link that leads out of both is not followed.
func (t *toolCache) stat(own, name string) (fs.FileInfo, error) {
	st, err := sandbox.StatInside(own, name)
	if t == nil || !errors.Is(err, fs.ErrNotExist) {
		return st, err
	}
	return sandbox.StatInside(t.dir, name)
}

// close lets go of it, after the sandboxes that had it.
func (t *toolCache) close() error {
	if t == nil || t.mount == nil {
		return nil
	}
	return t.mount.Close()
}
