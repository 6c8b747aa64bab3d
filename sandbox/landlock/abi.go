// SPDX-License-Identifier: Apache-2.0

package landlock

import ll "github.com/landlock-lsm/go-landlock/landlock/syscall"

// MinABI is the least ABI that Create accepts. ABI 1 refuses every rename and
// link between directories, which no build survives.
const MinABI = 2

// ScopeABI is the least ABI that knows scopes (Linux 6.12).
const ScopeABI = 6

// Handled returns the file rights of the kernel that a ruleset governs at an
// ABI: all that it knows, up to those of ABI 5. Rights of later ABIs are left
// alone until a Right of ours stands for them.
func Handled(abi int) uint64 {
	switch {
	case abi < 1:
		return 0
	case abi < 2:
		return ll.AccessFSRefer - 1 // 5.13
	case abi < 3:
		return ll.AccessFSTruncate - 1 // 5.19
	case abi < 5:
		return ll.AccessFSIoctlDev - 1 // 6.2; ABI 4 added the network only
	default:
		return ll.AccessFSResolveUnix - 1 // 6.10
	}
}

// Ungoverned names what a ruleset cannot govern at an ABI although a Right
// stands for it. The caller covers it by other means and reports it.
func Ungoverned(abi int) []string {
	var names []string
	if abi < 3 {
		names = append(names, "truncate")
	}
	if abi < 5 {
		names = append(names, "ioctl")
	}
	return names
}

// Kernel returns the kernel's rights that r stands for at an ABI, for a
// directory.
func (r Right) Kernel(abi int) uint64 {
	var k uint64
	if r&Read != 0 {
		k |= ll.AccessFSReadFile | ll.AccessFSReadDir
	}
	if r&Execute != 0 {
		k |= ll.AccessFSExecute
	}
	if r&Write != 0 {
		k |= ll.AccessFSWriteFile | ll.AccessFSTruncate
	}
	if r&Make != 0 {
		// REFER on both directories is what a rename between them needs.
		k |= ll.AccessFSMakeReg | ll.AccessFSMakeDir | ll.AccessFSMakeSym | ll.AccessFSMakeSock | ll.AccessFSMakeFifo |
			ll.AccessFSRemoveFile | ll.AccessFSRemoveDir | ll.AccessFSRefer
	}
	if r&Ioctl != 0 {
		k |= ll.AccessFSIoctlDev
	}
	return k & Handled(abi)
}

// ofFile is all that a rule on something else than a directory may carry;
// landlock_add_rule(2) answers EINVAL to the rest.
const ofFile = ll.AccessFSExecute | ll.AccessFSWriteFile | ll.AccessFSReadFile | ll.AccessFSTruncate | ll.AccessFSIoctlDev
