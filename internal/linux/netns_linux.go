// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// OnDiscardedThread runs fn on a thread of its own that ends with it, so that fn
// may move the thread into other namespaces. What fn starts with go runs elsewhere.
//
// The main thread is never used: Go cannot end it but parks it for ever, and
// /proc/self/ns would then tell of fn's namespaces (runtime.LockOSThread).
func OnDiscardedThread(fn func() error) error {
	result := make(chan error)
	go lockedThread(fn, result)
	return <-result
}

func lockedThread(fn func() error, result chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// Held here, the main thread cannot be picked for the next try.
		defer runtime.UnlockOSThread()
		retry := make(chan error)
		go lockedThread(fn, retry)
		result <- <-retry
		return
	}
	result <- fn()
}

// NewNetNS moves the calling thread into a new network namespace and returns a
// descriptor of it, close-on-exec. Use it on a discarded thread only.
func NewNetNS() (*os.File, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, os.NewSyscallError("unshare network namespace", err)
	}
	// thread-self, not self: the latter is the main thread's.
	return os.Open("/proc/thread-self/ns/net")
}

// SetNetNS moves the calling thread into a network namespace. Use it on a
// discarded thread only.
func SetNetNS(ns *os.File) error {
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return os.NewSyscallError("setns "+ns.Name(), err)
	}
	return nil
}

// Sysctl writes a value below /proc/sys as the calling thread sees it: what is
// below net belongs to its network namespace.
func Sysctl(path, value string) error {
	f, err := os.OpenFile("/proc/sys/"+path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	if err2 := f.Close(); err == nil {
		err = err2
	}
	if err != nil {
		return fmt.Errorf("sysctl %s=%s: %w", path, value, err)
	}
	return nil
}
