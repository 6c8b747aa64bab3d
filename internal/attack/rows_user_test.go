// SPDX-License-Identifier: Apache-2.0

//go:build linux

package attack_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/zviz/run/internal/testuser"
	"github.com/zviz/run/sandbox"
)

// TestLeftovers makes by the runner's program what executor.TestLeftoverSetID
// makes in its own process: a job leaves programs with set-ID bits.
func TestLeftovers(t *testing.T) {
	r := newRig(t)
	const setID = fs.ModeSetuid | fs.ModeSetgid
	for _, profile := range profiles() {
		for _, row := range []string{"fs-28", "ws-10"} { // one test of both
			t.Run(profile+"/"+row, func(t *testing.T) {
				dir := r.folder(t)
				res := r.exec(t, []string{"--profile", profile, "--no-network", "--timeout", "20s", "-C", dir}, "sh", "-ec",
					`cp /bin/sh sh; chmod 6755 sh; mkdir shut; cp /bin/sh shut/sh; chmod 4111 shut/sh; stat -c %a sh shut/sh; chmod 0 shut`)
				if res.out != "6755\n4111" {
					t.Fatalf("modes inside: got %q: the attempt proves nothing", res.out)
				}
				for _, name := range []string{"sh", "shut/sh"} {
					var st syscall.Stat_t
					path := filepath.Join(dir, name)
					info, err := os.Lstat(path)
					if err == nil {
						err = syscall.Lstat(path, &st)
					}
					if err != nil || info.Mode()&setID != 0 {
						t.Errorf("%s: %v %v", name, info, err)
					}
					if r.user != nil && st.Uid == 0 {
						t.Errorf("%s belongs to root", name)
					}
				}
			})
		}
	}
}

// TestDisk makes by the runner's program what executor.TestDiskWatch makes in its
// own process: a job fills a disk, which is one of its own here.
func TestDisk(t *testing.T) {
	r := newRig(t)
	for _, profile := range profiles() {
		for _, where := range []string{"workspace", "tmp"} {
			t.Run(where+"/"+profile, func(t *testing.T) {
				disk, work := r.folder(t), r.folder(t)
				options := "size=64m"
				if r.user != nil {
					options += fmt.Sprintf(",uid=%d,gid=%d,mode=755", testuser.ID, testuser.ID)
				}
				if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, options); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
				file := "/tmp/big"
				if where == "workspace" {
					work, file = disk, "big"
				} else {
					t.Setenv("ZVIZ_STATE_DIR", disk)
				}
				res := r.exec(t, []string{"--profile", profile, "--no-network", "--timeout", "1m", "--memory", "256m", "--pids", "64", "-C", work}, "sh", "-c",
					strings.ReplaceAll(`trap "" TERM; while :; do head -c 1048576 /dev/zero >>FILE; sleep 0.01; done`, "FILE", file))
				if res.report.Cause != sandbox.CauseDisk {
					t.Errorf("cause %s, want %s: %s", res.report.Cause, sandbox.CauseDisk, res.stderr)
				}
			})
		}
	}
}
