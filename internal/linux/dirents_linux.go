// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"bytes"
	"encoding/binary"
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Dirent is one entry of a directory. Name ends in a NUL byte and lies in the
// buffer that it was read into.
type Dirent struct {
	Name []byte
	Kind byte // DT_REG and the like; DT_UNKNOWN on some file systems
}

// Text returns the name without its NUL.
func (d Dirent) Text() []byte { return d.Name[:len(d.Name)-1] }

// ReadDirents fills buf with entries of a directory; an empty result is the end.
func ReadDirents(fd int, buf []byte) ([]byte, error) {
	for {
		n, err := unix.Getdents(fd, buf)
		if !errors.Is(err, unix.EINTR) {
			return buf[:max(n, 0)], err
		}
	}
}

// NextDirent takes the first entry off what ReadDirents returned.
func NextDirent(b []byte) (d Dirent, rest []byte) {
	// linux_dirent64 of getdents(2): inode 8, offset 8, length 2, type 1, name.
	size := int(binary.NativeEndian.Uint16(b[16:]))
	name := b[19:size]
	return Dirent{Name: name[:bytes.IndexByte(name, 0)+1], Kind: b[18]}, b[size:]
}

// StatAt is statx(2) of a name of a directory, not through a link. Unlike
// unix.Statx it makes no copy of the name: a walk calls it for every file.
func StatAt(dir int, d Dirent, mask int, st *unix.Statx_t) error {
	for {
		_, _, e := unix.Syscall6(unix.SYS_STATX, uintptr(dir), uintptr(unsafe.Pointer(&d.Name[0])), unix.AT_SYMLINK_NOFOLLOW, uintptr(mask), uintptr(unsafe.Pointer(st)), 0)
		switch e {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return e
		}
	}
}
