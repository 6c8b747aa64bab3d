// SPDX-License-Identifier: Apache-2.0

package sandbox

// number returns the number of a call that a program uses. The child's calls
// are few and stable; those above 424 are the same on both architectures
// (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h).
func number(arch, name string) (uint64, bool) {
	amd64, arm64 := numbers(name)
	switch {
	case amd64 < 0:
		return 0, false
	case arch == "arm64":
		return uint64(arm64), true
	default:
		return uint64(amd64), arch == "amd64"
	}
}

// numbers is a switch and not a map: it is asked a hundred times in each start.
func numbers(name string) (amd64, arm64 int) {
	switch name {
	case "capset":
		return 126, 91
	case "chdir":
		return 80, 49
	case "close":
		return 3, 57
	case "close_range":
		return 436, 436
	case "dup3":
		return 292, 24
	case "execveat":
		return 322, 281
	case "ioctl":
		return 16, 29
	case "keyctl":
		return 250, 219
	case "landlock_add_rule":
		return 445, 445
	case "landlock_restrict_self":
		return 446, 446
	case "mount":
		return 165, 40
	case "move_mount":
		return 429, 429
	case "openat":
		return 257, 56
	case "openat2":
		return 437, 437
	case "pivot_root":
		return 155, 41
	case "prctl":
		return 157, 167
	case "prlimit64":
		return 302, 261
	case "read":
		return 0, 63
	case "seccomp":
		return 317, 277
	case "sethostname":
		return 170, 161
	case "setgroups":
		return 116, 159
	case "setns":
		return 308, 268
	case "setresgid":
		return 119, 149
	case "setresuid":
		return 117, 147
	case "socket":
		return 41, 198
	case "umask":
		return 95, 166
	case "umount2":
		return 166, 39
	case "write":
		return 1, 64
	default:
		return -1, -1
	}
}
