// SPDX-License-Identifier: Apache-2.0

package attack

import "syscall"

//go:noescape
func int80(nr uintptr) syscall.Errno
