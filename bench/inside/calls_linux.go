// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
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
func (c call) run(dir string) (took time.Duration, err error) {
	once, done, err := c.prepare(dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, done()) }()
	for range c.times / 10 {
		once()
	}
	begin := monotonic()
	for range c.times {
		if e := once(); e != 0 {
			return 0, fmt.Errorf("%s: %w", c.name, e)
		}
	}
	return time.Duration(monotonic() - begin), nil
}

// monotonic reads the clock, ns. It cannot fail (clock_gettime(2): CLOCK_MONOTONIC).
func monotonic() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return t.Nano()
}
