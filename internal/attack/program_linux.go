// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// runs makes an attempt of a program of the root file system: it succeeds if the
// program does, and fails by the errno whose text the program prints.
func runs(name string, args ...string) func([]string) (string, error) {
	return func([]string) (string, error) {
		out, err := output(nil, name, args...)
		if err == nil {
			return name + " worked", nil
		}
		return "", refusal(out, err)
	}
}

// output runs a program to its end, and returns what it prints to both outputs.
func output(env []string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), 30*time.Second, errors.New(name+" does not end"))
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		err = broken(name, context.Cause(ctx))
	}
	return out.String(), err
}

// refusal is why a program that ran failed.
func refusal(out string, err error) error {
	if _, ok := errors.AsType[*exec.ExitError](err); !ok {
		return broken("start", err) // its errno is not that of the attempt
	}
	if errno, ok := errnoIn(out); ok {
		return errno
	}
	return found("exit non-zero")
}

// errnoIn finds the first text of an errno in what a program printed.
func errnoIn(out string) (syscall.Errno, bool) {
	low, first, which := strings.ToLower(out), len(out), syscall.Errno(0)
	for _, e := range []syscall.Errno{syscall.EPERM, syscall.EACCES, syscall.ENOSYS, syscall.EROFS, syscall.EINVAL, syscall.ENOENT} {
		if i := strings.Index(low, e.Error()); i >= 0 && i < first {
			first, which = i, e
		}
	}
	return which, which != 0
}
