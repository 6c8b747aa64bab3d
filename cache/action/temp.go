// SPDX-License-Identifier: Apache-2.0

package action

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// temp is a folder that goes with who made it.
type temp struct {
	c    *Cache
	name string
	lock *os.File
}

// temp makes a folder. Its lock is made first, so that nobody finds one without.
func (c *Cache) temp() (*temp, error) {
	for range 10 {
		t := &temp{c: c, name: "tmp/" + rand.Text()}
		var err error
		if t.lock, err = c.root.OpenFile(t.name+".lock", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return nil, fmt.Errorf("action cache: %w", err)
		}
		if !tryLock(t.lock, true) || !linked(t.lock) {
			_ = t.lock.Close() // a sweep was between the two
			continue
		}
		if err := c.root.Mkdir(t.name, 0o700); err != nil {
			t.discard()
			return nil, fmt.Errorf("action cache: %w", err)
		}
		return t, nil
	}
	return nil, errors.New("action cache: somebody removes every new file in tmp")
}

// discard removes it; what is left the next Open removes.
func (t *temp) discard() {
	if t.c.root.RemoveAll(t.name) == nil {
		_ = t.c.root.Remove(t.name + ".lock")
	}
	_ = t.lock.Close()
}

// sweep removes what dead runners left.
func (c *Cache) sweep() {
	entries, err := fs.ReadDir(c.root.FS(), "tmp")
	if err != nil {
		return
	}
	for _, e := range entries {
		name := path.Join("tmp", e.Name())
		folder, isLock := strings.CutSuffix(name, ".lock")
		if !isLock {
			// A note of a ref is written in moments; a folder has a lock beside it.
			_, err := c.root.Lstat(name + ".lock")
			if info, e := e.Info(); e == nil && err != nil && time.Since(info.ModTime()) > time.Hour {
				_ = c.root.RemoveAll(name)
			}
			continue
		}
		f, err := c.root.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if tryLock(f, true) && linked(f) && c.root.RemoveAll(folder) == nil {
			_ = c.root.Remove(name)
		}
		_ = f.Close()
	}
}
