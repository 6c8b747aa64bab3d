// SPDX-License-Identifier: Apache-2.0

package action

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/zviz/run/cache/folders"
)

// errTooSlow is the cause of a fetch that ran out of time.
var errTooSlow = errors.New("the fetch took too long")

// watchEvery is how often the size of what git fetches is looked at.
const watchEvery = 100 * time.Millisecond

// fetch brings a commit into the cache under a name. The caller has the lock.
func (c *Cache) fetch(ctx context.Context, r Repository, commit, name string) error {
	c.phase(fmt.Sprintf("fetch %s@%s", r, commit[:12]))
	defer c.phase("")
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.Timeout, errTooSlow)
	defer cancel()
	t, err := c.folders.Temp()
	if err != nil {
		return err
	}
	defer t.Discard()
	if err := c.pack(ctx, r, commit, t); err != nil {
		return err
	}
	for _, d := range []string{"/entry", "/entry/files"} {
		if err := c.root.Mkdir(t.Name+d, 0o755); err != nil {
			return fmt.Errorf("action cache: %w", err)
		}
	}
	x, err := c.unpack(ctx, commit, t)
	if err != nil {
		return err
	}
	if len(x.left) > 0 {
		c.cfg.Log.Warn("links that lead out of an action's repository were left out", slog.String("action", r.String()), slog.String("first", x.left[0]), slog.Int("count", len(x.left)))
	}
	if err := c.folders.Write(t.Name+"/entry/list", x.list.encode()); err != nil {
		return fmt.Errorf("action cache: %w", err)
	}
	if err := c.folders.Keep(t.Name+"/entry", name); err != nil {
		return fmt.Errorf("action cache: %w", err)
	}
	c.trust(name, true) // every object was hashed on its way here
	return nil
}

// pack fetches what the commit needs into a repository of git's.
func (c *Cache) pack(ctx context.Context, r Repository, commit string, t *folders.Temp) error {
	repo := filepath.Join(c.cfg.Dir, t.Name, "git")
	format := "sha1"
	if len(commit) == 64 {
		format = "sha256"
	}
	if _, err := c.git.run(ctx, "init", "--quiet", "--bare", "--template=", "--object-format="+format, "--", repo); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		c.watch(ctx, t.Name+"/git", stop)
	}()
	defer func() { stop(nil); <-watched }()
	_, err := c.git.run(ctx, "--git-dir="+repo, "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--", c.url(r), commit)
	return err
}

// watch ends a fetch that brings more than a tree may have.
func (c *Cache) watch(ctx context.Context, dir string, stop context.CancelCauseFunc) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var size int64
		_ = fs.WalkDir(c.root.FS(), dir, func(_ string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil //nolint:nilerr // git renames its files
			}
			if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
				size += info.Size()
			}
			return nil
		})
		if size > c.cfg.MaxTree {
			stop(fmt.Errorf("%w: the pack has more than %d bytes", errTooLarge, c.cfg.MaxTree))
			return
		}
	}
}

// unpack writes the files of a commit that was fetched.
func (c *Cache) unpack(ctx context.Context, commit string, t *folders.Temp) (_ *extraction, err error) {
	cmd, err := c.git.command(ctx, "--git-dir="+filepath.Join(c.cfg.Dir, t.Name, "git"), "cat-file", "--batch")
	if err != nil {
		return nil, err
	}
	stderr := &limited{}
	cmd.Stderr = stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	root, err := c.root.OpenRoot(t.Name + "/entry/files")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("git: %w", err)
	}
	boundMemory(cmd.Process.Pid)
	x, err := extract(in, &objects{out: bufio.NewReaderSize(out, 64<<10), left: c.cfg.MaxTree}, commit, root)
	if err != nil {
		_ = cmd.Cancel() // it may still want to print
	}
	_ = in.Close()
	ended := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil && len(stderr.text.Bytes()) > 0:
		return nil, errors.Join(err, said(stderr.text.Bytes(), ended))
	case err != nil:
		return nil, err
	case ended != nil:
		return nil, said(stderr.text.Bytes(), ended)
	}
	return x, nil
}
