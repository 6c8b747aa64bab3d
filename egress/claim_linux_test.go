// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/zviz/run/internal/testenv"
)

func TestPackageFolder(t *testing.T) {
	for dir, want := range map[string]string{
		"/w/node_modules/left-pad":                    "left-pad",
		"/w/node_modules/left-pad/lib":                "left-pad",
		"/w/node_modules/@a/b/lib":                    "@a/b",
		"/w/node_modules/x/node_modules/y":            "y",
		"/w/node_modules/.pnpm/x@1.0/node_modules/@s": "@s/",
		"/w/node_modules":                             "",
		"/w":                                          "",
		"/":                                           "",
	} {
		if got := packageFolder(dir); got != want {
			t.Errorf("%s: got %q, want %q", dir, got, want)
		}
	}
	for pkg, want := range map[string]string{"left-pad@1.3.0": "left-pad", "@a/b@1": "@a/b", "@a/b": "@a/b", "": ""} {
		if got := nameOf(pkg); got != want {
			t.Errorf("name of %q: got %q, want %q", pkg, got, want)
		}
	}
}

// A claim is proven only where the runner saw every process that makes it in the
// folder of that package: one who borrows another's name is not believed.
func TestClaimIsProvenByFolders(t *testing.T) {
	sh := testenv.NeedTool(t, "sh")
	top := t.TempDir()
	for _, name := range []string{"left-pad", "other"} {
		if err := os.MkdirAll(filepath.Join(top, "node_modules", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name, dir, script string
		want              Package
	}{
		{"in its folder", "node_modules/left-pad", `read x`, Package{"left-pad@1.3.0", "postinstall", EvidenceProven}},
		{"a child elsewhere", "node_modules/left-pad", `(cd /; read x)`, Package{"left-pad@1.3.0", "postinstall", EvidenceProven}},
		{"a child without its environment", "node_modules/left-pad", `env -i cat`, Package{"left-pad@1.3.0", "postinstall", EvidenceProven}},
		{"a borrowed name", "node_modules/other", `read x`, Package{"left-pad@1.3.0", "postinstall", EvidenceClaimed}},
		{"a child in another's folder", "node_modules/other", `(cd ../left-pad; read x)`, Package{"left-pad@1.3.0", "postinstall", EvidenceClaimed}},
		{"in no folder", ".", `read x`, Package{"left-pad@1.3.0", "postinstall", EvidenceClaimed}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), sh, "-c", "exec <&3; "+tt.script+"; :")
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			defer w.Close()
			cmd.ExtraFiles = []*os.File{r}
			cmd.Dir = filepath.Join(top, tt.dir)
			cmd.Env = append(os.Environ(), "npm_package_name=left-pad", "npm_package_version=1.3.0", "npm_lifecycle_event=postinstall")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = w.Close() // every reader ends
				_ = cmd.Wait()
			})
			var got Package
			for range 500 {
				pids := family(t, cmd.Process.Pid)
				got = packageOf(pids[len(pids)-1], pids)
				if got == tt.want {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Errorf("got %+v, want %+v", got, tt.want)
		})
	}
}

// family is a process and the youngest of its descendants, eldest first.
func family(t *testing.T, pid int) []int {
	t.Helper()
	out := []int{pid}
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		var p int
		if _, err := fmt.Sscan(filepath.Base(filepath.Dir(name)), &p); err != nil {
			continue
		}
		if _, parent, ok := readStat(p); ok && parent == out[len(out)-1] {
			out = append(out, p)
		}
	}
	return out
}
