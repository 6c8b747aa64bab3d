// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"
)

// Descriptor is one that Descriptors opened.
type Descriptor struct {
	Number      int
	CloseOnExec bool
}

// Descriptors opens n descriptors of every kind that a process may hold, at
// random numbers up to highest with gaps between them, every other one or so
// close-on-exec. It raises the limit of open files as far as needed.
func Descriptors(r *rand.Rand, n, highest int) ([]Descriptor, error) {
	limit := unix.Rlimit{}
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return nil, os.NewSyscallError("getrlimit", err)
	}
	if need := uint64(highest + n + 16); limit.Cur < need {
		limit.Cur, limit.Max = need, max(limit.Max, need)
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return nil, fmt.Errorf("setrlimit: %d open files: %w", need, err)
		}
	}
	kinds := descriptorKinds()
	var opened []Descriptor
	for i := range n {
		fds, err := kinds[i%len(kinds)]()
		if err != nil {
			return opened, err
		}
		for _, fd := range fds {
			d := Descriptor{CloseOnExec: r.IntN(2) == 0}
			command := unix.F_DUPFD
			if d.CloseOnExec {
				command = unix.F_DUPFD_CLOEXEC
			}
			// The first free number from there on: nothing is closed by it.
			d.Number, err = unix.FcntlInt(uintptr(fd), command, 3+r.IntN(highest))
			if err := errors.Join(os.NewSyscallError("fcntl", err), unix.Close(fd)); err != nil {
				return opened, err
			}
			opened = append(opened, d)
		}
	}
	return opened, nil
}

// descriptorKinds open one descriptor or a pair of each kind, close-on-exec.
func descriptorKinds() []func() ([]int, error) {
	one := func(fd int, err error) ([]int, error) {
		if err != nil {
			return nil, err
		}
		return []int{fd}, nil
	}
	path := func(name string, flags int) func() ([]int, error) {
		return func() ([]int, error) {
			fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0)
			if err != nil {
				return nil, &os.PathError{Op: "open", Path: name, Err: err}
			}
			return []int{fd}, nil
		}
	}
	return []func() ([]int, error){
		path("/etc/passwd", unix.O_RDONLY),
		path("/dev/null", unix.O_RDWR),
		path("/", unix.O_RDONLY|unix.O_DIRECTORY),
		path("/", unix.O_PATH),
		path("/proc", unix.O_RDONLY|unix.O_DIRECTORY),
		path("/proc/self/root", unix.O_PATH),
		path("/proc/self/mem", unix.O_RDWR),
		path("/proc/self/environ", unix.O_RDONLY),
		path("/proc/self/ns/mnt", unix.O_RDONLY),
		path("/proc/self/ns/net", unix.O_RDONLY),
		path("/proc/self/ns/user", unix.O_RDONLY),
		path("/proc/self/ns/pid", unix.O_RDONLY),
		func() ([]int, error) { return one(unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)) },
		func() ([]int, error) {
			return one(unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE))
		},
		func() ([]int, error) {
			pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			return pair[:], err
		},
		func() ([]int, error) {
			pair := make([]int, 2)
			return pair, unix.Pipe2(pair, unix.O_CLOEXEC)
		},
		func() ([]int, error) { return one(unix.Eventfd(1, unix.EFD_CLOEXEC)) },
		func() ([]int, error) { return one(unix.EpollCreate1(unix.EPOLL_CLOEXEC)) },
		func() ([]int, error) { return one(unix.MemfdCreate("planted", unix.MFD_CLOEXEC)) },
		func() ([]int, error) { return one(unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)) },
		func() ([]int, error) { return one(unix.InotifyInit1(unix.IN_CLOEXEC)) },
		func() ([]int, error) { return one(unix.PidfdOpen(os.Getpid(), 0)) },
	}
}
