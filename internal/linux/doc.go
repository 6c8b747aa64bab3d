// SPDX-License-Identifier: Apache-2.0

// Package linux holds the kernel calls and constants that golang.org/x/sys
// lacks, and the one path that starts a sandboxed child: Spawn, a raw clone3
// whose child walks a list of system calls.
package linux
