// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// hybrid reports whether the machine has cgroup v2 below v1, which crun refuses.
func hybrid() bool {
	var fs unix.Statfs_t
	return unix.Statfs("/sys/fs/cgroup/unified", &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC
}

// withoutUnified returns a function that runs others on a thread of its own, in
// a mount namespace in which cgroup v2 is hidden. A program between us and crun
// that does the same would be measured with it.
func withoutUnified() (func(func()), error) {
	work, ready := make(chan func()), make(chan error)
	go func() {
		// Never unlocked: the thread must not be given to other goroutines.
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		if err == nil {
			err = unix.Unmount("/sys/fs/cgroup/unified", unix.MNT_DETACH)
		}
		ready <- err
		for f := range work {
			f()
		}
	}()
	if err := <-ready; err != nil {
		return nil, fmt.Errorf("hide cgroup v2: %w", err)
	}
	return func(f func()) {
		done := make(chan struct{})
		work <- func() { f(); close(done) }
		<-done
	}, nil
}

// detachLeft unmounts what runsc leaves in its state folder, if anything.
func detachLeft(scratch string) {
	_ = unix.Unmount(filepath.Join(scratch, "state", "runsc", "null-netns"), unix.MNT_DETACH)
}
