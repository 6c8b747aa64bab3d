// SPDX-License-Identifier: Apache-2.0

// Command become enters the control groups of an ordinary user, becomes the user
// and then the program that the file beside it names, with the same arguments,
// environment, descriptors and process. See internal/testuser.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/zviz/run/internal/testuser"
)

func main() {
	fmt.Fprintf(os.Stderr, "become: %v\n", become())
	os.Exit(99)
}

func become() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(testuser.ConfigFile(self))
	if err != nil {
		return err
	}
	var c testuser.Config
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	if c.ID == 0 || c.Program == "" {
		return errors.New("bug: the file names no user, or no program")
	}
	for _, dir := range c.Groups {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
			return err
		}
	}
	if err := errors.Join(
		os.NewSyscallError("setgroups", syscall.Setgroups(nil)),
		os.NewSyscallError("setgid", syscall.Setgid(c.ID)),
		os.NewSyscallError("setuid", syscall.Setuid(c.ID)),
	); err != nil {
		return err
	}
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "HOME=") })
	args := append([]string{c.Program}, os.Args[1:]...)
	return &os.PathError{Op: "execve", Path: c.Program, Err: syscall.Exec(c.Program, args, append(env, "HOME="+c.Home))}
}
