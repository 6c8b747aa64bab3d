// SPDX-License-Identifier: Apache-2.0

//go:build linux

package attack_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/attack"
	"github.com/zviz/run/internal/testenv"
)

// aboutKernel reports whether TestKernelAttempts has the row: those of the
// classes namespace, capability and seccomp.
func aboutKernel(id string) bool {
	class, _, _ := strings.Cut(id, "-")
	return slices.Contains([]string{"ns", "cap", "sc"}, class)
}

// privilegedFile is what a row runs that wants a copy of the program with
// privileges in the file system.
func privilegedFile(id string) string {
	return map[string]string{"cap-04": "with-capabilities", "cap-05": "set-user-id"}[id]
}

// kernelRig is a rig with copies of the program that have privileges: in the
// workspace and in a folder that is a root file system and holds little else.
type kernelRig struct {
	rig
	root string
}

func newKernelRig(t *testing.T) kernelRig {
	t.Helper()
	r := kernelRig{rig: newRig(t)}
	r.root = r.folder(t)
	bin := filepath.Join(r.root, "usr", "bin")
	for _, dir := range []string{bin, filepath.Join(r.root, "etc")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range slices.Compact([]string{r.workspace, r.outside, bin}) {
		for _, id := range []string{"cap-04", "cap-05"} {
			copyFile(t, r.program, filepath.Join(dir, privilegedFile(id)))
		}
		// capabilities(7), struct vfs_cap_data: revision 2 with the effective bit, permitted
		// and inheritable of 32 capabilities each, twice.
		data := binary.LittleEndian.AppendUint32(nil, 0x02000001)
		data = binary.LittleEndian.AppendUint32(data, 1<<unix.CAP_NET_ADMIN)
		data = append(data, make([]byte, 12)...)
		if err := unix.Setxattr(filepath.Join(dir, privilegedFile("cap-04")), "security.capability", data, 0); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, privilegedFile("cap-05")), 0o755|os.ModeSetuid|os.ModeSetgid); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// control makes the attempt outside of the sandbox.
func (r kernelRig) control(t *testing.T, a attack.Attempt) string {
	t.Helper()
	args := []string{a.ID}
	if file := privilegedFile(a.ID); file != "" {
		args = append(args, "./"+file)
	}
	switch a.Control {
	case attack.Reading:
		return r.output(t, r.program, args...)
	case attack.AsUser:
		// The workspace where an ordinary user can reach it: the folder of the tests is
		// root's alone.
		const prepare = `mount -t tmpfs none /usr/local && mkdir -m 755 /usr/local/w && mount --bind . /usr/local/w && cd /usr/local/w &&
			exec setpriv --reuid 65534 --regid 65534 --clear-groups ./attack "$@"`
		unshare := []string{"--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--ipc", "--uts", "--net", "--", "sh", "-ec", prepare, "sh"}
		return r.output(t, "unshare", append(unshare, args...)...)
	default:
		return r.rig.control(t, a)
	}
}

// succeeds wants of the attempt that it works without the sandbox.
func (r kernelRig) succeeds(t *testing.T, a attack.Attempt) {
	t.Helper()
	if a.Control == attack.Nowhere {
		t.Logf("no control: %s", a.NoControl)
		return
	}
	if a.Needs != "" && !exists(a.Needs) {
		t.Logf("no control: this kernel has no %s", a.Needs)
		return
	}
	want := "ESCAPED "
	if a.Allowed {
		want = "WORKS "
	}
	got := r.control(t, a)
	if a.Absent != "" && got == "BLOCKED "+a.Absent {
		t.Logf("no control: this kernel lacks it, and says %s", a.Absent)
		return
	}
	if !strings.HasPrefix(got, want) {
		t.Fatalf("%s, without the sandbox: got %q, want %q: the attempt proves nothing", a.What, got, want)
	}
}

// TestKernelAttempts makes every attempt of the classes namespace, capability
// and seccomp: once without the sandbox, and then under both profiles, in the
// machine's root file system and in a folder's.
func TestKernelAttempts(t *testing.T) {
	r := newKernelRig(t)
	for _, a := range attempts() {
		if !aboutKernel(a.ID) || a.Arch != "" && a.Arch != runtime.GOARCH {
			continue
		}
		t.Run(a.ID, func(t *testing.T) {
			if a.Tool != "" {
				testenv.NeedTool(t, a.Tool)
			}
			r.succeeds(t, a)
			for _, profile := range []string{"ci", "hostile"} {
				for _, root := range []string{"", r.root} {
					if root != "" && a.Tool != "" {
						continue // the folder has no programs
					}
					args := []string{"exec", "--profile", profile, "--no-network", "--pids", "64"}
					file, kind := privilegedFile(a.ID), "the machine's root"
					if root != "" {
						args, kind = append(args, "--rootfs", root), "a folder's root"
					}
					args = append(args, "--", "./attack", a.ID)
					switch {
					case file != "" && root != "":
						args = append(args, "/usr/bin/"+file)
					case file != "":
						args = append(args, "./"+file)
					}
					before := wallOffset(t)
					judge(t, a, profile+", "+kind, profile, r.output(t, r.runner, args...))
					if strings.HasPrefix(a.ID, "cap-09") {
						clockKept(t, before)
					}
				}
			}
		})
	}
}

func wallOffset(t *testing.T) time.Duration {
	t.Helper()
	d, err := attack.WallOffset()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// clockKept wants of the host's clock that nobody set it, and sets it back; what
// slews it does not come to seconds.
func clockKept(t *testing.T, before time.Duration) {
	t.Helper()
	by := wallOffset(t) - before
	if by.Abs() < 5*time.Second {
		return
	}
	t.Errorf("the host's clock was set by %v", by)
	back := unix.NsecToTimespec(time.Now().Add(-by).UnixNano())
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &back); err != nil {
		t.Error(err)
	}
}

// TestWallOffsetTells: the look at the clock sees a difference, in a time
// namespace of its own, where the other clock can be set without harm.
func TestWallOffsetTells(t *testing.T) {
	r := newRig(t)
	out := r.output(t, "unshare", "--time", "--boottime", "100", "--fork", "--", r.program, "clock")
	ms, err := strconv.ParseInt(out, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if by := wallOffset(t) - time.Duration(ms)*time.Millisecond; by.Abs() < 5*time.Second {
		t.Errorf("moved by %v, want 100 s", by)
	}
}
