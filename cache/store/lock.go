// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"os"
	"path"
	"time"
)

// Lock waits until nobody else on this machine holds the key, and returns what
// gives it back. It is how one of several processes fetches, and the others find
// what it fetched.
func (s *Store) Lock(ctx context.Context, key string) (unlock func(), err error) {
	name := "locks/" + path.Base(indexPath(key))
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		f, err := s.root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		// Who gives a lock back removes its file: one without a name is nobody's.
		if tryLock(f, true) && linked(f) {
			return func() {
				_ = s.root.Remove(name)
				_ = f.Close()
			}, nil
		}
		_ = f.Close()
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// gateWait is how long a commit or an eviction waits for the other. Both hold the
// gate for moments; a process that was stopped with it must not stop the rest.
const gateWait = 10 * time.Second

// gate keeps eviction (exclusive) and commits (shared) apart.
func (s *Store) gate(exclusive bool) (unlock func(), err error) {
	f, err := s.root.OpenFile("locks/gate", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	for waited, wait := time.Duration(0), time.Millisecond; !tryLock(f, exclusive); wait = min(2*wait, 50*time.Millisecond) {
		if waited > s.wait {
			_ = f.Close()
			return nil, fmt.Errorf("store %s: another process holds locks/gate", s.dir)
		}
		time.Sleep(wait)
		waited += wait
	}
	return func() { _ = f.Close() }, nil
}
