// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// workspace returns the folder in which the command runs, without links. What
// must never be writable for a command is refused: everything, the operator's
// home or what holds it, and our own state.
func (a app) workspace(dir string) (string, error) {
	given := dir
	if dir == "" {
		wd, err := os.Getwd()
		if err != nil {
			return "", failure{Code: "workspace.refused", What: "cannot tell the current folder: " + cause(err).Error(), Fix: "name one: -C DIR", Exit: exitOurs, err: err}
		}
		// The current folder may have been reached through a link; it was the
		// operator who went there.
		if dir, err = filepath.EvalSymlinks(wd); err != nil {
			dir = wd
		}
		given = dir
	}
	refuse := func(why, fix string) (string, error) {
		return "", failure{Code: "workspace.refused", What: fmt.Sprintf("cannot use %s as the workspace: %s", given, why), Fix: fix, Exit: exitOurs}
	}
	real, err := realPath(dir)
	if err != nil {
		fix := ""
		if h, ok := find[hinter](err); ok {
			fix = h.Hint()
		}
		return refuse(err.Error(), fix)
	}
	fi, err := os.Stat(real)
	switch {
	case err != nil:
		return refuse(cause(err).Error(), "")
	case !fi.IsDir():
		return refuse("it is not a folder", "-C "+quoteShell(filepath.Dir(given)))
	}
	const fix = "use a folder of its own: -C DIR"
	if real == "/" {
		return refuse("it is the whole file system, and the command could write all of it", fix)
	}
	if home := a.home(); home != "" && holds(real, home) {
		return refuse("it holds your home folder, and the command could write all of it", fix)
	}
	if state := a.stateDir(); holds(real, state) || holds(state, real) {
		return refuse("zviz-runner keeps its state there", fix)
	}
	return real, nil
}

// holds reports whether path is dir or lies below it, also where both are known
// under several names: links are resolved and what is the same folder (a bind
// mount) counts as such.
func holds(dir, path string) bool {
	if r, err := filepath.EvalSymlinks(path); err == nil {
		path = r
	}
	di, _ := os.Stat(dir)
	for p := path; ; p = filepath.Dir(p) {
		if p == dir {
			return true
		}
		if pi, err := os.Stat(p); err == nil && di != nil && os.SameFile(di, pi) {
			return true
		}
		if p == filepath.Dir(p) {
			return false
		}
	}
}

// below reports whether path lies in dir; both without links.
func below(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}
