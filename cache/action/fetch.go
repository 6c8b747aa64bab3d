// SPDX-License-Identifier: Apache-2.0

package action

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"time"
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
	t, err := c.temp()
	if err != nil {
		return err
	}
	defer t.discard()
	if err := c.pack(ctx, r, commit, t); err != nil {
		return err
	}
	for _, d := range []string{"/entry", "/entry/files"} {
		if err := c.root.Mkdir(t.name+d, 0o755); err != nil {
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
	if err := c.write(t.name+"/entry/list", x.list.encode()); err != nil {
		return err
	}
	if err := c.root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return fmt.Errorf("action cache: %w", err)
	}
	if err := c.root.Rename(t.name+"/entry", name); err != nil {
		return fmt.Errorf("action cache: %w", err)
	}
	c.trust(name, true) // every object was hashed on its way here
	return c.sync(path.Dir(name))
}

// pack fetches what the commit needs into a repository of git's.
func (c *Cache) pack(ctx context.Context, r Repository, commit string, t *temp) error {
	repo := filepath.Join(c.cfg.Dir, t.name, "git")
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
		c.watch(ctx, t.name+"/git", stop)
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
func (c *Cache) unpack(ctx context.Context, commit string, t *temp) (_ *extraction, err error) {
	cmd, err := c.git.command(ctx, "--git-dir="+filepath.Join(c.cfg.Dir, t.name, "git"), "cat-file", "--batch")
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
	root, err := c.root.OpenRoot(t.name + "/entry/files")
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
	case err != nil && len(stderr.Bytes()) > 0:
		return nil, errors.Join(err, said(stderr.Bytes(), ended))
	case err != nil:
		return nil, err
	case ended != nil:
		return nil, said(stderr.Bytes(), ended)
	}
	return x, nil
}

// write makes a file that is on the disk when it returns.
func (c *Cache) write(name string, data []byte) error {
	f, err := c.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("action cache: %w", err)
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// sync makes the names in a folder last.
func (c *Cache) sync(dir string) error {
	f, err := c.root.Open(dir)
	if err != nil {
		return fmt.Errorf("action cache: %w", err)
	}
	return errors.Join(f.Sync(), f.Close())
}
