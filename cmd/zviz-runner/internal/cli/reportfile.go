// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
)

// reportFile is where the report goes. Its folder is held open from before the
// job starts, so that the job cannot lead the report elsewhere by moving
// folders or making links. The file comes into being whole, by a rename, after
// the job ended: what the job wrote under its name is replaced, never followed.
type reportFile struct {
	dir  *os.Root
	name string
}

func openReport(path string) (_ *reportFile, err error) {
	path = filepath.Clean(path)
	dir, err := openFolder(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	r := &reportFile{dir: dir, name: filepath.Base(path)}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if err := r.check(); err != nil {
		return nil, err
	}
	// Better to learn now than after an hour that the disk is read-only.
	tmp, err := r.create(func(io.Writer) error { return nil })
	if err != nil {
		return nil, err
	}
	return r, dir.Remove(tmp)
}

// openFolder opens a folder. On the way from the current folder down no link is
// followed: in a workspace they are whoever's who wrote it. An absolute path,
// or one that leads up, is the operator's own.
func openFolder(path string) (*os.Root, error) {
	if !filepath.IsLocal(path) {
		return os.OpenRoot(path)
	}
	dir, err := os.OpenRoot(".")
	if err != nil {
		return nil, err
	}
	for part := range filepathParts(path) {
		fi, err := dir.Lstat(part)
		if err == nil && fi.Mode()&os.ModeSymlink != 0 {
			err = usageError{part + " is a symbolic link", "name the folder that it points to"}
		}
		var next *os.Root
		if err == nil {
			next, err = dir.OpenRoot(part)
		}
		_ = dir.Close() // it was only walked through
		if err != nil {
			return nil, err
		}
		dir = next
	}
	return dir, nil
}

// check refuses to replace anything but a plain file: as root, a rename over a
// device would break the machine.
func (r *reportFile) check() error {
	if r.name == "." || r.name == ".." || r.name == "/" {
		return usageError{"names a folder", "--report report.json"}
	}
	fi, err := r.dir.Lstat(r.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case fi.Mode()&os.ModeSymlink != 0:
		return usageError{"is a symbolic link; a report is never written through one", "name the file itself"}
	case !fi.Mode().IsRegular():
		return usageError{"is not a regular file", "name a file, or use --json for a stream"}
	}
	return nil
}

// put puts what fill writes in place. The job has ended.
func (r *reportFile) put(fill func(io.Writer) error) error {
	tmp, err := r.create(fill)
	if err != nil {
		return err
	}
	if err := r.dir.Rename(tmp, r.name); err != nil {
		return errors.Join(err, r.dir.Remove(tmp))
	}
	return nil
}

// create makes a new file with a name that nobody can guess.
func (r *reportFile) create(fill func(io.Writer) error) (name string, err error) {
	name = ".zviz-report-" + rand.Text()
	f, err := r.dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", err
	}
	if err = errors.Join(fill(f), f.Close()); err != nil {
		return "", errors.Join(err, r.dir.Remove(name))
	}
	return name, nil
}

func (r *reportFile) close() { _ = r.dir.Close() }

// filepathParts yields the names of a clean local path.
func filepathParts(path string) iter.Seq[string] {
	if path == "." {
		return func(func(string) bool) {}
	}
	return strings.SplitSeq(path, string(filepath.Separator))
}
