// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"bytes"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// ReadFile reads at most limit bytes of a file. os.ReadFile asks the poller about
// every file, which doubles the calls for a small one.
func ReadFile(name string, limit int) ([]byte, error) {
	fd, err := open(name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	b := make([]byte, limit)
	n := 0
	for n < limit {
		m, err := unix.Read(fd, b[n:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, &os.PathError{Op: "read", Path: name, Err: err}
		}
		if m == 0 {
			break
		}
		n += m
	}
	return bytes.Clone(b[:n]), nil // the buffer is larger than most files
}

// WriteFile writes to a file that is there, in one call: a file of the kernel's.
func WriteFile(name, text string) error {
	fd, err := open(name, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	for {
		_, err := unix.Write(fd, []byte(text))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return &os.PathError{Op: "write", Path: name, Err: err}
		}
		return nil
	}
}

func open(name string, flags int) (int, error) {
	for {
		fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return -1, &os.PathError{Op: "open", Path: name, Err: err}
		}
		return fd, nil
	}
}
