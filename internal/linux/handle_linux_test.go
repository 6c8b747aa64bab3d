// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"errors"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHandleAfterClose: the number of a closed pidfd is the next job's.
func TestHandleAfterClose(t *testing.T) {
	process := func() (*exec.Cmd, int) {
		cmd := exec.CommandContext(t.Context(), "sleep", "60")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		return cmd, fd
	}
	first, fd := process()
	h := NewHandle(fd)
	if err := errors.Join(h.Close(), h.Close()); err != nil {
		t.Fatal(err)
	}
	_ = first.Process.Kill()
	_ = first.Wait()
	second, other := process()
	defer func() { _ = second.Process.Kill(); _ = second.Wait() }()
	if other != fd {
		// The number that was given back is made this one's.
		if err := unix.Dup3(other, fd, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Close(fd) }()
	}
	defer func() { _ = unix.Close(other) }()
	if err := h.Kill(syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("got %v, want ESRCH", err)
	}
	if err := syscall.Kill(second.Process.Pid, 0); err != nil {
		t.Errorf("the other process: %v", err)
	}
	poll := []unix.PollFd{{Fd: int32(other), Events: unix.POLLIN}}
	if n, err := unix.Poll(poll, 100); err != nil || n != 0 {
		t.Errorf("the other process has ended (%v)", err)
	}
}
