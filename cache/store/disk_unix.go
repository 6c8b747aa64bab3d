// SPDX-License-Identifier: Apache-2.0

//go:build unix

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// identity is what tells that a file has not been changed.
type identity struct {
	dev, ino     uint64
	size         int64
	mtime, ctime unix.Timespec
}

// ours reports why a folder is not safe to keep a store in.
func ours(info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return errors.New("is not a folder")
	case !ok:
		return errors.New("bug: no stat")
	case int(st.Uid) != os.Geteuid():
		return fmt.Errorf("belongs to uid %d, not to us (%d)", st.Uid, os.Geteuid())
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("others may write to it (mode %v): chmod go-w it, after a look at what is in there", info.Mode().Perm())
	default:
		return nil
	}
}

// tryLock locks a file without waiting, for writing or for reading. Closing the
// file unlocks it.
func tryLock(f *os.File, exclusive bool) bool {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	return flock(f, how|unix.LOCK_NB) == nil
}

func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// tooManyLinks reports whether a file cannot have one more name.
func tooManyLinks(err error) bool { return errors.Is(err, unix.EMLINK) }

// linked reports whether an open file still has a name.
func linked(f *os.File) bool {
	var st unix.Stat_t
	return unix.Fstat(int(f.Fd()), &st) == nil && st.Nlink > 0
}

func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil //nolint:unconvert // 32 bits elsewhere
}
