// SPDX-License-Identifier: Apache-2.0

package pid1

// Command is what process 1 starts.
type Command struct {
	Args []string
	Env  []string
	Tty  int // descriptor that becomes the controlling terminal, or -1
	// Stay: process 1 does not end with the command, but when no process is left.
	Stay bool
	Dir  string // of the command; empty for that of process 1
}

// The record that process 1 writes to descriptor 4, once: two little-endian
// 32-bit words, a kind and a value.
const (
	RecordSize   = 8
	RecordErrno  = 1 // the command could not be started: value is an errno
	RecordStatus = 2 // the command ended: value is a wait status (wait(2))
	RecordDir    = 3 // the command could not enter its directory: value is an errno
)

// ControlFD, StatusFD and CommandFD are where process 1 expects its descriptors; the
// last one only if it waits for its command.
const (
	ControlFD = 3
	StatusFD  = 4
	CommandFD = StatusFD + 4 // those between are the start's own
)

// Name is what process 1 calls itself; at most 15 bytes (PR_SET_NAME, prctl(2)).
const Name = "zviz-init"
