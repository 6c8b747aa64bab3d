// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// imageBytes is the size of the disk; what is not written takes nothing.
const imageBytes = 8 << 30

// again runs this program once more in a mount namespace of its own, so that nobody else
// sees what it mounts.
func again(ctx context.Context, args []string, out, errOut io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"-alone"}, args...)...)
	cmd.Stdout, cmd.Stderr = out, errOut
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	return cmd.Run()
}

// disk makes a fresh ext4 with its journal in a file of dir, and mounts it. On an ext4
// without a journal, as of some virtual machines, who makes many files in the minutes
// after others were removed searches long for an inode: a third of the processor time of
// an installation, which no job in a fresh workspace has.
func disk(ctx context.Context, dir string) (at string, undo func() error, err error) {
	base, err := os.MkdirTemp(dir, "zviz-packages-")
	if err != nil {
		return "", nil, err
	}
	undo = func() error { return os.RemoveAll(base) }
	defer func() {
		if err != nil {
			err = errors.Join(err, undo())
		}
	}()
	image, at := filepath.Join(base, "image"), filepath.Join(base, "disk")
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, imageBytes), os.Mkdir(at, 0o755)); err != nil {
		return "", nil, err
	}
	for _, argv := range [][]string{{"mkfs.ext4", "-q", "-F", image}, {"mount", "-o", "loop", image, at}} {
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return "", nil, fmt.Errorf("%s: %w\n%s", argv[0], err, out)
		}
	}
	if err := errors.Join(os.Chmod(base, 0o755), os.Chmod(at, 0o755)); err != nil {
		return "", nil, err
	}
	return at, func() error {
		return errors.Join(os.NewSyscallError("umount", syscall.Unmount(at, 0)), os.RemoveAll(base))
	}, nil
}
