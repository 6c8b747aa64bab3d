// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox"
)

// TestCellRoot: what a step installs a later one has, with mounts of its own beside it,
// and nothing of it stays.
func TestCellRoot(t *testing.T) {
	testenv.NeedRoot(t)
	root, action := smallRoot(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(action, "main"), []byte("of the action"), 0o644); err != nil {
		t.Fatal(err)
	}
	cell := openCell(t, executor.CellRequest{Policy: executor.Policy{Profile: "root", Rootfs: root}})
	if err := cell.Prepare(t.Context()); err != nil { // made before anything is installed
		t.Fatal(err)
	}
	out, res := step(t, cell, `id -u; echo $HOME; cat /etc/kept; echo tool > /usr/bin/installed; chmod 755 /usr/bin/installed; echo y:x:9:9::/:/bin/sh >> /etc/passwd
		sudo chown 12:34 /etc/kept; mkdir -p /srv/x; cat > ~/mine; sleep 60 &`)
	if res.ExitCode != 0 || !strings.HasPrefix(out, "0\n/home/runner\nsecret\n") {
		t.Errorf("%+v: %q", res, out)
	}
	for _, name := range []string{"prepared", "with a mount"} {
		var more []sandbox.Mount
		if name == "prepared" {
			if err := cell.Prepare(t.Context()); err != nil {
				t.Fatal(err)
			}
		} else {
			more = []sandbox.Mount{{Source: action, Target: executor.ActionsDir + "/x/y"}}
		}
		var b buffer
		res, err := cell.Run(t.Context(), executor.Step{
			Args: []string{"sh", "-c", `cat /usr/bin/installed; id -u y; stat -c %u:%g /etc/kept; ls -d /srv/x ~/mine; ls /opt/zviz; cat /opt/zviz/actions/x/y/main; touch /opt/zviz/z /dev/z /sys/z; echo x >/dev/null && echo device`},
			Dir:  executor.RunnerWork, Stdout: &b, Stderr: &b, Mounts: more,
		})
		if err != nil || res.ExitCode != 0 {
			t.Fatalf("%s: %v %+v: %s", name, err, res, b.String())
		}
		got := b.String()
		if !strings.Contains(got, "tool\n9\n12:34\n") || !strings.Contains(got, "device\n") || strings.Count(got, "Read-only file system") != 3 {
			t.Errorf("%s: %q", name, got)
		}
		if sees := strings.Contains(got, "of the action"); sees != (more != nil) {
			t.Errorf("%s: %q", name, got)
		}
	}
	for name, want := range map[string]string{"installed": "/usr/bin/installed", "absent": "", "../../usr/bin/installed": "/usr/bin/installed"} {
		if got := cell.LookPath(name, nil); got != want && filepath.Clean(got) != want {
			t.Errorf("%s is at %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"usr/bin/installed", "srv/x"} {
		if _, err := os.Lstat(filepath.Join(root, name)); err == nil {
			t.Errorf("%s is in the root file system itself", name)
		}
	}
}

// TestCellRootMoved: a job that is root inside puts links where a later sandbox mounts.
// That one is refused or mounts on what is its own; the host's files are not reached.
func TestCellRootMoved(t *testing.T) {
	testenv.NeedRoot(t)
	victim := t.TempDir()
	if err := os.WriteFile(filepath.Join(victim, "null"), []byte("of the host"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/dev", "/opt/zviz", "/opt", "/tmp", "/proc", "/sys", "/home/runner", "/home"} {
		t.Run(name, func(t *testing.T) {
			cell := openCell(t, executor.CellRequest{Policy: executor.Policy{Profile: "root", Rootfs: smallRoot(t)}})
			moved, _ := step(t, cell, `d=`+name+`; mv $d /moved && ln -s `+victim+` $d && echo moved`)
			var b buffer
			res, err := cell.Run(t.Context(), executor.Step{
				Args: []string{"sh", "-c", `cat /proc/kcore /proc/keys ` + name + `/null 2>&1; ls ` + name}, Dir: executor.RunnerWork, Stdout: &b, Stderr: &b,
				Mounts: []sandbox.Mount{{Source: victim, Target: executor.ActionsDir + "/x"}},
			})
			if strings.Contains(b.String(), "of the host") {
				t.Errorf("%q, then %v %+v: %q", moved, err, res, b.String())
			}
			t.Logf("%q, then %v, exit %d", moved, err, res.ExitCode)
		})
	}
}

// TestCellRootNeedsRootfs: profile root is not for this machine's files.
func TestCellRootNeedsRootfs(t *testing.T) {
	testenv.NeedRoot(t)
	x, err := executor.New(executor.Config{StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.OpenCell(context.Background(), executor.CellRequest{Policy: executor.Policy{NoNetwork: true, Profile: "root"}}); err == nil || !strings.Contains(err.Error(), "root file system") {
		t.Error(err)
	}
}

// TestCellRootfs: the root file system of the operator's in place of the host's tools.
func TestCellRootfs(t *testing.T) {
	testenv.NeedRoot(t)
	root := smallRoot(t)
	if err := os.WriteFile(filepath.Join(root, "usr/bin/only-here"), []byte("#!/bin/sh\necho here\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/usr/bin/env", filepath.Join(root, "usr/bin/dangling")); err != nil { // of the host
		t.Fatal(err)
	}
	cell := openCell(t, executor.CellRequest{Policy: executor.Policy{Rootfs: root}})
	out, res := step(t, cell, `only-here; id -u; touch /srv/x 2>/dev/null || echo read-only`)
	if res.ExitCode != 0 || out != "here\n1001\nread-only\n" {
		t.Errorf("%+v: %q", res, out)
	}
	for name, want := range map[string]string{"only-here": "/usr/bin/only-here", "env": "", "dangling": ""} {
		if got := cell.LookPath(name, nil); got != want {
			t.Errorf("%s is at %q, want %q", name, got, want)
		}
	}
}
