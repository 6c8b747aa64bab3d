// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"math"
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
	bounds := inotifyLimits()
	for _, kind := range namespaceLimits() {
		bounds = append(bounds, [2]string{"max_" + kind + "_namespaces", "0"})
	}
	return userNamespace{maps: writeMaps(lines(ids.UIDs), lines(ids.GIDs)), bounds: bounds, maker: ids.Owner().UID}.make()
}

// ownerUserNS makes a user namespace that serves only as the map of a mount: on
// disk the owner, seen by the job as its own user.
func ownerUserNS(o Owner, ids IDMap) (int, error) {
	to := ids.Owner()
	return userNamespace{maps: writeMaps(lines([]IDRange{{o.UID, to.UID, 1}}), lines([]IDRange{{o.GID, to.GID, 1}}))}.make()
}

// userNamespace is one to make.
type userNamespace struct {
	maps   mapper
	bounds [][2]string // values of files in /proc/sys/user
	maker  uint32      // the user who makes and owns it; 0 is the runner's own
	try    bool        // makes a mount namespace in it, to see whether its rights are real
}

// mapper writes the maps of the user namespace of a process.
type mapper func(pid int) error

func writeMaps(uidMap, gidMap string) mapper {
	return func(pid int) error {
		if err := writeMap(pid, "uid_map", uidMap); err != nil {
			return err
		}
		return writeMap(pid, "gid_map", gidMap)
	}
}

func writeMap(pid int, file, text string) error {
	if err := linux.WriteFile(fmt.Sprintf("/proc/%d/%s", pid, file), text); err != nil {
		return &LayerError{Layer: LayerUser, Stage: "write", Path: file, Err: err}
	}
	return nil
}

// make returns a descriptor of a new user namespace (user_namespaces(7)). A child
// that does nothing else holds it meanwhile.
func (u userNamespace) make() (_ int, err error) {
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
	for _, b := range u.bounds {
		at := int64(unix.AT_FDCWD)
		open := a.Call(unix.SYS_OPENAT, 0, uint64(at), a.Bytes([]byte("/proc/sys/user/"+b[0])), unix.O_WRONLY|unix.O_CLOEXEC, 0)
		w := a.Call(unix.SYS_WRITE, 0, 0, a.Bytes([]byte(b[1])), uint64(len(b[1])))
		a.Refer(w, 0, open)
	}
	stage := "limit namespaces"
	if u.try {
		stage = "make a mount namespace in it"
		a.Call(unix.SYS_UNSHARE, 0, unix.CLONE_NEWNS)
	}
	// It must wait for the runner's end of its pipe only: its own copy would be one
	// more, and so would that of another child which waits in the same way.
	low, high := min(syncR, readyW), max(syncR, readyW)
	for _, gap := range [][2]int{{3, low - 1}, {low + 1, high - 1}, {high + 1, math.MaxInt32}} {
		if gap[0] <= gap[1] {
			a.Call(unix.SYS_CLOSE_RANGE, 0, uint64(gap[0]), uint64(gap[1]), 0)
		}
	}
	a.Call(unix.SYS_WRITE, 0, uint64(readyW), a.Bytes([]byte("r")), 1)
	wait := a.Call(unix.SYS_READ, linux.OpZeroEnds, uint64(syncR), a.Bytes(make([]byte, 8)), 1)
	pid, pidfd, err := u.spawn(a)
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
				return -1, &LayerError{Layer: LayerUser, Stage: stage, Err: o.Errno()}
			}
		}
		return -1, &LayerError{Layer: LayerUser, Stage: "clone3", Err: errors.New("its first process died")}
	}
	if err := u.maps(pid); err != nil {
		return -1, err
	}
	ns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/user", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &LayerError{Layer: LayerUser, Stage: "open", Path: "ns/user", Err: err}
	}
	return ns, nil
}

func (u userNamespace) spawn(a *linux.Arena) (pid, pidfd int, err error) {
	if u.maker == 0 {
		return linux.Spawn(a, unix.CLONE_NEWUSER, -1)
	}
	err = linux.OnDiscardedThread(func() error {
		if err := linux.BecomeUser(u.maker); err != nil {
			return err
		}
		pid, pidfd, err = linux.Spawn(a, unix.CLONE_NEWUSER, -1)
		return err
	})
	return pid, pidfd, err
}
