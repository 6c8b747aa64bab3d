// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"github.com/zviz/run/cache/results"
	"github.com/zviz/run/cmd/zviz-runner/internal/runview"
)

// kept are the artifacts of a workflow's run, in the folder of --artifacts or in one that
// goes with the run: its jobs hand files to each other by them.
type kept struct {
	temporary bool
	temp      *runFolder
	below     string // a folder in it; may be empty

	mu  sync.Mutex
	dir string
	run *results.Run // nil: nobody needed it yet
}

// artifactFolders names a folder for the artifacts of each workflow, below that of the call:
// artifacts of two may have the same names. One workflow needs none.
func artifactFolders(list []runnable) []string {
	names := make([]string, len(list))
	if len(list) < 2 {
		return names
	}
	for i, w := range list {
		base := filepath.Base(w.path)
		names[i] = base
		for n := 2; slices.Contains(names[:i], names[i]); n++ {
			names[i] = fmt.Sprintf("%s-%d", base, n)
		}
	}
	return names
}

// keep is for the artifacts of a workflow; temp is the call's own folder. That of
// --artifacts is opened at once, so that nothing runs if it cannot be used; the run's own
// when a job may have some.
func (r *running) keep(temp *runFolder, below string) (*kept, error) {
	k := &kept{temporary: r.artifacts == "", temp: temp, dir: r.artifacts, below: below}
	if k.temporary {
		return k, nil
	}
	if _, err := k.open(); err != nil {
		return nil, failure{Code: "usage.argument", What: badValue("--artifacts", r.artifacts, err), Fix: hint(err), Exit: exitUsage, err: err}
	}
	return k, nil
}

// open opens it, once.
func (k *kept) open() (*results.Run, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.run != nil {
		return k.run, nil
	}
	if k.temporary {
		dir, err := k.temp.dir()
		if err != nil {
			return nil, err
		}
		k.dir = filepath.Join(dir, "artifacts")
	}
	k.dir = filepath.Join(k.dir, k.below)
	var err error
	k.run, err = results.Open(results.Config{Dir: k.dir, Temporary: k.temporary})
	return k.run, err
}

func (k *kept) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.run == nil {
		return nil
	}
	return k.run.Close()
}

// list is what the summary shows.
func (k *kept) list() []runview.Artifact {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.run == nil {
		return nil
	}
	var out []runview.Artifact
	for _, a := range k.run.Artifacts() {
		shown := runview.Artifact{Name: a.Name, Bytes: a.Size}
		if !k.temporary {
			shown.Path = filepath.Join(k.dir, a.File)
		}
		out = append(out, shown)
	}
	return out
}
