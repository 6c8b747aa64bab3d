// SPDX-License-Identifier: Apache-2.0

//go:build unix

package results

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// tryLock locks a file without waiting. Closing the file unlocks it.
func tryLock(f *os.File) bool {
	for {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}

// freeBytes is what the disk of an open folder has for us.
func freeBytes(f *os.File) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil //nolint:unconvert // 32 bits elsewhere
}

// reserve is what must stay free on the disk of an open folder: what a job leaves
// everywhere else too.
func reserve(f *os.File) int64 {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return 0
	}
	return min(int64(st.Blocks)*int64(st.Bsize)/50, 1<<30) //nolint:unconvert // 32 bits elsewhere
}

// ownAs gives a file to the owner of the folder, if we may.
func ownAs(f, folder *os.File) error {
	info, err := folder.Stat()
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		return f.Chown(int(st.Uid), int(st.Gid))
	}
	return nil
}

// same reports whether a file is the one that we put there, and unchanged.
func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
