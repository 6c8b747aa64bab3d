// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package landlock

import "errors"

var errLinux = errors.New("landlock needs Linux")

// ABI returns an error: there is no Landlock outside of Linux.
func ABI() (int, error) { return 0, errLinux }

// Create returns an error: there is no Landlock outside of Linux.
func Create(abi int, scoped bool, rules []Rule) (fd int, err error) { return -1, errLinux }
