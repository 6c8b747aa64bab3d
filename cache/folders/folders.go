// SPDX-License-Identifier: Apache-2.0

package folders

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
)

// Folders is a folder of them. It is safe for concurrent use, also by several processes.
type Folders struct {
	Dir  string // absolute
	Root *os.Root
}

// Open makes or opens a folder with tmp, locks and the given ones in it. It refuses one
// that others could write to.
func Open(dir string, more ...string) (*Folders, error) {
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("%q: want an absolute path", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return nil, err
	}
	if err := ours(info); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	for _, d := range append([]string{"tmp", "locks"}, more...) {
		if err := root.MkdirAll(d, 0o700); err != nil {
			return nil, errors.Join(err, root.Close())
		}
	}
	f := &Folders{Dir: dir, Root: root}
	f.sweep()
	return f, nil
}

// Close gives the folder back.
func (f *Folders) Close() error { return f.Root.Close() }

// Keep gives a folder its name, and makes that last.
func (f *Folders) Keep(from, to string) error {
	if err := f.Root.MkdirAll(path.Dir(to), 0o700); err != nil {
		return err
	}
	if err := f.Root.Rename(from, to); err != nil {
		return err
	}
	d, err := f.Root.Open(path.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Remove takes a folder away, at once for everybody.
func (f *Folders) Remove(name string) error {
	t, err := f.Temp()
	if err != nil {
		return err
	}
	defer t.Discard()
	if err := f.Root.Rename(name, t.Name+"/old"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Write makes a file that is on the disk when it returns.
func (f *Folders) Write(name string, data []byte) error {
	file, err := f.Root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Sync(), file.Close())
}
