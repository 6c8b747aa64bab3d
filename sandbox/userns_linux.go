// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/linux"
)

// namespaceLimits are the files of /proc/sys/user that bound what a user
// namespace may contain (namespaces(7)).
func namespaceLimits() []string {
	return []string{"user", "pid", "mnt", "ipc", "uts", "net", "cgroup", "time"}
}

// inotifyLimits are bounds of the job's namespace, below what a user has by
// default (128 instances).
func inotifyLimits() [][2]string {
	return [][2]string{{"max_inotify_instances", "64"}, {"max_inotify_watches", "131072"}}
}

// jobUserNS makes the job's user namespace: its whole id range maps to host ids
// that nobody else has, and no namespace of any kind can be made in it.
//
// What is counted in a namespace is charged to the user who made it as well: inotify
// instances and watches, pending signals, locked memory, message queues (ucounts,
// kernel/ucount.c). So the job's own user makes it. Were it root, two jobs could
// take all inotify instances of the machine's services. To own the namespace gives
// rights to processes outside of it only (user_namespaces(7)), where the job's user
// has none.
func jobUserNS(ids IDMap) (int, error) {
	line := fmt.Sprintf("0 %d %d\n", ids.HostBase, ids.Count)
	return userNS(line, line, func(a *linux.Arena) (pid, pidfd int, err error) {
		err = linux.OnDiscardedThread(func() error {
			if err := linux.BecomeUser(ids.HostBase + ids.UID); err != nil {
				return err
			}
			pid, pidfd, err = linux.Spawn(a, unix.CLONE_NEWUSER, -1)
			return err
		})
		return pid, pidfd, err
	}, true)
}

// ownerUserNS makes a user namespace that serves only as the map of a mount: on
// disk the owner, seen by the job as its own user.
func ownerUserNS(o Owner, ids IDMap) (int, error) {
	spawn := func(a *linux.Arena) (pid, pidfd int, err error) { return linux.Spawn(a, unix.CLONE_NEWUSER, -1) }
	return userNS(fmt.Sprintf("%d %d 1\n", o.UID, ids.HostBase+ids.UID), fmt.Sprintf("%d %d 1\n", o.GID, ids.HostBase+ids.GID), spawn, false)
}

// userNS returns a descriptor of a new user namespace with the given maps
// (user_namespaces(7)). A child that does nothing else holds it meanwhile.
func userNS(uidMap, gidMap string, spawn func(*linux.Arena) (pid, pidfd int, err error), limit bool) (_ int, err error) {
	a, err := linux.NewArena(32, 4096)
	if err != nil {
		return -1, err
	}
	defer func() { _ = a.Free() }()
	syncR, syncW, err := linux.Pipe()
	if err != nil {
		return -1, err
	}
	readyR, readyW, err := linux.Pipe()
	if err != nil {
		return -1, errors.Join(err, unix.Close(syncR), unix.Close(syncW))
	}
	defer closeAll(readyR)
	if limit {
		bounds := inotifyLimits()
		for _, kind := range namespaceLimits() {
			bounds = append(bounds, [2]string{"max_" + kind + "_namespaces", "0"})
		}
		for _, b := range bounds {
			at := int64(unix.AT_FDCWD)
			open := a.Call(unix.SYS_OPENAT, 0, uint64(at), a.Bytes([]byte("/proc/sys/user/"+b[0])), unix.O_WRONLY|unix.O_CLOEXEC, 0)
			w := a.Call(unix.SYS_WRITE, 0, 0, a.Bytes([]byte(b[1])), uint64(len(b[1])))
			a.Refer(w, 0, open)
		}
	}
	a.Call(unix.SYS_CLOSE, 0, uint64(syncW)) // else it would wait for itself
	a.Call(unix.SYS_WRITE, 0, uint64(readyW), a.Bytes([]byte("r")), 1)
	wait := a.Call(unix.SYS_READ, linux.OpZeroEnds, uint64(syncR), a.Bytes(make([]byte, 8)), 1)
	pid, pidfd, err := spawn(a)
	_ = unix.Close(syncR)
	_ = unix.Close(readyW)
	if err != nil {
		_ = unix.Close(syncW)
		return -1, &LayerError{Layer: LayerUser, Stage: "clone3", Err: err}
	}
	defer func() {
		_ = unix.Close(syncW)
		// The end of the pipe is not enough: a child of another start at the same time
		// has a copy of our end, and waits in the same way.
		_ = linux.Kill(pidfd, unix.SIGKILL)
		_, _, werr := linux.Wait(pid)
		err = errors.Join(err, werr, unix.Close(pidfd))
	}()
	var b [1]byte
	n, err := unix.Read(readyR, b[:])
	if err != nil {
		return -1, os.NewSyscallError("read", err)
	}
	if n == 0 {
		for i := range a.Ops() {
			if o := &a.Ops()[i]; o != wait && o.Reached() && o.Errno() != 0 {
				return -1, &LayerError{Layer: LayerUser, Stage: "limit namespaces", Path: "/proc/sys/user", Err: o.Errno()}
			}
		}
		return -1, &LayerError{Layer: LayerUser, Stage: "clone3", Err: errors.New("its first process died")}
	}
	for file, text := range map[string]string{"uid_map": uidMap, "gid_map": gidMap} {
		name := fmt.Sprintf("/proc/%d/%s", pid, file)
		if err := os.WriteFile(name, []byte(text), 0); err != nil {
			return -1, &LayerError{Layer: LayerUser, Stage: "write", Path: file, Err: err}
		}
	}
	ns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/user", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &LayerError{Layer: LayerUser, Stage: "open", Path: "ns/user", Err: err}
	}
	return ns, nil
}
