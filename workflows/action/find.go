// SPDX-License-Identifier: Apache-2.0

package action

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/zviz/run/workflows"
)

// maxManifest is more than the reader takes, in bytes: 1 MiB of characters.
const maxManifest = 4<<20 + 1

// MissingError says that a folder is no action.
type MissingError struct {
	Dir   string // as the user knows it
	Local bool   // of the workspace
}

// Error is GitHub's text.
func (e *MissingError) Error() string {
	if e.Local {
		return fmt.Sprintf("Can't find 'action.yml', 'action.yaml' or 'Dockerfile' under '%s'. Did you forget to run actions/checkout before running your local action?", e.Dir)
	}
	return fmt.Sprintf("Can't find 'action.yml', 'action.yaml' or 'Dockerfile' for action '%s'.", e.Dir)
}

// Find reads the action in a folder of files: action.yml, action.yaml, or a Dockerfile
// alone, which is a docker action without inputs. Files is the workspace for a Local
// uses, the repository else. The error is a *MissingError, or that of reading; what is
// wrong with a manifest is in the problems.
func Find(files fs.FS, u Uses) (*Manifest, workflows.Problems, error) {
	dir := path.Join(".", u.Path)
	for _, name := range []string{"action.yml", "action.yaml"} {
		text, err := read(files, path.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, workflows.Problems{}, fmt.Errorf("action %s: %w", u, err)
		}
		m, problems := Parse(u.fileName(name), text)
		return m, problems, nil
	}
	for _, name := range []string{"Dockerfile", "dockerfile"} {
		if info, err := fs.Stat(files, path.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			return &Manifest{Runs: Runs{Kind: Docker, Using: "docker", Image: name, PreIf: always, PostIf: always}}, workflows.Problems{}, nil
		}
	}
	return nil, workflows.Problems{}, &MissingError{Dir: u.String(), Local: u.Kind == Local}
}

// fileName is what errors call the manifest: the runner's path below its _actions, which
// is owner/repo/ref/path.
func (u Uses) fileName(name string) string {
	if u.Kind == Remote {
		return path.Join(u.Owner, u.Repo, u.Ref, u.Path, name)
	}
	return path.Join(u.Path, name)
}

func read(files fs.FS, name string) (string, error) {
	f, err := files.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s: not a regular file: %w", name, fs.ErrInvalid)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxManifest))
	return string(text), err
}
