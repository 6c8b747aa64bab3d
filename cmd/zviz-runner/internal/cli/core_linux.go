// SPDX-License-Identifier: Apache-2.0

package cli

import "golang.org/x/sys/unix"

// noCore keeps this process from leaving a core file: it may hold secrets. The
// limit is 1 and not 0, which a core_pattern that starts a program ignores
// (core(5)); undumpable also keeps other processes of the user from reading it.
func noCore() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return err
	}
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &lim); err != nil {
		return err
	}
	lim.Cur = min(1, lim.Max)
	return unix.Setrlimit(unix.RLIMIT_CORE, &lim)
}
