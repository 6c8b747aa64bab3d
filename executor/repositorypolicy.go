// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// RepositoryPolicyName is the file at the top of a workspace that narrows what the
// commands there may reach.
const RepositoryPolicyName = ".zviz.yml"

// RepositoryPolicy reads the policy that lies at the top of the workspace that dir is
// in. ok is false if there is none, or if dir can be no workspace, in which nothing
// would run. operatorFile is the operator's policy file, empty for none: where that is
// the same file, it is not the repository's.
func RepositoryPolicy(cfg Config, dir, operatorFile string) (p PolicyFile, ok bool, err error) {
	state, err := filepath.Abs(cfg.StateDir)
	if err != nil {
		return p, false, err
	}
	work, err := findWorkspace(dir, cfg.Home, state)
	if _, unfit := errors.AsType[*WorkspaceError](err); unfit {
		return p, false, nil
	}
	if err != nil {
		return p, false, err
	}
	found, err := work.policy(operatorFile)
	if err != nil || found == nil {
		return p, false, err
	}
	return *found, true, nil
}

// policy reads the workspace's own policy, nil if there is none. Whoever wrote the code
// could have made the file: no link is followed and no pipe waited for, and one that
// cannot be read or understood is an error, since its author expects an effect.
func (w workspace) policy(operatorFile string) (*PolicyFile, error) {
	name := filepath.Join(w.top, RepositoryPolicyName)
	data, err := readAtTop(w.top, RepositoryPolicyName, operatorFile)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && data == nil:
		return nil, nil
	case err != nil:
		return nil, &PolicyError{File: name, What: "cannot read the repository's policy: " + plain(err).Error(), Fix: "remove it, or leave it unread: --no-repo-policy", err: plain(err)}
	}
	f, err := ParseNarrowing(name, data)
	if err != nil {
		return nil, err
	}
	return &f, nil
}

// readAtTop reads a regular file in the folder top, nil if it is the file except.
func readAtTop(top, name, except string) (data []byte, err error) {
	root, err := os.OpenRoot(top)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	// os.Root follows a link that stays within; so what the name is comes first, and
	// then whether what was opened is that.
	named, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if named.Mode()&fs.ModeSymlink != 0 {
		return nil, errors.New("it is a symbolic link")
	}
	if !named.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	opened, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !os.SameFile(named, opened) {
		return nil, errors.New("it was replaced while it was read")
	}
	if except != "" {
		if operators, err := os.Stat(except); err == nil && os.SameFile(operators, opened) {
			return nil, nil
		}
	}
	data, err = io.ReadAll(io.LimitReader(f, maxPolicyBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxPolicyBytes {
		return nil, fmt.Errorf("larger than %d KiB", maxPolicyBytes>>10)
	}
	return append([]byte{}, data...), nil
}

// narrowedNote says that a repository's policy is in force.
const narrowedNote = "what it may reach is narrowed by " + RepositoryPolicyName + " of the repository; to leave that unread: --no-repo-policy"
