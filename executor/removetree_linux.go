// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// removeHeld bounds the directories that each branch of the removal of a tree holds
// open. A job makes a tree of any depth in no time, from its deepest directory upwards;
// os.RemoveAll holds a descriptor for each level of it.
const removeHeld = 16

// removeBranches bounds the directories that are emptied at the same time: on a file
// system with a journal that others write to, most of the time of a removal is waiting.
const removeBranches = 4

// removeTree deletes what a job left. It works relative to held directories and
// follows no link nor enters another mount. What lies deeper than it may hold
// directories is first moved up. The file last of its top goes last: it is the
// lock, and without it nobody knows that the tree is being removed.
func removeTree(dir, last string) error {
	fd, err := openBeneath(unix.AT_FDCWD, dir, unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	r := &removal{top: os.NewFile(uintptr(fd), dir), last: last, branches: make(chan struct{}, removeBranches-1)}
	if err := errors.Join(r.empty(r.top, 1), r.top.Close()); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, last)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Without its lock it is nobody's: the start of another job may remove it first.
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

type removal struct {
	top      *os.File
	last     string
	moved    atomic.Int64  // how many directories were moved up: their names there
	branches chan struct{} // one in it for each branch besides the first
}

// empty removes what is in a directory. It reads from the start again until
// nothing is left, since what it removes and moves changes what it reads.
func (r *removal) empty(dir *os.File, depth int) error {
	for {
		if _, err := dir.Seek(0, io.SeekStart); err != nil {
			return err
		}
		names, err := dir.Readdirnames(1024)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if depth == 1 {
			names = slices.DeleteFunc(names, func(n string) bool { return n == r.last })
		}
		gone, err := r.all(dir, names, depth)
		if !gone {
			return err
		}
	}
}

// all removes names of a directory, and reports whether any is gone.
func (r *removal) all(dir *os.File, names []string, depth int) (bool, error) {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		gone bool
		errs []error
	)
	took := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		gone = gone || err == nil
		errs = append(errs, err)
	}
	for _, name := range names {
		full, err := r.remove(dir, name)
		if !full {
			took(err)
			continue
		}
		select {
		case r.branches <- struct{}{}:
			wg.Go(func() {
				took(r.descend(dir, name, depth))
				<-r.branches
			})
		default:
			took(r.descend(dir, name, depth))
		}
	}
	wg.Wait()
	return gone, errors.Join(errs...)
}

// remove removes one name of a directory, unless it is a directory that has something in
// it.
func (r *removal) remove(dir *os.File, name string) (full bool, err error) {
	fd := int(dir.Fd())
	// EISDIR, or EPERM as in POSIX: it may be a directory.
	err = unix.Unlinkat(fd, name, 0)
	if err == nil || !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM) {
		return false, pathError("unlinkat", dir, name, err)
	}
	err = unix.Unlinkat(fd, name, unix.AT_REMOVEDIR)
	if err == nil || !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST) {
		return false, pathError("unlinkat", dir, name, err)
	}
	return true, nil
}

// descend removes a directory and what is in it.
func (r *removal) descend(dir *os.File, name string, depth int) error {
	fd := int(dir.Fd())
	if depth >= removeHeld {
		return r.moveUp(dir, name)
	}
	child, err := openBeneath(fd, name, unix.O_DIRECTORY)
	if err != nil {
		return pathError("openat2", dir, name, err)
	}
	f := os.NewFile(uintptr(child), name)
	err = errors.Join(r.empty(f, depth+1), f.Close())
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return pathError("unlinkat", dir, name, unix.Unlinkat(fd, name, unix.AT_REMOVEDIR))
}

// moveUp gives a directory a name in the top of the tree, where it is met later.
func (r *removal) moveUp(dir *os.File, name string) error {
	for {
		err := unix.Renameat2(int(dir.Fd()), name, int(r.top.Fd()), ".removed-"+strconv.FormatInt(r.moved.Add(1), 10), unix.RENAME_NOREPLACE)
		if !errors.Is(err, unix.EEXIST) {
			return pathError("renameat2", dir, name, err)
		}
	}
}

func pathError(op string, dir *os.File, name string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: dir.Name() + "/" + name, Err: err}
}
