// SPDX-License-Identifier: Apache-2.0

package store

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

func identify(info fs.FileInfo) identity {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return identity{}
	}
	return identity{
		dev: st.Dev, ino: st.Ino, size: st.Size,
		mtime: unix.Timespec(st.Mtim), ctime: unix.Timespec(st.Ctim),
	}
}
