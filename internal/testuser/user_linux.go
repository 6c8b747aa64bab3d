// SPDX-License-Identifier: Apache-2.0

package testuser

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/zviz/run/sandbox/cgroup"
)

// ID is the number of the user and of his group. No machine gives it to anybody.
const ID = 54321

// User is an ordinary user. Close ends him.
type User struct {
	Home    string
	Runner  string // starts the program as the user
	Program string // what Runner becomes: a copy of the runner

	dir    string
	groups []string
}

// Config is what the program in become reads of the file beside it.
type Config struct {
	Program string
	ID      int
	Home    string
	Groups  []string // directories
}

// ConfigFile is where the program in become finds its Config.
func ConfigFile(program string) string { return program + ".json" }

// New makes the user. become is internal/testuser/become, built; runner is what he
// starts. It needs root.
func New(become, runner string) (_ *User, err error) {
	// Not in the folder of a test, which is root's alone.
	dir, err := os.MkdirTemp("/var/tmp", "zviz-user-")
	if err != nil {
		return nil, err
	}
	u := &User{Home: filepath.Join(dir, "home"), Runner: filepath.Join(dir, "zviz-runner"), Program: filepath.Join(dir, "bin", "zviz-runner"), dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, u.Close())
		}
	}()
	if err := errors.Join(
		os.Chmod(dir, 0o755), os.Mkdir(filepath.Dir(u.Program), 0o755), os.Mkdir(u.Home, 0o700), u.Own(u.Home),
		install(become, u.Runner), install(runner, u.Program),
	); err != nil {
		return nil, err
	}
	if err := u.delegate(); err != nil {
		return nil, err
	}
	config, err := json.Marshal(Config{Program: u.Program, ID: ID, Home: u.Home, Groups: u.groups})
	if err != nil {
		return nil, err
	}
	return u, os.WriteFile(ConfigFile(u.Runner), config, 0o644)
}

// install copies a program so that everybody can run it.
func install(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(to, text, 0o755), os.Chmod(to, 0o755))
}

// delegate gives the user a control group in each hierarchy.
func (u *User) delegate() error {
	h, err := cgroup.Find("/proc")
	if err != nil {
		return err
	}
	for _, base := range []string{h.Memory, h.Pids, h.CPU, h.V2} {
		// Not only by our number, which is not that of the host in a pid namespace.
		dir := filepath.Join(base, filepath.Base(u.dir)+"-"+strconv.Itoa(os.Getpid()))
		if base == "" || slices.Contains(u.groups, dir) {
			continue
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		u.groups = append(u.groups, dir)
		for _, name := range []string{"", "cgroup.procs", "cgroup.subtree_control"} {
			if err := os.Chown(filepath.Join(dir, name), ID, ID); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// Folder makes a folder of the user's that he can reach. It is gone with Close.
func (u *User) Folder() (string, error) {
	dir, err := os.MkdirTemp(u.dir, "w")
	if err != nil {
		return "", err
	}
	return dir, errors.Join(os.Chmod(dir, 0o755), u.Own(dir))
}

// Own gives a tree to the user. It follows no links. The kernel takes set-ID bits
// and file capabilities off what changes its owner (chown(2)).
func (u *User) Own(path string) (err error) {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	return fs.WalkDir(root.FS(), filepath.Base(path), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return root.Lchown(path, ID, ID)
	})
}

// Close removes the user's files and groups. His processes must have ended.
func (u *User) Close() error {
	errs := []error{os.RemoveAll(u.dir)}
	for _, dir := range u.groups {
		if err := syscall.Rmdir(dir); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", dir, err))
		}
	}
	return errors.Join(errs...)
}
