// SPDX-License-Identifier: Apache-2.0

package action

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"time"
)

// Tree is the files of a repository at a commit. It is not evicted before Close.
type Tree struct {
	Commit string
	Dir    string // absolute: whom it is shown to sees what is in there, and cannot change it
	root   *os.Root
	lock   *os.File
}

// FS are the files. No link leads out of them.
func (t *Tree) FS() fs.FS { return t.root.FS() }

// Close gives the tree back. What shows its folder to somebody must have ended.
func (t *Tree) Close() error { return errors.Join(t.root.Close(), t.lock.Close()) }

// Open brings the files of a repository at a full commit: those of the cache, else those
// of the forge. The error is an *Error, or the cause of the context.
func (c *Cache) Open(ctx context.Context, r Repository, commit string) (*Tree, error) {
	t, err := c.open(ctx, r, commit)
	if err != nil {
		return nil, c.fail(r, commit, err)
	}
	return t, nil
}

func (c *Cache) open(ctx context.Context, r Repository, commit string) (*Tree, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	if !fullCommit(commit) {
		return nil, refuse("%q is not a full commit", clip(commit))
	}
	name := treeName(r, commit)
	for range 3 {
		shared, err := c.folders.Lock(ctx, name, false)
		if err != nil {
			return nil, err
		}
		t, err := c.found(name, commit, shared)
		if t != nil || err != nil {
			return t, err
		}
		_ = shared.Close()
		if c.cfg.Offline {
			return nil, &Error{Repository: r, Ref: commit, URL: c.shown(r), Reason: Offline}
		}
		if err := c.bring(ctx, r, commit, name); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("it was fetched three times, and each time it was gone: is somebody emptying the cache?")
}

// treeName is where a tree is, and the key of its lock.
func treeName(r Repository, commit string) string { return path.Join("trees", r.folder(), commit) }

// found opens a tree that is there and whole; nil if it is not. The lock is the tree's.
func (c *Cache) found(name, commit string, lock *os.File) (_ *Tree, err error) {
	root, err := c.root.OpenRoot(name + "/files")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // it is not there
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if err := c.verify(name, root); err != nil {
		c.cfg.Log.Warn("an action in the cache is damaged and is fetched anew", slog.String("tree", name), slog.Any("error", err))
		return nil, root.Close()
	}
	now := time.Now()
	_ = c.root.Chtimes(name+"/list", now, now) // the last use; nothing depends on it but eviction
	return &Tree{Commit: commit, Dir: filepath.Join(c.cfg.Dir, name, "files"), root: root, lock: lock}, nil
}

// verify hashes a tree once in a process.
func (c *Cache) verify(name string, root *os.Root) error {
	c.mu.Lock()
	trusted := c.trusted[name]
	c.mu.Unlock()
	if trusted {
		return nil
	}
	b, err := c.root.ReadFile(name + "/list")
	if err != nil {
		return err
	}
	if err := check(b, root); err != nil {
		return err
	}
	c.trust(name, true)
	return nil
}

func (c *Cache) trust(name string, yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if yes {
		c.trusted[name] = true
	} else {
		delete(c.trusted, name)
	}
}

// bring fetches a tree, unless somebody else did while we waited.
func (c *Cache) bring(ctx context.Context, r Repository, commit, name string) error {
	lock, err := c.folders.Lock(ctx, name, true)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if root, err := c.root.OpenRoot(name + "/files"); err == nil {
		err = c.verify(name, root)
		_ = root.Close()
		if err == nil {
			return nil
		}
	}
	if err := c.remove(name); err != nil { // what is left of a damaged one
		return err
	}
	if err := c.fetch(ctx, r, commit, name); err != nil {
		return err
	}
	c.prune(ctx)
	return nil
}

// remove takes a tree away. The caller has its lock alone.
func (c *Cache) remove(name string) error {
	c.trust(name, false)
	return c.folders.Remove(name)
}
