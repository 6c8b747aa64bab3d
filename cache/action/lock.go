// SPDX-License-Identifier: Apache-2.0

package action

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"time"
)

// lock waits for the lock of a commit: exclusive to fetch or evict it, shared to use it.
// Who evicts removes the lock's file too: one without a name is nobody's.
func (c *Cache) lock(ctx context.Context, r Repository, commit string, exclusive bool) (*os.File, error) {
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		f, err := c.lockNow(r, commit, exclusive)
		if f != nil || err != nil {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// lockNow is lock without waiting: nil if somebody has it.
func (c *Cache) lockNow(r Repository, commit string, exclusive bool) (*os.File, error) {
	f, err := c.root.OpenFile(lockName(r, commit), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("action cache: %w", err)
	}
	if tryLock(f, exclusive) && linked(f) {
		return f, nil
	}
	_ = f.Close()
	return nil, nil //nolint:nilnil // somebody has it
}

// lockName is short whatever the names are.
func lockName(r Repository, commit string) string {
	sum := sha256.Sum256([]byte(r.folder() + "@" + commit))
	return "locks/" + hex.EncodeToString(sum[:16])
}
