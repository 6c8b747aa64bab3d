// SPDX-License-Identifier: Apache-2.0

package main

import "golang.org/x/sys/unix"

const (
	sysFstatat = unix.SYS_FSTATAT
	sysArch    = unix.SYS_FSTATAT // there is none
)
