// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func namespaces() []Attempt {
	eperm := []string{"EPERM"}
	return []Attempt{
		{
			ID: "ns-01", Name: "unshare_user_ns", What: "unshare(CLONE_NEWUSER)", Want: eperm, Control: InUserNamespace,
			run: unshare(unix.CLONE_NEWUSER),
		},
		{
			ID: "ns-02", Name: "unshare_pid_ns", What: "unshare(CLONE_NEWPID)", Want: eperm, Control: InUserNamespace,
			run: unshare(unix.CLONE_NEWPID),
		},
		{
			ID: "ns-03", Name: "unshare_mount_ns", What: "unshare(CLONE_NEWNS)", Want: eperm, Control: InUserNamespace,
			run: unshare(unix.CLONE_NEWNS),
		},
		{
			ID: "ns-04-net", What: "unshare(CLONE_NEWNET)", Want: eperm, Control: InUserNamespace,
			run: unshare(unix.CLONE_NEWNET),
		},
		{
			ID: "ns-04-uts", What: "unshare(CLONE_NEWUTS)", Want: eperm, Control: InUserNamespace,
			run: unshare(unix.CLONE_NEWUTS),
		},
		{
			ID: "ns-04-ipc", What: "unshare(CLONE_NEWIPC)", Want: eperm, Control: InUserNamespace,
			run: unshare(unix.CLONE_NEWIPC),
		},
		{
			ID: "ns-04-cgroup", What: "unshare(CLONE_NEWCGROUP)", Want: eperm, Control: InUserNamespace,
			run: unshare(unix.CLONE_NEWCGROUP),
		},
		{
			ID: "ns-05", Name: "setns_host_pid", What: "join the namespace /proc/1/ns/pid", Want: []string{"EACCES"}, Control: InUserNamespace,
			run: func([]string) (string, error) { return setns("/proc/1/ns/pid", unix.CLONE_NEWPID) },
		},
		{
			ID: "ns-06", Name: "setns", What: "setns through a pidfd of the parent", Want: eperm, Control: InUserNamespace,
			run: func([]string) (string, error) {
				fd, err := unix.PidfdOpen(os.Getpid(), 0)
				if err != nil {
					return "", broken("pidfd of the parent", err)
				}
				return "joined the parent's uts namespace", inChild(call{unix.SYS_SETNS, uintptr(fd), unix.CLONE_NEWUTS})
			},
		},
		{
			ID: "ns-06-own", Name: "setns", What: "setns to the own uts namespace, which its root may", Want: eperm, Control: InUserNamespace,
			run: func([]string) (string, error) { return setns("/proc/self/ns/uts", unix.CLONE_NEWUTS) },
		},
		{
			// ZViz filters unshare but not clone: this gives all capabilities there.
			ID: "ns-14", What: "clone(CLONE_NEWUSER)", Want: eperm, Control: InUserNamespace,
			run: func([]string) (string, error) {
				return "a user namespace", inChild(call{unix.SYS_CLONE, unix.CLONE_NEWUSER | uintptr(syscall.SIGCHLD)})
			},
		},
		{
			// The filter cannot see the flags of clone3; glibc takes clone on ENOSYS only.
			ID: "ns-15", What: "clone3(CLONE_NEWUSER)", Want: []string{"ENOSYS"}, Control: InUserNamespace,
			run: func([]string) (string, error) {
				args := [11]uint64{0: unix.CLONE_NEWUSER, 4: uint64(syscall.SIGCHLD)} // clone_args(2): flags, exit_signal
				return "a user namespace", inChild(call{unix.SYS_CLONE3, pointer(&args), 88})
			},
		},
		{
			ID: "cap-01", Name: "capset_all", What: "capset with every capability", Want: []string{"ENOSYS"}, Control: InUserNamespace,
			run: capset,
		},
	}
}

func unshare(flag uintptr) func([]string) (string, error) {
	return func([]string) (string, error) {
		return "a namespace", inChild(call{unix.SYS_UNSHARE, flag})
	}
}

func setns(path string, kind uintptr) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	return "joined " + path, inChild(call{unix.SYS_SETNS, f.Fd(), kind})
}

func capset([]string) (string, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	all := [2]unix.CapUserData{
		{Effective: ^uint32(0), Permitted: ^uint32(0)},
		{Effective: ^uint32(0), Permitted: ^uint32(0)},
	}
	if err := inChild(call{unix.SYS_CAPSET, pointer(&header), pointer(&all[0])}); err != nil {
		return "", err
	}
	return fmt.Sprintf("all capabilities as uid %d", os.Getuid()), nil
}
