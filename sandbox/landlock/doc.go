// SPDX-License-Identifier: Apache-2.0

// Package landlock holds file-access rules as data and turns them into a
// ruleset that a child applies to itself. It never restricts the calling
// process.
//
//	abi, err := landlock.ABI()
//	// fd is an O_PATH descriptor of a directory in the job's root
//	set, err := landlock.Create(abi, false, []landlock.Rule{{FD: fd, Dir: true, Right: landlock.Read | landlock.Execute}})
//	// the child: prctl(PR_SET_NO_NEW_PRIVS), landlock_restrict_self(set, 0)
//
// What a ruleset promises: a right that the ABI knows and no rule gives is
// refused with EACCES (EXDEV for a rename between directories), below every
// mount, for the process and all its descendants, for good.
//
// What it cannot do: stat, chdir, chmod, chown, utime and extended attributes
// are not governed by any ABI; truncate needs ABI 3 and ioctl on devices ABI 5
// (see [Ungoverned]). A rule is tied to an inode: one on a directory that is
// mounted over later does not cover what is mounted there, while one on a
// directory above reaches into every mount below it. Descriptors that are open
// before the restriction keep their rights. Device nodes can never be made.
// Network rules are not used: they name ports, not hosts.
//
// Needs ABI 2 (Linux 5.19): before it no file can be moved between directories.
//
// Sources: landlock(7), Documentation/userspace-api/landlock.rst.
package landlock
