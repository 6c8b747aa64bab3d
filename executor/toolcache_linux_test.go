// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
)

// TestToolCache: a job finds the operator's tools, may add its own and change what it
// sees, its later steps have that, and the operator's folder and other jobs do not.
func TestToolCache(t *testing.T) {
	testenv.NeedRoot(t)
	dir := t.TempDir()
	bin := filepath.Join(dir, "node/1.2.3/x64/bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "node"), []byte("#!/bin/sh\necho v1.2.3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("node", filepath.Join(bin, "alias")); err != nil {
		t.Fatal(err)
	}
	const inside = executor.ToolCache + "/node/1.2.3/x64/bin"
	for _, profile := range []string{"ci", "root"} {
		t.Run(profile, func(t *testing.T) {
			r := executor.CellRequest{ToolCache: dir, Policy: executor.Policy{Profile: profile}}
			if profile == "root" {
				r.Policy.Rootfs = smallRoot(t)
			}
			for _, who := range []string{"first", "second"} {
				cell := openCell(t, r)
				out, res := step(t, cell, `set -e; cd `+inside+`; ./node; ./alias; test ! -e ../own; echo "#!/bin/sh" > ../own; chmod 755 ../own
					mkdir ../../../x; echo "echo changed" >> node`)
				if res.ExitCode != 0 || out != "v1.2.3\nv1.2.3\n" {
					t.Fatalf("%s job: %+v: %q", who, res, out)
				}
				if out, res = step(t, cell, inside+`/node; ls `+executor.ToolCache+`/node`); res.ExitCode != 0 || out != "v1.2.3\nchanged\n1.2.3\nx\n" {
					t.Errorf("%s job, later: %+v: %q", who, res, out)
				}
				for name, want := range map[string]string{"node": inside + "/node", "alias": inside + "/alias", "../own": executor.ToolCache + "/node/1.2.3/x64/own", "none": ""} {
					if got := cell.LookPath(name, []string{inside}); got != want && (want != "" || strings.HasPrefix(got, executor.ToolCache)) {
						t.Errorf("%s is at %q, want %q", name, got, want)
					}
				}
			}
			if text, err := os.ReadFile(filepath.Join(bin, "node")); err != nil || strings.Contains(string(text), "changed") {
				t.Errorf("the operator's folder: %q %v", text, err)
			}
			if _, err := os.Lstat(filepath.Join(dir, "node/x")); err == nil {
				t.Error("the operator's folder has what a job made")
			}
		})
	}
}
