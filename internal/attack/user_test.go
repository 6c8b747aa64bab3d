// SPDX-License-Identifier: Apache-2.0

//go:build linux

package attack_test

import (
	"os"
	"testing"

	"github.com/zviz/run/internal/attack"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/internal/testuser"
)

// asUser reports whether the runner is to be an ordinary user's. The tests are
// root's all the same: they show on the host that an attempt works without the
// sandbox.
func asUser() bool { return os.Getenv("ZVIZ_ATTACK_USER") == "1" }

// attempts are all, with what must stop them where the runner is who it is here.
func attempts() []attack.Attempt {
	all := attack.All()
	for i, a := range all {
		if asUser() {
			all[i] = a.ForUser()
		}
	}
	return all
}

// attemptOf is that of an identifier among those.
func attemptOf(id string) attack.Attempt {
	a, _ := attack.ByID(id)
	if asUser() {
		a = a.ForUser()
	}
	return a
}

// become makes the runner an ordinary user's.
func (r *rig) become(t *testing.T) {
	t.Helper()
	u, err := testuser.New(testenv.Build(t, "github.com/zviz/run/internal/testuser/become"), r.runner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	})
	r.user, r.runner, r.binary = u, u.Runner, u.Program
}

// folder is a new one of who runs the runner.
func (r rig) folder(t *testing.T) string {
	t.Helper()
	if r.user == nil {
		return t.TempDir()
	}
	dir, err := r.user.Folder()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// own gives what root made to who runs the runner.
func (r rig) own(t *testing.T, path string) {
	t.Helper()
	if r.user == nil {
		return
	}
	if err := r.user.Own(path); err != nil {
		t.Fatal(err)
	}
}

// copyFile copies a program.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}
