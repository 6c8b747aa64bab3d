// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/cache/lockfile"
	"github.com/zviz/run/cache/packages"
	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/sandbox"
)

// packageLayer is what of a job's lockfile the package store has, below npm's cache in
// the job's home: an installation then asks nobody for it. It is no layer of security, so
// a job that cannot have it gets its packages through the gateway.
type packageLayer struct {
	files *packages.Layer
	mount *sandbox.Layered
}

// layerLockMost bounds the lockfile that a layer is made by, bytes: nobody asked for it
// to be read.
const layerLockMost = 16 << 20

// npmPreset is the preset of jobs that have the layer: no other tool reads npm's cache.
const npmPreset = "npm"

// wantsLayer reports whether a layer is for this job: it asks npm's registries, its
// steps have one policy, nobody wants to learn from its requests, and nobody has put
// something else where the layer would be.
func (c *cell) wantsLayer() bool {
	at := path.Join(c.spec.Home, packages.NPMCache)
	return c.packages != nil && !c.layered && len(c.packages.policy.Steps) == 0 && c.packages.policy.Mode != egress.ModeLearn &&
		slices.ContainsFunc(c.presets, func(p egress.Preset) bool { return p.Name == npmPreset }) &&
		!slices.ContainsFunc(c.spec.Mounts, func(m sandbox.Mount) bool { return below(m.Target, at) || below(at, m.Target) })
}

// layPackages makes the layer of a job if there is something for it in the store. root
// holds the workspace and dir is where the command runs, below it. The home of the job
// must be there.
func (x *Executor) layPackages(ctx context.Context, c *cell, root *os.Root, dir string, user bool) {
	log := func(err error) {
		if err != nil {
			x.cfg.Log.Warn("the package store is not shown to the job: its packages come through the gateway", slog.String("job", c.job.ID), slog.Any("error", err))
		}
	}
	locked := nearestLock(root, dir)
	if locked == nil {
		return
	}
	c.layered = true // once: what a job fetches it has in its cache
	reaches, err := c.packages.policy.Reaches(c.presets)
	if err != nil {
		log(err)
		return
	}
	rules := c.packages.rules(registry.NPM)
	var from []packages.Config
	for _, preset := range c.presets {
		for _, r := range preset.Registries {
			if preset.Name != npmPreset || r.Ecosystem != string(registry.NPM) {
				continue
			}
			from = append(from, packages.Config{Ecosystem: registry.NPM, Base: r.Base, Scope: r.Credential, Rules: rules})
		}
	}
	files, err := c.packages.pool.NPMLayer(ctx, from, reaches, locked)
	if err != nil || files == nil {
		log(err)
		return
	}
	mount, err := layer(files, c, user)
	if err != nil {
		log(errors.Join(err, files.Close()))
		return
	}
	c.layer = &packageLayer{files, mount}
}

// layer puts the files below npm's cache.
func layer(files *packages.Layer, c *cell, user bool) (*sandbox.Layered, error) {
	work := filepath.Join(c.job.Dir, "layer-work")
	if err := os.Mkdir(work, 0o700); err != nil {
		return nil, err
	}
	return sandbox.NewLayered(sandbox.LayerSpec{
		Lower: files.Dir(), Home: filepath.Join(c.job.Dir, "home"), Dir: packages.NPMCache, Work: work, IDs: c.spec.IDs, User: user,
	})
}

// mounts is how a sandbox of the job sees it.
func (l *packageLayer) mounts(home string) []sandbox.Mount {
	if l == nil {
		return nil
	}
	return []sandbox.Mount{l.mount.Mount(path.Join(home, packages.NPMCache))}
}

// packages lists what was there to be read.
func (l *packageLayer) packages() []ReportPackage {
	if l == nil {
		return nil
	}
	out := make([]ReportPackage, 0, len(l.files.Packages))
	for _, p := range l.files.Packages {
		out = append(out, ReportPackage{Ecosystem: string(p.Ecosystem), Name: p.Name, Version: p.Version, Digest: p.Digest.Integrity(), Available: true})
	}
	return out
}

// close removes it, after the sandboxes that had it.
func (l *packageLayer) close() error {
	if l == nil {
		return nil
	}
	return errors.Join(l.mount.Close(), l.files.Close())
}

// nearestLock reads npm's lockfile of a directory or of the nearest one above that has
// one; nil if there is none that says anything. What is wrong with it npm will say.
func nearestLock(root *os.Root, dir string) []registry.Locked {
	for ; ; dir = path.Dir(dir) {
		for _, name := range []string{"npm-shrinkwrap.json", "package-lock.json"} { // npm's own order
			locked, err := readLock(root, path.Join(dir, name))
			if err == nil {
				return locked
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return nil
			}
		}
		if dir == "." {
			return nil
		}
	}
}

func readLock(root *os.Root, name string) (_ []registry.Locked, err error) {
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size() > layerLockMost {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", name, layerLockMost)
	}
	return lockfile.Parse(name, f)
}

// layExec makes the layer of a command, with the home that it belongs to.
func (x *Executor) layExec(ctx context.Context, c *cell, probe sandbox.Probe) error {
	if !c.wantsLayer() {
		return nil
	}
	c.spec.Shared = c.job.Dir
	if err := sandbox.MakeShared(c.spec); err != nil {
		return err
	}
	root, err := os.OpenRoot(c.work.top)
	if err != nil {
		return plain(err)
	}
	defer func() { _ = root.Close() }()
	dir, err := filepath.Rel(c.work.top, c.work.dir)
	if err != nil {
		return err
	}
	x.layPackages(ctx, c, root, dir, probe.User != nil)
	return nil
}
