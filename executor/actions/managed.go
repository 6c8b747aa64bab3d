// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/zviz/run/cache/registry"
)

// Kept is the newest Node.js of a major version, or of a newer one, that a version manager
// keeps on this machine; without one the texts are empty. Nothing is started.
func Kept(home string, wanted int) (version, manager string) {
	v, _ := newest(managed(home), wanted)
	return v.version, v.manager
}

// kept is a Node.js that a version manager keeps.
type kept struct {
	version string
	dir     string // bin/node is in there
	manager string
}

// managed are those that the known version managers keep on this machine, by the folders
// that they document.
func managed(home string) []kept {
	var out []kept
	for _, m := range []struct{ name, pattern, after string }{
		{"nvm", home + "/.nvm/versions/node/v*", ""},
		{"fnm", home + "/.local/share/fnm/node-versions/v*", "/installation"},
		{"Volta", home + "/.volta/tools/image/node/*", ""},
		{"mise", home + "/.local/share/mise/installs/node/*", ""},
		{"asdf", home + "/.asdf/installs/nodejs/*", ""},
		{"n", "/usr/local/n/versions/node/*", ""},
		{"the tool cache", "/opt/hostedtoolcache/node/*", "/" + toolArch()},
	} {
		if home == "" && !strings.HasPrefix(m.pattern, "/usr/") && !strings.HasPrefix(m.pattern, "/opt/") {
			continue
		}
		found, _ := filepath.Glob(m.pattern) // the patterns are well-formed
		for _, dir := range found {
			version := strings.TrimPrefix(filepath.Base(dir), "v")
			full, err := filepath.EvalSymlinks(dir + m.after) // a mount's source is no link
			if major(version) == 0 || strings.Count(version, ".") != 2 || err != nil {
				continue
			}
			if info, err := os.Stat(full + "/bin/node"); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				out = append(out, kept{version, full, m.name})
			}
		}
	}
	return out
}

// newest is the newest of a major version; without one, the newest of the next one there
// is.
func newest(list []kept, wanted int) (best kept, found bool) {
	for _, k := range list {
		m := major(k.version)
		switch {
		case m < wanted:
			continue
		case !found, m < major(best.version), m == major(best.version) && registry.CompareVersions(k.version, best.version) > 0:
			best, found = k, true
		}
	}
	return best, found
}
