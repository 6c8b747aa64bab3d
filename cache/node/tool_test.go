// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zviz/run/cache/node"
)

func npmFiles(version string) map[string]string {
	return map[string]string{
		"package/package.json": `{"name":"npm","version":"` + version + `"}`, "package/bin/npm-cli.js": "npm", "package/bin/npx-cli.js": "npx",
		"package/lib/deep/er.js": "x",
	}
}

// TestTool: the newest of a range, with the npm that belongs to it, as a tool cache has it.
func TestTool(t *testing.T) {
	n := newNPM(t)
	for _, v := range []string{"22.9.0", "22.14.0", "22.14.1", "24.1.0", "2.0.0"} {
		n.versions[v] = tarball(t, program(v))
	}
	for _, v := range []string{"9.0.0", "10.1.0", "10.12.0", "11.0.0", "11.5.0-pre.1", "100.0.0"} {
		n.npm[v] = tarball(t, npmFiles(v))
	}
	base := t.TempDir()
	s, dir := n.open(t, filepath.Join(base, "node")), filepath.Join(base, "tools")
	for _, tt := range []struct{ in, node, npm string }{{"22", "22.14.1", "10.12.0"}, {"22.14.0", "22.14.0", "10.12.0"}, {"22.9", "22.9.0", "10.12.0"}, {"24", "24.1.0", "11.0.0"}} {
		got, err := s.Tool(t.Context(), tt.in, dir)
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(dir, "node", tt.node, arch()); got.Node != tt.node || got.NPM != tt.npm || got.Dir != want {
			t.Errorf("%s: %+v", tt.in, got)
		}
		for name, want := range map[string]string{"bin/node": "#!/bin/sh\necho v" + tt.node + "\n", "bin/npm": "npm", "bin/npx": "npx", "lib/node_modules/npm/lib/deep/er.js": "x"} {
			if text, err := os.ReadFile(filepath.Join(got.Dir, name)); err != nil || string(text) != want {
				t.Errorf("%s: %s: %q %v", tt.in, name, text, err)
			}
		}
		if st, err := os.Stat(filepath.Join(got.Dir, "bin/npm")); err != nil || st.Mode().Perm() != 0o555 {
			t.Errorf("%v %v", st, err)
		}
		if _, err := os.Stat(got.Dir + ".complete"); err != nil {
			t.Error(err)
		}
	}
	before := n.tarballs.Load()
	if got, err := s.Tool(t.Context(), "22", dir); err != nil || got.NPM != "10.12.0" || n.tarballs.Load() != before {
		t.Errorf("again: %+v %v, %d fetched", got, err, n.tarballs.Load()-before)
	}
	// One that was not completed is made anew.
	broken := filepath.Join(dir, "node/24.1.0", arch())
	if err := os.Remove(broken + ".complete"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(broken, "left"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Tool(t.Context(), "24", dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(broken, "left")); err == nil {
		t.Error("what was left of the broken one is there")
	}
}

func TestToolRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a path out":    {map[string]string{"package/../../evil": "x"}, "not a file below the package"},
		"an absolute":   {map[string]string{"package//evil": "x"}, "not a file below the package"},
		"a link":        {map[string]string{"package/lib": "-> /etc"}, "not a file below the package"},
		"no program":    {map[string]string{"package/bin/npm-cli.js": "x"}, "there is no bin/npx-cli.js"},
		"not a package": {map[string]string{"other/x": "x"}, "there is no bin/npm-cli.js"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNPM(t)
			n.versions["22.0.0"], n.npm["10.0.0"] = tarball(t, program("22.0.0")), tarball(t, tt.files)
			base := t.TempDir()
			_, err := n.open(t, filepath.Join(base, "node")).Tool(t.Context(), "22", filepath.Join(base, "tools"))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Error(err)
			}
			for _, dir := range []string{"tools", "node/tmp", "node/versions"} {
				if left, _ := os.ReadDir(filepath.Join(base, dir)); len(left) > 0 {
					t.Errorf("left in %s: %v", dir, left)
				}
			}
		})
	}
	for text, want := range map[string]bool{"22": true, "22.1": true, "22.1.0": true, "": false, "22.x": false, "22.": false, "../22": false, "22.1.0.0": false, "lts": false} {
		if node.IsRange(text) != want {
			t.Errorf("%q", text)
		}
	}
}
