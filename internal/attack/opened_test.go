// SPDX-License-Identifier: Apache-2.0

//go:build linux

package attack_test

import (
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/zviz/run/internal/attack"
	"github.com/zviz/run/internal/testenv"
)

// TestOpenedProfiles makes every attempt that needs no place of its own under the
// profiles that open more than ci. That each succeeds without the sandbox is shown
// by the tests under ci and hostile.
func TestOpenedProfiles(t *testing.T) {
	r := newKernelRig(t)
	world := newOutsideWorld(t, r.rig)
	for profile, flags := range map[string][]string{"debug": nil, "root": rootFlags(t, r)} {
		for _, a := range attack.All() {
			if a.Arch != "" && a.Arch != runtime.GOARCH || a.Control == attack.ByTest {
				continue
			}
			t.Run(profile+"/"+a.ID, func(t *testing.T) {
				if a.Tool != "" {
					testenv.NeedTool(t, a.Tool)
				}
				if mine(a.ID) {
					r.stopped(t, a, profile, world, flags...)
					return
				}
				args := append([]string{"exec", "--profile", profile, "--no-network", "--pids", "64"}, flags...)
				args = append(args, "--", "./attack", a.ID)
				if file := privilegedFile(a.ID); file != "" {
					args = append(args, "./"+file)
				} else {
					args = append(args, r.args(a)...)
				}
				before := wallOffset(t)
				judge(t, a, profile, profile, r.output(t, r.runner, args...))
				if strings.HasPrefix(a.ID, "cap-09") {
					clockKept(t, before)
				}
			})
		}
	}
}

// rootFlags are those of a root file system that holds accounts, and shows this
// machine's programs.
func rootFlags(t *testing.T, r kernelRig) []string {
	t.Helper()
	const script = `mkdir -p usr etc opt root var/lib; echo root:x:0:0:root:/root:/bin/sh >etc/passwd
for d in bin sbin lib lib64; do if [ -L /$d ]; then ln -s "$(readlink /$d)" $d; elif [ -d /$d ]; then mkdir $d; echo --mount=/$d:/$d; fi; done`
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", script)
	folder := r.folder(t)
	cmd.Dir = folder
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{"--rootfs", folder, "--mount", "/usr:/usr"}, strings.Fields(string(out))...)
}
