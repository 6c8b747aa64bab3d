// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"path/filepath"

	"github.com/zviz/run/cache/folders"
)

// runFolder is a folder of one call of run. What a killed one left goes with the next.
type runFolder struct {
	dir  string
	all  *folders.Folders
	temp *folders.Temp
}

func openRunFolder(state string) (*runFolder, error) {
	all, err := folders.Open(filepath.Join(state, "runs"))
	if err != nil {
		return nil, err
	}
	temp, err := all.Temp()
	if err != nil {
		return nil, errors.Join(err, all.Close())
	}
	return &runFolder{filepath.Join(all.Dir, temp.Name), all, temp}, nil
}

func (f *runFolder) close() error {
	f.temp.Discard()
	return f.all.Close()
}
