// SPDX-License-Identifier: Apache-2.0

//go:build unix

package folders

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ours reports why a folder is not safe to keep trees in.
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

// tryLock locks an open file without waiting, for one or for many. Closing it unlocks.
func tryLock(f *os.File, exclusive bool) bool {
	how := unix.LOCK_SH | unix.LOCK_NB
	if exclusive {
		how = unix.LOCK_EX | unix.LOCK_NB
	}
	for {
		if err := unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}

// linked reports whether an open file still has a name.
func linked(f *os.File) bool {
	var st unix.Stat_t
	return unix.Fstat(int(f.Fd()), &st) == nil && st.Nlink > 0
}
