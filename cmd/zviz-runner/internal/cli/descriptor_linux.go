// SPDX-License-Identifier: Apache-2.0

package cli

import "golang.org/x/sys/unix"

// leaveDescriptorOpen opens a descriptor that a program would inherit, unlike
// those that Go opens.
func leaveDescriptorOpen() (undo func() error, err error) {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY, 0)
	if err != nil {
		return func() error { return nil }, err
	}
	return func() error { return unix.Close(fd) }, nil
}
