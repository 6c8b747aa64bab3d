// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"syscall"
	"time"
)

// Cause says who ended a command.
type Cause string

// The causes.
const (
	CauseExited     Cause = "exited"
	CauseSignalled  Cause = "signalled"
	CauseTimeout    Cause = "timeout"
	CauseOOM        Cause = "oom"
	CauseDisk       Cause = "disk"
	CauseCancelled  Cause = "cancelled"
	CauseNotStarted Cause = "not_started" // not found, not executable
)

// OpDir is the operation of the *fs.PathError that Start returns if Cmd.Dir cannot be
// entered.
const OpDir = "working directory"

// ErrDisk as the cause of the context of Start ends the command with CauseDisk,
// and at once: in a time of grace it would write on.
var ErrDisk = errors.New("the disk is almost full")

// Result is what became of a command. A command that fails is a Result, not an
// error.
type Result struct {
	ExitCode int // 0–255; 126 and 127 with CauseNotStarted
	Signal   syscall.Signal
	Cause    Cause
	StartErr syscall.Errno // why the command could not be started, with CauseNotStarted
	Usage    Usage
	Denials  []Denial
}

// Usage is what the command and all its descendants took.
type Usage struct {
	Wall, User, System time.Duration
	MemoryPeakBytes    int64 // 0 if the kernel does not tell
	PidsPeak           int   // 0 if the kernel does not tell
	PidsDenied         int   // forks that failed at the limit
	OOMKills           int   // processes that the memory limit killed
}

// Denial is one kind of system call that was refused, and how often.
type Denial struct {
	Syscall string        `json:"syscall"`
	Errno   syscall.Errno `json:"-"`
	Count   int           `json:"count"`
	PID     int           `json:"pid"` // of the first one, as the host sees it
	Exe     string        `json:"exe"`
}
