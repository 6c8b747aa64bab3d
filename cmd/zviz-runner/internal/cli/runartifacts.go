// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"path/filepath"

	"github.com/zviz/run/cache/results"
	"github.com/zviz/run/cmd/zviz-runner/internal/runview"
)

// kept are the artifacts of a workflow's run, in the folder of --artifacts or in one that
// goes with the run: its jobs hand files to each other by them.
type kept struct {
	*results.Run
	dir       string
	temporary bool
}

// keep opens the folder for the artifacts of a workflow; temp is the call's own. If there
// are several, each has a folder below: their artifacts may have the same names.
func (r *running) keep(temp string, w runnable, several bool) (_ *kept, err error) {
	k := &kept{dir: r.artifacts}
	if k.dir == "" {
		k.temporary, k.dir = true, filepath.Join(temp, "artifacts")
	}
	if several {
		k.dir = filepath.Join(k.dir, filepath.Base(w.path))
	}
	if k.Run, err = results.Open(results.Config{Dir: k.dir, Temporary: k.temporary}); err != nil && !k.temporary {
		return nil, failure{Code: "usage.argument", What: badValue("--artifacts", r.artifacts, err), Fix: hint(err), Exit: exitUsage, err: err}
	}
	return k, err
}

// list is what the summary shows.
func (k *kept) list() []runview.Artifact {
	var out []runview.Artifact
	for _, a := range k.Artifacts() {
		shown := runview.Artifact{Name: a.Name, Bytes: a.Size}
		if !k.temporary {
			shown.Path = filepath.Join(k.dir, a.File)
		}
		out = append(out, shown)
	}
	return out
}
