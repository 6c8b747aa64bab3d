// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/zviz/run/executor/run"
	"github.com/zviz/run/workflows"
)

// maxWorkflowBytes is above what GitHub takes, which is counted in characters.
const maxWorkflowBytes = 4<<20 + 1

// workflowFile is a workflow on this machine.
type workflowFile struct {
	path string // as the user wrote it
	name string // in its repository: .github/workflows/ci.yml
	root string // of the repository
	text string
}

func findWorkflow(path string) (workflowFile, error) {
	w := workflowFile{path: path}
	f, err := os.Open(path)
	if err != nil {
		return w, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return w, fmt.Errorf("%s is a folder: name the workflow files in it", path)
	}
	if w.text, err = readWorkflow(f); err != nil {
		return w, fmt.Errorf("read %s: %w", path, cause(err))
	}
	full, err := filepath.Abs(path)
	if err != nil {
		return w, err
	}
	w.root, w.name = repositoryOf(full)
	return w, nil
}

func readWorkflow(r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxWorkflowBytes))
	return string(text), err
}

// repositoryOf is the root of the repository that a file is in, and its name there. A
// file that is in no workflow folder is named as if it were.
func repositoryOf(full string) (root, name string) {
	dir := filepath.Dir(full)
	above := filepath.Dir(dir)
	name = ".github/workflows/" + filepath.Base(full)
	if filepath.Base(dir) == "workflows" && slices.Contains([]string{".github", ".gitea", ".forgejo"}, filepath.Base(above)) {
		return filepath.Dir(above), filepath.Base(above) + "/workflows/" + filepath.Base(full)
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Lstat(filepath.Join(d, ".git")); err == nil {
			return d, name
		}
		if d == filepath.Dir(d) {
			return dir, name
		}
	}
}

// repository is the one of the work tree that dir lies in, or a project in a folder of it
// with workflows of its own.
func (w workflowFile) repository(dir string) (run.Repository, error) {
	repo, err := run.FindRepository(dir)
	if err != nil {
		return repo, failure{Code: "workspace.refused", What: err.Error(), Exit: exitUsage, err: err}
	}
	if root, err := filepath.EvalSymlinks(w.root); err == nil && root != repo.Dir && below(repo.Dir, root) {
		repo = repo.Below(root)
	}
	return repo, nil
}

// called reads a workflow that another one calls: one of the same repository, or one of
// another repository that lies beneath the root, with its version or without.
func (w workflowFile) called(uses string) (string, error) {
	if rel, ok := strings.CutPrefix(uses, "./"); ok {
		text, err := w.beneath(rel)
		if errors.Is(err, fs.ErrNotExist) {
			return "", errors.New("no such file in this repository")
		}
		return text, err
	}
	unversioned, _, _ := strings.Cut(uses, "@")
	for _, rel := range []string{uses, unversioned} {
		if text, err := w.beneath(rel); err == nil {
			return text, nil
		}
	}
	return "", workflows.ErrNotHere
}

// beneath reads a file below the root. The repository may be hostile: no link leads
// out of it, and what is no file is not waited for.
func (w workflowFile) beneath(rel string) (text string, err error) {
	root, err := os.OpenRoot(w.root)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	f, err := root.OpenFile(filepath.FromSlash(rel), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("not a file")
	}
	return readWorkflow(f)
}
