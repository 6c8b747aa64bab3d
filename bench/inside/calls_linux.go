// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// call is a system call that is measured.
type call struct {
	name   string
	budget float64
	times  int // in one measure: a few ms
	// prepare opens what it needs and returns the call and how to let go.
	prepare func(dir string) (once func() syscall.Errno, done func() error, err error)
}

// calls are measured without Go's own bookkeeping around them: RawSyscall does not
// tell the scheduler.
func calls() []call {
	nothing := func() error { return nil }
	bare := func(nr uintptr) func(string) (func() syscall.Errno, func() error, error) {
		return func(string) (func() syscall.Errno, func() error, error) {
			return func() syscall.Errno {
				_, _, e := syscall.RawSyscall(nr, 0, 0, 0)
				return e
			}, nothing, nil
		}
	}
	return []call{
		{"getppid", budgetCall, 30000, bare(unix.SYS_GETPPID)},
		{"getuid", budgetCall, 30000, bare(unix.SYS_GETUID)},
		{"open and close", budgetOpened, 4000, func(dir string) (func() syscall.Errno, func() error, error) {
			path, err := unix.BytePtrFromString(filepath.Join(dir, sample))
			return func() syscall.Errno {
				at := unix.AT_FDCWD
				fd, _, e := syscall.RawSyscall6(unix.SYS_OPENAT, uintptr(at), uintptr(unsafe.Pointer(path)), unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0)
				if e == 0 {
					_, _, e = syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
				}
				return e
			}, nothing, err
		}},
		{"read of 4 KiB", budgetOpened, 10000, func(dir string) (func() syscall.Errno, func() error, error) {
			f, err := os.Open(filepath.Join(dir, sample))
			if err != nil {
				return nil, nil, err
			}
			fd, buf := f.Fd(), make([]byte, blockSize)
			return func() syscall.Errno {
				n, _, e := syscall.RawSyscall6(unix.SYS_PREAD64, fd, uintptr(unsafe.Pointer(&buf[0])), blockSize, 0, 0, 0)
				if e == 0 && n != blockSize {
					e = syscall.EIO
				}
				return e
			}, f.Close, nil
		}},
		{"stat", budgetOpened, 10000, func(dir string) (func() syscall.Errno, func() error, error) {
			path, err := unix.BytePtrFromString(filepath.Join(dir, sample))
			var st unix.Stat_t
			return func() syscall.Errno {
				at := unix.AT_FDCWD
				_, _, e := syscall.RawSyscall6(sysFstatat, uintptr(at), uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&st)), 0, 0, 0)
				return e
			}, nothing, err
		}},
	}
}

// run makes the call so often and returns the time of all.
func (c call) run(dir string) (took cost, err error) {
	once, done, err := c.prepare(dir)
	if err != nil {
		return took, err
	}
	defer func() { err = errors.Join(err, done()) }()
	for range c.times / 10 {
		_ = once() // the first ones warm up; what fails fails below too
	}
	w := startWatch()
	for range c.times {
		if e := once(); e != 0 {
			return took, fmt.Errorf("%s: %w", c.name, e)
		}
	}
	return w.read(), nil
}
