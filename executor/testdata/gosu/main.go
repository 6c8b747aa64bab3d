// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command gosu becomes the user and group with the numbers of its first two
// arguments and executes the rest, by the calls of gosu and su-exec: setgroups,
// setgid, setuid, which Go makes in every thread.
package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
)

func main() {
	if err := become(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "gosu:", err)
		os.Exit(1)
	}
}

func become(args []string) error {
	uid, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	if err := syscall.Setgroups([]int{gid}); err != nil {
		return fmt.Errorf("setgroups: %w", err)
	}
	if err := syscall.Setgid(gid); err != nil {
		return fmt.Errorf("setgid: %w", err)
	}
	if err := syscall.Setuid(uid); err != nil {
		return fmt.Errorf("setuid: %w", err)
	}
	return syscall.Exec(args[3], args[3:], os.Environ())
}
