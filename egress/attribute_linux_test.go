// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/internal/testenv"
)

// TestDescribe looks at a process that claims to be a lifecycle script.
func TestDescribe(t *testing.T) {
	sleep, err := filepath.EvalSymlinks(testenv.NeedTool(t, "sleep"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), sleep, "60")
	cmd.Env = []string{"npm_package_name=left-pad", "npm_package_version=1.3.0", "npm_lifecycle_event=postinstall", "NPM_TOKEN=secret"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	self, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	want := origin{
		Process: Process{PID: cmd.Process.Pid, Exe: sleep, Argv0: sleep, Chain: []string{string(self[:len(self)-1]), filepath.Base(sleep)}},
		Package: Package{Pkg: "left-pad@1.3.0", Script: "postinstall", PkgBy: EvidenceClaimed},
	}
	var got origin
	for range 500 { // between fork and exec it is still us
		got = describe(cmd.Process.Pid, []int{os.Getpid(), cmd.Process.Pid})
		if got.Exe == sleep && got.Script != "" && got.Argv0 != "" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(origin{})); diff != "" {
		t.Errorf("process (-want +got):\n%s", diff)
	}
}

func TestSearchBudget(t *testing.T) {
	a := &attributor{}
	now := time.Unix(1000, 0)
	if !a.begin(now) {
		t.Error("no time for the first search")
	}
	a.end(time.Second, 7)
	if a.begin(now.Add(time.Second)) {
		t.Error("time for a search, after one that took a second")
	}
	if !a.begin(now.Add(5 * time.Second)) {
		t.Error("no time for a search, though it was quiet")
	}
}

func TestReadStatOfOddName(t *testing.T) {
	if _, _, ok := readStat(-1); ok {
		t.Error("a process -1")
	}
	name, parent, ok := readStat(os.Getpid())
	if !ok || name == "" || parent != os.Getppid() {
		t.Errorf("got %q %d %v", name, parent, ok)
	}
}
