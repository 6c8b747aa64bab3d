// SPDX-License-Identifier: Apache-2.0

//go:build linux

package realwork_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/zviz/run/internal/realwork"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/internal/testuser"
)

// become makes the runner an ordinary user's.
func (w *world) become(t *testing.T) {
	t.Helper()
	u, err := testuser.New(testenv.Build(t, "github.com/zviz/run/internal/testuser/become"), w.runner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	})
	w.user, w.runner = u, u.Runner
}

// runAsUser does a load inside, where the runner is an ordinary user's: each row must
// end as the published table says, without a difference. What works natively is
// root's test to show. The files must be the user's.
func (w world) runAsUser(t *testing.T, l realwork.Load) {
	t.Helper()
	dir, err := w.user.Folder()
	if err != nil {
		t.Fatal(err)
	}
	p := newPlace(t, l, dir)
	p.runner, p.cache, p.path = w.runner, filepath.Join(p.work, ".cache"), reachable(os.Getenv("PATH"))
	if err := w.user.Own(p.work); err != nil {
		t.Fatal(err)
	}
	results := make([]result, len(l.Steps))
	p.all(t.Context(), l, results)
	_, published, _ := split(t)
	for i, s := range l.Steps {
		r := results[i]
		t.Logf("%-40.40s inside, as an ordinary user, %s (%.1f s)", s.Shell(), r.word(s), r.took.Seconds())
		if line := (row{l.Name, s.Shell(), "works", r.word(s)}).String(); !strings.Contains(published, line+"\n") {
			t.Errorf("docs/real-work.md lacks the row\n%s\nexit code %d, want %d, output %q wanted\n%s", line, r.code, s.Code, s.Want, tail(r.output))
		}
	}
	left, err := os.ReadDir(p.work)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Uid != testuser.ID || st.Gid != testuser.ID {
			t.Errorf("%s belongs to %d:%d, want %d", f.Name(), st.Uid, st.Gid, testuser.ID)
		}
	}
}

// reachable leaves out of PATH what is root's alone, such as the shims of a tool
// manager in root's home, which no login of the user's would have.
func reachable(path string) string {
	closed := func(dir string) bool {
		for ; dir != "/" && dir != "."; dir = filepath.Dir(dir) {
			if info, err := os.Stat(dir); err != nil || info.Mode()&0o001 == 0 {
				return true
			}
		}
		return false
	}
	return strings.Join(slices.DeleteFunc(filepath.SplitList(path), closed), ":")
}
