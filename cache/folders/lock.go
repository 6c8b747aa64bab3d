// SPDX-License-Identifier: Apache-2.0

package folders

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"time"
)

// Lock waits for the lock of a key: alone to make or remove what it is for, with others
// to use it. Closing the file gives it back.
func (f *Folders) Lock(ctx context.Context, key string, alone bool) (*os.File, error) {
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		lock, err := f.TryLock(key, alone)
		if lock != nil || err != nil {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// TryLock is Lock without waiting: nil if somebody has it.
func (f *Folders) TryLock(key string, alone bool) (*os.File, error) {
	lock, err := f.Root.OpenFile(lockName(key), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	// Forget removes a lock's file: one without a name is nobody's.
	if tryLock(lock, alone) && linked(lock) {
		return lock, nil
	}
	_ = lock.Close()
	return nil, nil //nolint:nilnil // somebody has it
}

// Forget gives a lock back that was held alone, of something that is no more.
func (f *Folders) Forget(key string, lock *os.File) error {
	return errors.Join(f.Root.Remove(lockName(key)), lock.Close())
}

// lockName is short whatever the key is.
func lockName(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "locks/" + hex.EncodeToString(sum[:16])
}
