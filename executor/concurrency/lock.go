// SPDX-License-Identifier: Apache-2.0

package concurrency

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// gateEvery is how often the gate is tried: it is held for less than a millisecond.
const gateEvery = 2 * time.Millisecond

// tryLock locks a file without waiting. Closing it unlocks.
func tryLock(name string, flag int) (*os.File, bool) {
	f, err := os.OpenFile(name, os.O_RDWR|flag|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, false
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil {
			return f, true
		}
		_ = f.Close()
		return nil, false
	}
}

// unlock unlocks and closes. A sandbox that starts meanwhile has a copy of the descriptor
// for a moment, so that closing alone would unlock too late.
func unlock(f *os.File) {
	_ = unix.Flock(int(f.Fd()), unix.LOCK_UN)
	_ = f.Close()
}

// gate is held by whoever reads or changes what is in the folder.
func (g *Groups) gate(ctx context.Context) (open func(), err error) {
	name := filepath.Join(g.dir, gateName)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { unlock(f) }, nil
		case errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.EWOULDBLOCK):
			return nil, errors.Join(&os.PathError{Op: "flock", Path: name, Err: err}, f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), f.Close())
		case <-time.After(gateEvery):
		}
	}
}
