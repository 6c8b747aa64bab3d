// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox"
)

// TestInotifyIsChargedToTheJob: jobs that together hold more inotify instances than
// one user may have take none from the runner's user.
func TestInotifyIsChargedToTheJob(t *testing.T) {
	testenv.NeedTool(t, "python3")
	spec, probe := newSpec(t)
	text, err := os.ReadFile("/proc/sys/fs/inotify/max_user_instances")
	if err != nil {
		t.Fatal(err)
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	const each = 64 // inotifyLimits
	jobs := most/each + 1
	if jobs > 8 { // a machine with a raised limit: what follows would only show less
		jobs = 2
	}
	id, state, base := spec.ID, spec.StateDir, spec.IDs.UIDs[0].Outside
	hold, release := io.Pipe()
	t.Cleanup(func() { _ = release.Close() })
	for n := range jobs {
		spec.ID, spec.StateDir, spec.IDs.UIDs[0].Outside = fmt.Sprintf("%s-%d", id, n), fmt.Sprintf("%s/%d", state, n), base+uint32(n)*spec.IDs.UIDs[0].Count
		if err := os.Mkdir(spec.StateDir, 0o755); err != nil {
			t.Fatal(err)
		}
		said := make(lines, 1)
		_, p := start(t, t.Context(), spec, probe, sandbox.Cmd{
			Args: []string{"python3", "-c", `import ctypes, sys
c = ctypes.CDLL(None)
print(sum(c.inotify_init() >= 0 for _ in range(200)), flush=True)
sys.stdin.read()`},
			Env: []string{"PATH=/usr/bin:/bin"}, Dir: "/", Stdin: hold, Stdout: said,
		})
		if got := <-said; got != strconv.Itoa(each)+"\n" {
			t.Fatalf("job %d has %q instances, want %d", n, got, each)
		}
		// Who is charged is who owns the namespace (ioctl_nsfs(2)).
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", p.PID()))
		if err != nil {
			t.Fatal(err)
		}
		owner, err := unix.IoctlGetUint32(int(ns.Fd()), unix.NS_GET_OWNER_UID)
		if err != nil || owner != spec.IDs.UIDs[0].Outside+spec.IDs.UID {
			t.Errorf("the namespace belongs to %d %v", owner, err)
		}
		if err := ns.Close(); err != nil {
			t.Error(err)
		}
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		t.Fatalf("the runner's user has none left: %v", err)
	}
	if err := unix.Close(fd); err != nil {
		t.Error(err)
	}
}

// lines hands on what is written, write by write.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(bytes.Clone(b))
	return len(b), nil
}
