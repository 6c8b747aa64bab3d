// SPDX-License-Identifier: Apache-2.0

// Package seccomp decides which system calls a job may make, and turns the
// decision into a BPF program for the kernel.
//
//	prog, err := seccomp.CI().Compile(seccomp.Native())
//	// prog has the layout of struct sock_filter[]; the child loads it with
//	// seccomp(SECCOMP_SET_MODE_FILTER) just before execve
//
// One table says it all; it is read in two ways. [Profile.Verdict] answers from
// the table itself, [Profile.Compile] makes a program that must agree with it
// for every number, argument and ABI. Tests compare the two, compare both with
// libseccomp's program for the same table, and ask a real kernel.
//
// What the filter promises:
//
//   - A call of a foreign ABI (int 0x80, AArch32) kills the process; x32 numbers
//     get ENOSYS. Both are tested before anything else.
//   - A number that nobody listed gets ENOSYS, as from a kernel that does not
//     know the call, so that programs fall back instead of failing.
//   - Arguments are compared by their low 32 bits, the bits that the kernel
//     uses, and always against what is allowed, never against what is not: a
//     64-bit comparison with a forbidden value is passed by setting a high bit
//     (CVE-2019-10063).
//   - Calls that show an attack or a missing permission are answered by a
//     supervisor (SECCOMP_RET_USER_NOTIF), so that a report can name them. The
//     supervisor answers with [Profile.Answer] and never lets such a call
//     continue: its arguments in memory can change under its eyes.
//   - Frequent calls are allowed by number alone, so that the kernel (5.11)
//     serves them from a bitmap without running the program.
//
// What it cannot do: see memory. File names, socket addresses and the struct of
// clone3 are out of its reach; Landlock, namespaces and the network cover those.
// Without a listener the kernel answers a notified call with ENOSYS. From 6.14
// on the kernel lets uretprobe and uprobe of amd64 pass every filter; made by
// anything but its own trampolines they end in SIGILL.
//
// Needs Linux 5.0 (user notification), amd64 or arm64. The package itself is
// plain computation and works on every platform.
//
// Sources: seccomp(2), seccomp_unotify(2), Documentation/userspace-api/seccomp_filter.rst.
package seccomp
