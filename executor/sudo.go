// SPDX-License-Identifier: Apache-2.0

package executor

import (
	_ "embed"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/zviz/run/sandbox"
)

// The sudo of a job lies in a directory of ours, the first of PATH.
const (
	ownPrograms = "/run/zviz/bin"
	sudoName    = "sudo"
	sudoFile    = ownPrograms + "/" + sudoName
)

// sudoScript runs a command as it is and says once a job that nothing more was
// granted. It is a script, since a root file system without /bin/sh has nothing
// that calls sudo.
//
//go:embed sudo.sh
var sudoScript []byte

// giveSudo puts the job's sudo into the root file system, also where that has one
// of its own: set-user-ID bits mean nothing under no_new_privs, and all that the
// real one could do is to fail.
func (c *cell) giveSudo() {
	shim := sandbox.File{Data: sudoScript, Mode: 0o555}
	c.spec.Files[sudoFile] = shim
	for _, name := range sudosOf(c.spec.Root, c.tools.path) {
		if c.spec.Root.Overlay {
			c.spec.Files[name] = shim // no mount: an installer may put another one in its place
			continue
		}
		if c.spec.Cover == nil {
			c.spec.Cover = map[string]string{}
		}
		c.spec.Cover[name] = sudoFile
	}
	c.tools.path = slices.Concat([]string{ownPrograms}, c.tools.path)
}

// sudosOf returns where a root file system has a sudo, by the path inside that no
// link is part of. Of a folder that is one in a directory of PATH; a link there is
// passed over, since it would be the machine's files that it leads to from here.
func sudosOf(root sandbox.Root, dirs []string) []string {
	var found []string
	for _, dir := range slices.Concat(dirs, []string{"/usr/bin", "/usr/local/bin"}) {
		name := path.Join(dir, sudoName)
		if root.Kind == sandbox.RootHost {
			name, _ = filepath.EvalSymlinks(name)
		} else if linked(root.Path, name) {
			continue
		}
		if regular(filepath.Join(root.Path, name)) && shows(root, name) && !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	return found
}

// linked reports whether a directory that leads to name, a path in the folder, is a
// link.
func linked(folder, name string) bool {
	for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
		if st, err := os.Lstat(filepath.Join(folder, dir)); err != nil || !st.IsDir() {
			return true
		}
	}
	return false
}

// shows reports whether a file is in a directory that the root shows.
func shows(root sandbox.Root, name string) bool {
	return slices.ContainsFunc(root.Entries, func(e sandbox.Entry) bool {
		return e.Dir && e.Source != "" && strings.HasPrefix(name, e.Target+"/")
	})
}
