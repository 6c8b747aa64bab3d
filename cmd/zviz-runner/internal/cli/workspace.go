// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"strings"
)

// workspace returns the absolute path of the folder in which the command runs;
// the executor says whether it may. The current folder may have been reached
// through a link, since it was the operator who went there; -C may not name one.
func workspace(dir string) (string, error) {
	if filepath.IsAbs(dir) {
		return filepath.Clean(dir), nil
	}
	wd, err := os.Getwd()
	if err == nil {
		wd, err = filepath.EvalSymlinks(wd)
	}
	if err != nil {
		return "", failure{Code: "workspace.refused", What: "cannot tell the current folder: " + cause(err).Error(), Fix: "name one: -C DIR", Exit: exitOurs, err: err}
	}
	return filepath.Join(wd, dir), nil
}

// below reports whether path lies in dir; both without links.
func below(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}
