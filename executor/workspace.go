// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/sandbox"
)

// WorkspaceError says why a directory cannot be given to a job.
type WorkspaceError struct {
	Dir string
	Why string
	Fix string
	Err error
}

func (e *WorkspaceError) Error() string {
	s := "workspace " + e.Dir + ": " + e.Why
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *WorkspaceError) Unwrap() error { return e.Err }

// Hint says what to do instead.
func (e *WorkspaceError) Hint() string { return e.Fix }

// workspace is what the job may write to: the top of the git work tree that
// holds the directory, or the directory itself.
type workspace struct {
	top   string // absolute, no links in it
	dir   string // the working directory, top or below
	owner sandbox.Owner
	git   string // top/.git if it is there
}

// findWorkspace checks dir. Refused are /, the home directory and what contains
// it or our state: a job would own the operator's files.
func findWorkspace(dir, home, state string) (workspace, error) {
	w := workspace{}
	st, err := os.Lstat(dir)
	switch {
	case err != nil:
		return w, &WorkspaceError{Dir: dir, Why: "cannot be read", Err: plain(err), Fix: "name an existing directory with -C"}
	case st.Mode()&fs.ModeSymlink != 0:
		target, _ := os.Readlink(dir)
		return w, &WorkspaceError{Dir: dir, Why: "is a symbolic link to " + target, Fix: "name the directory itself: -C " + target}
	case !st.IsDir():
		return w, &WorkspaceError{Dir: dir, Why: "is not a directory", Fix: "name a directory with -C"}
	}
	// By its name, before a link of these leads elsewhere: /proc/self/fd/7/sub.
	if why := partOfSystem(filepath.Clean(dir)); why != "" {
		return w, &WorkspaceError{Dir: dir, Why: why, Fix: "run in a project's own directory, or name one: -C DIR"}
	}
	if w.dir, err = filepath.EvalSymlinks(dir); err != nil {
		return w, &WorkspaceError{Dir: dir, Why: "cannot be read", Err: plain(err)}
	}
	if home != "" {
		if resolved, err := filepath.EvalSymlinks(home); err == nil {
			home = resolved
		}
	}
	if why := refused(w.dir, home, state); why != "" {
		return w, &WorkspaceError{Dir: w.dir, Why: why, Fix: "run in a project's own directory, or name one: -C DIR"}
	}
	if sameFile(w.dir, home) {
		return w, &WorkspaceError{Dir: w.dir, Why: "is the home directory under another name", Fix: "run in a project's own directory, or name one: -C DIR"}
	}
	if err := unix.Access(w.dir, unix.R_OK|unix.X_OK); err != nil {
		return w, &WorkspaceError{Dir: w.dir, Why: "cannot be read", Err: err}
	}
	w.top = workTree(w.dir, home, state)
	var sys unix.Stat_t
	if err := unix.Lstat(w.top, &sys); err != nil {
		return w, &WorkspaceError{Dir: w.top, Why: "cannot be read", Err: err}
	}
	w.owner = sandbox.Owner{UID: sys.Uid, GID: sys.Gid}
	git := filepath.Join(w.top, ".git")
	if st, err := os.Lstat(git); err == nil {
		if st.Mode()&fs.ModeSymlink != 0 {
			return w, &WorkspaceError{Dir: w.top, Why: ".git is a symbolic link and cannot be protected", Fix: "replace it with a file \"gitdir: PATH\" (git-init --separate-git-dir), or move the directory back"}
		}
		w.git = git
	}
	return w, nil
}

// workTree finds the top of the git work tree that holds dir, or dir itself. A
// directory or .git of another owner is not one, as for git (safe.directory): in
// a shared directory somebody else could make it to widen the workspace.
func workTree(dir, home, state string) string {
	var own unix.Stat_t
	if err := unix.Lstat(dir, &own); err != nil {
		return dir
	}
	for d := dir; d != "/" && refused(d, home, state) == ""; d = filepath.Dir(d) {
		var top, git unix.Stat_t
		if unix.Lstat(filepath.Join(d, ".git"), &git) != nil {
			continue
		}
		if unix.Lstat(d, &top) != nil || top.Uid != own.Uid || git.Uid != own.Uid {
			break
		}
		return d
	}
	return dir
}

// refused says why a directory is never given to a job; empty if it may be.
func refused(dir, home, state string) string {
	for _, r := range []struct{ path, what string }{{home, "the home directory"}, {state, "the state of zviz-runner"}} {
		switch {
		case r.path == "":
		case dir == r.path:
			return "is " + r.what
		case contains(dir, r.path):
			return "contains " + r.what + " (" + r.path + ")"
		}
	}
	if dir == "/" {
		return "is the root of the file system"
	}
	if contains(state, dir) {
		return "is below the state of zviz-runner"
	}
	return partOfSystem(dir)
}

func partOfSystem(dir string) string {
	for _, sys := range []string{"/proc", "/sys", "/dev"} {
		if dir == sys || contains(sys, dir) {
			return "is a part of the system (" + sys + ")"
		}
	}
	return ""
}

// sameFile also tells a bind mount of b from a directory of its own.
func sameFile(a, b string) bool {
	sa, errA := os.Stat(a)
	sb, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(sa, sb)
}

func contains(dir, path string) bool {
	return dir == "/" || dir != "" && strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// mount shows the workspace inside under its own path. Everything of .git is
// read-only: protecting only hooks or config would not hold, an ancestor can be
// renamed.
func (w workspace) mount(p Policy) sandbox.Mount {
	owner := w.owner
	m := sandbox.Mount{Source: w.top, Target: w.top, Write: true, Owner: &owner, Overlay: p.Ephemeral || p.Diff}
	if w.git != "" && !writes(w.top, p.Write, w.git) {
		m.ReadOnly = append(m.ReadOnly, w.git)
	}
	return m
}

// writes reports whether the operator lifted the protection of a path.
func writes(top string, list []string, path string) bool {
	return slices.ContainsFunc(list, func(p string) bool {
		if !filepath.IsAbs(p) {
			p = filepath.Join(top, p)
		}
		return filepath.Clean(p) == path
	})
}

// plain takes the operation and path off an error that names them already.
func plain(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// checkMounts resolves the operator's further mounts.
func checkMounts(mounts []sandbox.Mount, w workspace) ([]sandbox.Mount, error) {
	out := slices.Clone(mounts)
	for i := range out {
		m := &out[i]
		resolved, err := filepath.EvalSymlinks(m.Source)
		if err != nil {
			return nil, fmt.Errorf("mount %s: %w", m.Source, plain(err))
		}
		st, err := os.Stat(resolved)
		if err != nil {
			return nil, fmt.Errorf("mount %s: %w", m.Source, plain(err))
		}
		switch {
		case st.IsDir():
		case st.Mode().IsRegular():
			m.File = true
		default:
			return nil, fmt.Errorf("mount %s: neither a directory nor a regular file: a socket or device would lead out of the sandbox", m.Source)
		}
		if err := checkTarget(m.Target, w); err != nil {
			return nil, err
		}
		m.Source = resolved
		if sys, ok := st.Sys().(*syscall.Stat_t); ok {
			m.Owner = &sandbox.Owner{UID: sys.Uid, GID: sys.Gid}
		}
	}
	return out, nil
}

// checkTarget refuses a mount point below the workspace that is not there or that
// a link leads to: an earlier job may have made the link, and what the operator
// wanted covered would stay open.
func checkTarget(target string, w workspace) error {
	if !below(w.top, target) || target == w.top {
		return nil
	}
	path := w.top
	for part := range strings.SplitSeq(strings.TrimPrefix(target, w.top+"/"), "/") {
		path = filepath.Join(path, part)
		st, err := os.Lstat(path)
		switch {
		case err != nil:
			return hinted{"mount target " + target + ": " + plain(err).Error(), "make it in the workspace first, or name a target outside of it"}
		case st.Mode()&fs.ModeSymlink != 0:
			return hinted{"mount target " + target + ": " + path + " is a symbolic link in the workspace", "name a target outside of the workspace, or remove the link"}
		}
	}
	return nil
}
