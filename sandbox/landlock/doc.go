// SPDX-License-Identifier: Apache-2.0

// Package landlock holds file-access rules as data and turns them into a
// ruleset that a child applies to itself. It never restricts the calling
// process. Only file rights are handled: network rules name ports, not hosts.
//
// Sources: landlock(7), Documentation/userspace-api/landlock.rst.
package landlock
