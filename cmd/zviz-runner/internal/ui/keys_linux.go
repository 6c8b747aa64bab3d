// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Keys reads what is typed on a terminal until Close. A read of the terminal itself cannot
// be interrupted, and would take the next key from whoever reads after.
type Keys struct {
	f          *os.File
	wake, stop *os.File
	once       sync.Once
}

// NewKeys reads from the terminal f, which stays open.
func NewKeys(f *os.File) (*Keys, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return &Keys{f: f, wake: r, stop: w}, nil
}

// Read waits for keys, or for Close: then it is io.EOF.
func (k *Keys) Read(p []byte) (n int, err error) {
	for {
		ready := false
		err := control(k.f, func(fd int) error {
			return control(k.wake, func(wake int) error {
				list := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(wake), Events: unix.POLLIN}}
				if _, err := unix.Poll(list, -1); err != nil {
					return err
				}
				if list[1].Revents != 0 {
					return io.EOF
				}
				ready = list[0].Revents != 0
				return nil
			})
		})
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, os.ErrClosed):
			return 0, io.EOF
		case err != nil:
			return 0, err
		case ready:
			return k.f.Read(p)
		}
	}
}

// Close ends a Read that waits. It may be called more than once.
func (k *Keys) Close() {
	k.once.Do(func() {
		_ = k.stop.Close() // the other end is left to the collector: a Read may hold it
	})
}
