// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"syscall"
)

// ShortageHint says what to do about an error that means that something of the
// machine, or of the runner's own limits, has run out; empty if it means no such
// thing. To go on with less isolation is never the answer.
func ShortageHint(err error) string {
	for _, s := range []struct {
		errno syscall.Errno
		hint  string
	}{
		{syscall.EMFILE, "allow the runner more open files (ulimit -n, LimitNOFILE= of a service), or run fewer jobs at a time"},
		{syscall.ENFILE, "the machine has no open files left: raise fs.file-max"},
		{syscall.EAGAIN, "allow the runner more processes: ulimit -u, or pids.max of its control group"},
		{syscall.ENOMEM, "free memory, or raise the limit of the runner's control group"},
		{syscall.ENOSPC, "free space and inodes on the disk, or one of the limits in /proc/sys/user and /proc/sys/fs"},
		{syscall.EDQUOT, "free space within the quota"},
	} {
		if errors.Is(err, s.errno) {
			return s.hint
		}
	}
	return ""
}
