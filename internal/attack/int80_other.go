// SPDX-License-Identifier: Apache-2.0

//go:build linux && !amd64

package attack

import "syscall"

func int80(uintptr) syscall.Errno { return syscall.ENOSYS }
