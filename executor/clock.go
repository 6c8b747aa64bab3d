// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"os"
	"strings"
	"time"
)

// clock is a moment by two clocks: files are stamped by the wall clock, which may
// be set, and the other one may not. It can be kept on disk.
type clock struct {
	Wall int64  `json:"wall"` // Unix nanoseconds
	Up   int64  `json:"up"`   // nanoseconds since the start of the system
	Boot string `json:"boot"` // which start
}

func readClock() clock {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // without it only the wall clock counts
	return clock{Wall: time.Now().UnixNano(), Up: uptime(), Boot: strings.TrimSpace(string(boot))}
}

// kernelLag is by how much the kernel's times of files may lag behind: one tick,
// 10 ms (current_time in fs/inode.c), twice.
const kernelLag = int64(20 * time.Millisecond)

// since is the earliest time that the kernel can have given to a change made
// after c, in Unix nanoseconds. A clock that was set back meanwhile gives earlier
// times than it showed then.
func (c clock) since(now clock) int64 {
	earliest := c.Wall
	if c.Boot != "" && c.Boot == now.Boot {
		earliest = min(earliest, now.Wall-(now.Up-c.Up))
	}
	return earliest - kernelLag
}
