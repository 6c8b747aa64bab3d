// SPDX-License-Identifier: Apache-2.0

package action

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// Kept is a tree in the cache.
type Kept struct {
	Repository Repository `json:"repository"` // in lower case
	Commit     string     `json:"commit"`
	Bytes      int64      `json:"bytes"`
	Used       time.Time  `json:"used"`
}

// List returns the trees, the one used last first.
func (c *Cache) List() ([]Kept, error) {
	var out []Kept
	names, err := fs.Glob(c.root.FS(), "trees/*/*/*/list")
	if err != nil {
		return nil, fmt.Errorf("action cache: %w", err)
	}
	for _, n := range names {
		info, err := c.root.Stat(n)
		if err != nil {
			continue // evicted meanwhile
		}
		b, err := c.root.ReadFile(n)
		if err != nil {
			continue
		}
		size, _, _, _ := listHead(b) // 0 if it is damaged: the next use removes it
		p := strings.Split(n, "/")
		out = append(out, Kept{Repository{p[1], p[2]}, p[3], size, info.ModTime()})
	}
	slices.SortFunc(out, func(a, b Kept) int { return cmp.Or(b.Used.Compare(a.Used), cmp.Compare(a.Commit, b.Commit)) })
	return out, nil
}

// Prune evicts the trees that were not used for the longest time until all have at most a
// number of bytes. Those in use stay, and count.
func (c *Cache) Prune(ctx context.Context, most int64) (evicted []Kept, err error) {
	list, err := c.List()
	if err != nil {
		return nil, err
	}
	var size int64
	for _, k := range list {
		size += k.Bytes
	}
	for _, k := range slices.Backward(list) {
		if size <= most || ctx.Err() != nil {
			break
		}
		gone, err := c.evict(k)
		if err != nil {
			return evicted, err
		}
		if gone {
			size -= k.Bytes
			evicted = append(evicted, k)
		}
	}
	return evicted, nil
}

func (c *Cache) evict(k Kept) (bool, error) {
	name := treeName(k.Repository, k.Commit)
	lock, err := c.folders.TryLock(name, true)
	if lock == nil || err != nil {
		return false, err
	}
	if err := c.remove(name); err != nil {
		return false, errors.Join(err, lock.Close())
	}
	return true, c.folders.Forget(name, lock)
}

// prune is Prune to the limit of Config; what it cannot do the next one does.
func (c *Cache) prune(ctx context.Context) {
	if c.cfg.MaxBytes > 0 {
		_, _ = c.Prune(ctx, c.cfg.MaxBytes)
	}
}
