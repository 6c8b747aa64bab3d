// SPDX-License-Identifier: Apache-2.0

package sandbox

// number returns the number of a call that a program uses. The child's calls
// are few and stable; those above 424 are the same on both architectures
// (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h).
func number(arch, name string) (uint64, bool) {
	n, ok := map[string][2]uint64{ // amd64, arm64
		"capset":                 {126, 91},
		"chdir":                  {80, 49},
		"close":                  {3, 57},
		"close_range":            {436, 436},
		"dup3":                   {292, 24},
		"execveat":               {322, 281},
		"ioctl":                  {16, 29},
		"keyctl":                 {250, 219},
		"landlock_add_rule":      {445, 445},
		"landlock_restrict_self": {446, 446},
		"mount":                  {165, 40},
		"move_mount":             {429, 429},
		"openat":                 {257, 56},
		"pivot_root":             {155, 41},
		"prctl":                  {157, 167},
		"prlimit64":              {302, 261},
		"read":                   {0, 63},
		"seccomp":                {317, 277},
		"sethostname":            {170, 161},
		"setgroups":              {116, 159},
		"setns":                  {308, 268},
		"setresgid":              {119, 149},
		"setresuid":              {117, 147},
		"socket":                 {41, 198},
		"umask":                  {95, 166},
		"umount2":                {166, 39},
		"write":                  {1, 64},
	}[name]
	if !ok {
		return 0, false
	}
	if arch == "arm64" {
		return n[1], true
	}
	return n[0], arch == "amd64"
}
