// SPDX-License-Identifier: Apache-2.0

package folders

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// Temp is a folder that goes with who made it.
type Temp struct {
	Name string // below Root
	f    *Folders
	lock *os.File
}

// Temp makes a folder. Its lock is made first, so that nobody finds one without.
func (f *Folders) Temp() (*Temp, error) {
	for range 10 {
		t := &Temp{f: f, Name: "tmp/" + rand.Text()}
		var err error
		if t.lock, err = f.Root.OpenFile(t.Name+".lock", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return nil, err
		}
		if !tryLock(t.lock, true) || !linked(t.lock) {
			_ = t.lock.Close() // a sweep was between the two
			continue
		}
		if err := f.Root.Mkdir(t.Name, 0o700); err != nil {
			t.Discard()
			return nil, err
		}
		return t, nil
	}
	return nil, errors.New("somebody removes every new file in tmp")
}

// Discard removes it; what is left the next Open removes.
func (t *Temp) Discard() {
	if t.f.Root.RemoveAll(t.Name) == nil {
		_ = t.f.Root.Remove(t.Name + ".lock")
	}
	_ = t.lock.Close()
}

// sweep removes what dead runners left.
func (f *Folders) sweep() {
	entries, err := fs.ReadDir(f.Root.FS(), "tmp")
	if err != nil {
		return
	}
	for _, e := range entries {
		name := path.Join("tmp", e.Name())
		folder, isLock := strings.CutSuffix(name, ".lock")
		if !isLock {
			// A file is written in moments; a folder has a lock beside it.
			_, err := f.Root.Lstat(name + ".lock")
			if info, e := e.Info(); e == nil && err != nil && time.Since(info.ModTime()) > time.Hour {
				_ = f.Root.RemoveAll(name)
			}
			continue
		}
		lock, err := f.Root.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if tryLock(lock, true) && linked(lock) && f.Root.RemoveAll(folder) == nil {
			_ = f.Root.Remove(name)
		}
		_ = lock.Close()
	}
}
