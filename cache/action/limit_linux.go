// SPDX-License-Identifier: Apache-2.0

package action

import "golang.org/x/sys/unix"

// mostMemory is how much address space git may have: its threads and the windows on packs
// take 2 GiB of it on 64 bits without using them.
const mostMemory = 6 << 30

// boundMemory limits a git that has just been started, and what it starts: a pack may
// unfold to any size. That a process is gone is found by who waits for it.
func boundMemory(pid int) {
	limit := unix.Rlimit{Cur: mostMemory, Max: mostMemory}
	_ = unix.Prlimit(pid, unix.RLIMIT_AS, &limit, nil)
	core := unix.Rlimit{}
	_ = unix.Prlimit(pid, unix.RLIMIT_CORE, &core, nil)
}
