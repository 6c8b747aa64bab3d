// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"runtime"
	"sync"
)

// kept is a thread that lives as long as the process.
var kept = sync.OnceValue(func() chan<- func() { //nolint:gochecknoglobals // a thread of the process
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// SpawnKept is Spawn on a thread that does not end before the process does. The
// death signal of a child comes when the thread ends that made it
// (PR_SET_PDEATHSIG, prctl(2)), and any other thread of Go's may: one that
// OnDiscardedThread throws away was some other goroutine's a moment before.
func SpawnKept(a *Arena, flags SpawnFlags, cgroupFD int) (pid, pidfd int, err error) {
	done := make(chan struct{})
	kept() <- func() {
		pid, pidfd, err = Spawn(a, flags, cgroupFD)
		close(done)
	}
	<-done
	return pid, pidfd, err
}
