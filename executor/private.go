// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"path/filepath"

	"github.com/zviz/run/sandbox"
)

// keepApart refuses files of the operator's that the job could read: what it sees of
// this machine must hold none of them.
func keepApart(files []string, spec sandbox.Spec) error {
	for _, name := range files {
		path, err := filepath.Abs(name)
		if err == nil {
			path, err = filepath.EvalSymlinks(path)
		}
		if err != nil {
			return plain(err)
		}
		var seen []string
		for _, m := range spec.Mounts {
			seen = append(seen, m.Source)
		}
		for _, e := range spec.Root.Entries {
			if e.Source != "" {
				seen = append(seen, e.Source)
			}
		}
		if spec.Root.Path != "" {
			seen = append(seen, spec.Root.Path)
		}
		for _, dir := range seen {
			if resolved, err := filepath.EvalSymlinks(dir); err == nil {
				dir = resolved
			}
			if below(dir, path) {
				return hinted{name + " lies in " + dir + ", which the command sees", "keep it outside of the workspace, of the machine's tools and of every --mount"}
			}
		}
	}
	return nil
}
