// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/zviz/run/cache/lockfile"
	"github.com/zviz/run/cache/registry"
)

// Bounds of the search for lockfiles: the code that they lie beside chose the files.
const (
	lockDepth        = 4         // folders below the workspace's top: the parts of a monorepo
	lockEntriesMost  = 2_000_000 // files and folders that are looked at
	lockFilesMost    = 2000      // lockfiles
	lockPackagesMost = 1_000_000 // packages that they name together
)

// lockTo finds out what a job may fetch under lockfile_only. A command's workspace is
// there before it runs, and what it writes there later allows nothing. That of a job of
// steps is filled by its first ones: nothing may be fetched until lockOnce finds it.
func (j *jobPackages) lockTo(w workspace) error {
	if w.top == "" {
		j.lock.Store(registry.NewLock())
		j.waits = true
		return nil
	}
	root, err := os.OpenRoot(w.top)
	if err != nil {
		return fmt.Errorf("lockfile_only: %w", err)
	}
	defer func() { _ = root.Close() }()
	locked, found, err := readLocks(root, w.top, "", 0, j.locks)
	if err != nil {
		return fmt.Errorf("lockfile_only: %w", err)
	}
	if found == 0 {
		return hinted{"lockfile_only: no lockfile in " + w.top, "make one (npm install --package-lock-only, go mod tidy, cargo generate-lockfile), or leave the rule out; there are " + strings.Join(slices.DeleteFunc(lockfile.Files(), func(f string) bool { return !of(j.locks, lockfile.Of(f)) }), ", ")}
	}
	j.lock.Store(locked)
	return nil
}

// lockOnce is called at the start of each step of a job, before anything of it runs. The
// lockfiles that the first such step finds below work are those of the job: a step that
// fills the workspace runs before any of its code does, and what code of the workspace
// or of a package writes there later allows nothing, neither to its step nor to a later
// one.
func (j *jobPackages) lockOnce(work *os.Root) error {
	if !j.waits {
		return nil
	}
	// A repository's files are two folders further down than those of a command.
	locked, found, err := readLocks(work, RunnerWork, "_temp", 2, j.locks)
	if err != nil {
		return fmt.Errorf("lockfile_only: %w", err)
	}
	if found > 0 {
		j.lock.Store(locked)
		j.waits = false
	}
	return nil
}

// lockSearch looks for lockfiles.
type lockSearch struct {
	root    *os.Root
	name    string // of root, in errors
	without string // a folder in root that is not looked at
	of      []registry.Ecosystem
	entries int
	found   int
	all     []registry.Locked
}

// readLocks reads the lockfiles beneath root, down to further folders more than those
// of a workspace, those of some ecosystems or of all. Somebody may be changing the files:
// nothing outside is read, and no pipe waited for.
func readLocks(root *os.Root, name, without string, further int, ecosystems []registry.Ecosystem) (*registry.Lock, int, error) {
	s := &lockSearch{root: root, name: name, without: without, of: ecosystems}
	if err := s.folder(".", lockDepth+further); err != nil {
		return nil, 0, err
	}
	return registry.NewLock(s.all...), s.found, nil
}

// folder looks at a folder and those below it.
func (s *lockSearch) folder(dir string, depth int) error {
	f, err := s.root.OpenFile(dir, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil // what we cannot read names no package
	}
	defer func() { _ = f.Close() }()
	for {
		list, err := f.ReadDir(1024) // ENOTDIR: it is another thing by now
		if s.entries += len(list); s.entries > lockEntriesMost {
			return fmt.Errorf("more than %d files in %s to look for lockfiles in", lockEntriesMost, s.name)
		}
		for _, d := range list {
			if err := s.entry(path.Join(dir, d.Name()), d, depth); err != nil {
				return err
			}
		}
		if err != nil {
			return nil // io.EOF, or no folder that we can read
		}
	}
}

func (s *lockSearch) entry(name string, d fs.DirEntry, depth int) error {
	switch {
	case d.IsDir():
		if depth == 0 || slices.Contains([]string{"node_modules", ".git", "vendor"}, d.Name()) || name == s.without {
			return nil
		}
		return s.folder(name, depth-1)
	case d.Type().IsRegular() && of(s.of, lockfile.Of(d.Name())):
		return s.file(name)
	default:
		return nil
	}
}

// of reports whether a file that locks packages of e counts; list nil is all.
func of(list []registry.Ecosystem, e registry.Ecosystem) bool {
	return e != "" && (list == nil || slices.Contains(list, e))
}

func (s *lockSearch) file(name string) error {
	f, err := s.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // gone again
	}
	if err != nil {
		return err
	}
	if s.found++; s.found > lockFilesMost {
		return errors.Join(fmt.Errorf("more than %d lockfiles in %s", lockFilesMost, s.name), f.Close())
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	var locked []registry.Locked
	if err == nil {
		locked, err = lockfile.Parse(filepath.Join(s.name, name), io.Reader(f))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if s.all = append(s.all, locked...); len(s.all) > lockPackagesMost {
		return fmt.Errorf("the lockfiles in %s name more than %d packages", s.name, lockPackagesMost)
	}
	return nil
}
