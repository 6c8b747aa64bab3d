// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"path/filepath"
	"sync"

	"github.com/zviz/run/cache/folders"
)

// runFolder is a folder of one call of run, made when something needs it. What a killed one
// left goes when the next is opened.
type runFolder struct {
	all *folders.Folders

	mu   sync.Mutex
	temp *folders.Temp
}

func openRunFolder(state string) (*runFolder, error) {
	all, err := folders.Open(filepath.Join(state, "runs"))
	if err != nil {
		return nil, err
	}
	return &runFolder{all: all}, nil
}

// dir makes the folder, unless it is there.
func (f *runFolder) dir() (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.temp == nil {
		var err error
		if f.temp, err = f.all.Temp(); err != nil {
			return "", err
		}
	}
	return filepath.Join(f.all.Dir, f.temp.Name), nil
}

func (f *runFolder) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.temp != nil {
		f.temp.Discard()
	}
	return f.all.Close()
}
