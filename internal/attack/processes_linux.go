// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

func processes() []Attempt {
	return []Attempt{
		{
			ID: "proc-03", What: "prlimit of another process", Want: []string{"EPERM"}, Control: InUserNamespace,
			run: func([]string) (string, error) {
				var old unix.Rlimit
				return "its limits", inChild(call{unix.SYS_PRLIMIT64, uintptr(os.Getpid()), unix.RLIMIT_FSIZE, 0, pointer(&old)})
			},
		},
		{
			// ZViz forks 50 children and reaps each at once, which no limit can or
			// should stop. What a limit must stop is the number that live.
			ID: "res-02", Name: "fork_bomb", What: "more live processes than the limit", Want: []string{"EAGAIN"}, Control: InUserNamespace,
			run: forkBomb,
		},
		{
			ID: "fs-16", What: "a descriptor that was left open by the runner", Want: []string{"EBADF"}, Control: InUserNamespace,
			run: func([]string) (string, error) {
				for fd := 3; fd < 1024; fd++ {
					if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && !ownDescriptor(fd) {
						return fmt.Sprintf("descriptor %d", fd), nil
					}
				}
				return "", syscall.EBADF
			},
		},
	}
}

// ownDescriptor reports whether fd is the Go runtime's poller (which must not
// be mistaken for a leak) or its wake-up.
func ownDescriptor(fd int) bool {
	name, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	return err == nil && (name == "anon_inode:[eventpoll]" || name == "anon_inode:[eventfd]")
}

// forkBomb makes as many children as it is told, which live until it ends.
func forkBomb(args []string) (string, error) {
	if len(args) != 1 {
		return "", errors.New("needs a number")
	}
	number, err := strconv.Atoi(args[0])
	if err != nil || number < 1 || number > 2000 {
		return "", fmt.Errorf("bad number %q", args[0])
	}
	var pids []int
	defer func() {
		for _, pid := range pids {
			unix.Kill(pid, unix.SIGKILL) //nolint:errcheck // our child
			unix.Wait4(pid, nil, 0, nil) //nolint:errcheck // our child
		}
	}()
	for range number {
		pid, errno := forkAndPause()
		if errno != 0 {
			return "", errno
		}
		pids = append(pids, int(pid))
	}
	return fmt.Sprintf("%d processes", len(pids)), nil
}

//go:noinline
//go:norace
//go:nocheckptr
func forkAndPause() (uintptr, syscall.Errno) {
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return pid, errno
	}
	for {
		// ppoll without descriptors and time: until a signal ends it.
		_, _, _ = syscall.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
}
