// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Outcome is the one line that an attempt ends in.
type Outcome string

// broken is the error of what comes before an attempt: its errno is not one
// that stopped the attempt.
func broken(what string, err error) error { return errors.New(what + ": " + err.Error()) }

// killedError is the error of an attempt whose process was ended by a signal.
type killedError struct{ signal syscall.Signal }

func (k killedError) Error() string { return unix.SignalName(k.signal) }

// found is the error of an attempt that ran and got nothing by it: what there is
// instead, in the words of the table ("euid unchanged").
type found string

func (f found) Error() string { return string(f) }

// answer is the error of an attempt that was refused by a peer, in the words of
// its protocol: "403", "NXDOMAIN", "alert 112".
type answer string

func (a answer) Error() string { return string(a) }

// Run makes the attempt in this process or a child of it, and says how it ended:
//
//	BLOCKED EPERM     the kernel refused it; of an allowed one: REFUSED EPERM
//	ESCAPED …         it worked; of an allowed one: WORKS …
//	BROKEN …          it could not be tried
func Run(a Attempt, args []string) Outcome {
	what, err := a.run(args)
	no, yes := "BLOCKED", "ESCAPED"
	if a.Allowed {
		no, yes = "REFUSED", "WORKS"
	}
	if err == nil {
		return Outcome(yes + " " + what)
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return Outcome(no + " " + unix.ErrnoName(errno))
	}
	if a, ok := errors.AsType[answer](err); ok {
		return Outcome(no + " " + string(a))
	}
	if k, ok := errors.AsType[killedError](err); ok {
		return Outcome(no + " " + k.Error())
	}
	if f, ok := errors.AsType[found](err); ok {
		return Outcome(no + " " + f.Error())
	}
	return Outcome(fmt.Sprintf("BROKEN %v", err))
}
