// SPDX-License-Identifier: Apache-2.0

package main

import (
	"golang.org/x/sys/unix"
)

// cost is what a work took, ns: by the clock, and of processors' time, that of the
// programs it started included.
type cost struct{ wall, cpu int64 }

// watch is a stopwatch.
type watch struct{ begin cost }

func startWatch() watch { return watch{now()} }

func (w watch) read() cost {
	end := now()
	return cost{wall: end.wall - w.begin.wall, cpu: end.cpu - w.begin.cpu}
}

// now cannot fail (clock_gettime(2): CLOCK_MONOTONIC; getrusage(2)).
func now() cost {
	var t unix.Timespec
	var self, children unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &self)
	_ = unix.Getrusage(unix.RUSAGE_CHILDREN, &children)
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return cost{
		wall: t.Nano(),
		cpu:  self.Utime.Nano() + self.Stime.Nano() + children.Utime.Nano() + children.Stime.Nano(),
	}
}
