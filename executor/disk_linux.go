// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"context"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/sandbox"
)

// diskReserve is what a job must leave on a file system that it can write to. A
// quota for it would need a file system made for the job; a watch needs nothing,
// and is only as exact as its step: a fast disk writes 1 GiB in it.
type diskReserve struct {
	bytes, files uint64
}

// reserveOf returns what must stay free: a fiftieth, at most 1 GiB and a hundred
// thousand files. A file system without a number of files has no reserve of them.
func reserveOf(st unix.Statfs_t) diskReserve {
	const most, mostFiles = 1 << 30, 100_000
	return diskReserve{bytes: min(st.Blocks*uint64(st.Bsize)/50, most), files: min(st.Files/50, mostFiles)}
}

// low reports whether less than the reserve is free.
func (d diskReserve) low(st unix.Statfs_t) bool {
	return st.Bavail*uint64(st.Bsize) < d.bytes || st.Files > 0 && st.Ffree < d.files
}

// diskStep is how often the watch looks: statfs(2) takes microseconds.
const diskStep = 100 * time.Millisecond

// diskWatch are the reserves of folders, by name.
type diskWatch map[string]diskReserve

// newDiskWatch looks at the folders' file systems, before the job can write to them. One
// that is short already is the operator's affair: it is left out, else no job could run
// there.
func newDiskWatch(folders ...string) diskWatch {
	w := diskWatch{}
	for _, f := range folders {
		var st unix.Statfs_t
		if err := unix.Statfs(f, &st); err != nil {
			continue
		}
		if r := reserveOf(st); !r.low(st) {
			w[f] = r
		}
	}
	return w
}

// run cancels with sandbox.ErrDisk when one of the file systems has less free than its
// reserve.
func (w diskWatch) run(ended <-chan struct{}, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(diskStep)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		for f, r := range w {
			var st unix.Statfs_t
			if err := unix.Statfs(f, &st); err == nil && r.low(st) {
				cancel(sandbox.ErrDisk)
				return
			}
		}
	}
}
