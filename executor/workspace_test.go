// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/internal/testenv"
)

func TestFindWorkspace(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"home/project/sub/deep", "home/project/.git", "home/.git", "state/jobs", "plain", "linked"} {
		if err := os.MkdirAll(filepath.Join(base, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"link": "plain", "linked/.git": "../home/project/.git", "up": "home"} {
		if err := os.Symlink(to, filepath.Join(base, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(base, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	home, state := filepath.Join(base, "home"), filepath.Join(base, "state")
	tests := []struct {
		name, dir string
		top       string // relative to base
		why       string
	}{
		{"a plain directory", "plain", "plain", ""},
		{"below the top of a work tree", "home/project/sub/deep", "home/project", ""},
		{"a link in the middle of the path", "up/project", "home/project", ""},
		{"a link", "link", "", "symbolic link"},
		{"missing", "no", "", "cannot be read"},
		{"a file", "file", "", "not a directory"},
		{"home, although it is a work tree", "home", "", "is the home directory"},
		{"home by a link", "up/../home", "", "is the home directory"},
		{"above home", "", "", "contains the home directory"},
		{"the root", "/", "", "contains the home directory"},
		{"the state", "state", "", "state of zviz-runner"},
		{"below the state", "state/jobs", "", "below the state"},
		{"a part of the system", "/proc/self", "", "symbolic link"},
		{"devices", "/dev", "", "part of the system"},
		{"a .git that is a link", "linked", "", ".git is a symbolic link"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := tt.dir
			if !filepath.IsAbs(dir) {
				dir = filepath.Clean(filepath.Join(base, dir))
			}
			w, err := findWorkspace(dir, home, state)
			if tt.why != "" {
				we, ok := errors.AsType[*WorkspaceError](err)
				if !ok || !strings.Contains(err.Error(), tt.why) {
					t.Fatalf("got %v, want …%s…", err, tt.why)
				}
				if we.Hint() == "" && tt.name != "missing" {
					t.Error("no hint")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := filepath.Rel(base, w.top); got != tt.top {
				t.Errorf("top %s, want %s", got, tt.top)
			}
		})
	}
}

// A work tree is looked for no further than below the home directory.
func TestWorkTreeOfHome(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"home/.git", "home/x"} {
		if err := os.MkdirAll(filepath.Join(base, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w, err := findWorkspace(filepath.Join(base, "home/x"), filepath.Join(base, "home"), "/state")
	if err != nil || w.top != filepath.Join(base, "home/x") || w.git != "" {
		t.Errorf("got %+v %v", w, err)
	}
}

// Nobody else widens the workspace by a .git above it.
func TestWorkTreeOfAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		testenv.Missing(t, "needs root: a folder of another user")
	}
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "a", "b")
	for _, d := range []string{dir, filepath.Join(base, ".git")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if w, err := findWorkspace(dir, "/nonexistent", "/state"); err != nil || w.top != base {
		t.Fatalf("got %+v %v", w, err)
	}
	if err := os.Chown(filepath.Join(base, ".git"), 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if w, err := findWorkspace(dir, "/nonexistent", "/state"); err != nil || w.top != dir {
		t.Errorf("got %+v %v", w, err)
	}
}

func TestGitIsProtected(t *testing.T) {
	w := workspace{top: "/src", dir: "/src", git: "/src/.git"}
	if got := w.mount(Policy{}).ReadOnly; !cmp.Equal(got, []string{"/src/.git"}) {
		t.Errorf("got %v", got)
	}
	for _, lift := range []string{".git", "/src/.git", "./.git/"} {
		if got := w.mount(Policy{Write: []string{lift}}).ReadOnly; len(got) != 0 {
			t.Errorf("--write %s: still read-only %v", lift, got)
		}
	}
}

func TestFindTools(t *testing.T) {
	base, err := os.MkdirTemp("/var/tmp", "zviz-tools") //nolint:usetesting // /tmp is the job's own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	home := filepath.Join(base, "home")
	for _, d := range []string{
		".nvm/versions/node/v20/bin", ".cargo/bin", ".rustup/toolchains/stable", ".pyenv/shims", ".pyenv/versions/3.11",
		".local/bin", "sdk/go1.26/bin", "sdk/go1.26/pkg/tool", "ws/node_modules/.bin", ".ssh", "own/bin",
	} {
		if err := os.MkdirAll(filepath.Join(home, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"sdk/go1.26/VERSION", ".cargo/credentials.toml"} {
		if err := os.WriteFile(filepath.Join(home, f), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := func(s string) string { return filepath.Join(home, s) }
	tests := []struct {
		name, path string
		dirs, bind []string
		env        map[string]string
	}{
		{"of the system", "/usr/bin:/bin", []string{"/usr/bin", "/bin"}, nil, map[string]string{}},
		{"relative, empty, missing", "bin::./x:/no/such/dir:/usr/bin", []string{"/usr/bin"}, nil, map[string]string{}},
		{"in the workspace", in("ws/node_modules/.bin") + ":/usr/bin", []string{"/usr/bin"}, nil, map[string]string{}},
		{"in a place of the job's own", "/tmp:/dev/shm:/usr/bin", []string{"/usr/bin"}, nil, map[string]string{}},
		{"twice", "/usr/bin:/usr/bin/", []string{"/usr/bin"}, nil, map[string]string{}},
		{"nvm", in(".nvm/versions/node/v20/bin"), []string{in(".nvm/versions/node/v20/bin")}, []string{in(".nvm/versions")}, map[string]string{"NVM_DIR": in(".nvm")}},
		{"cargo without its credentials", in(".cargo/bin"), []string{in(".cargo/bin")}, []string{in(".cargo/bin"), in(".rustup/toolchains")}, map[string]string{"RUSTUP_HOME": in(".rustup")}},
		{"pyenv", in(".pyenv/shims"), []string{in(".pyenv/shims")}, []string{in(".pyenv/versions"), in(".pyenv/shims")}, map[string]string{"PYENV_ROOT": in(".pyenv")}},
		{"a directory of nobody's", in("own/bin"), []string{in("own/bin")}, []string{in("own/bin")}, map[string]string{}},
		{"a Go tree", in("sdk/go1.26/bin"), []string{in("sdk/go1.26/bin")}, []string{in("sdk")}, map[string]string{}},
		{"home itself", home, []string{home}, nil, map[string]string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := findTools(tt.path, home, in("ws"))
			if d := cmp.Diff(tt.dirs, got.path); d != "" {
				t.Error("path", d)
			}
			if d := cmp.Diff(tt.bind, got.bind); d != "" {
				t.Error("bind", d)
			}
			if d := cmp.Diff(tt.env, got.env); d != "" {
				t.Error("env", d)
			}
			for _, b := range got.bind {
				if below(b, in(".ssh")) || below(b, in(".cargo/credentials.toml")) || below(b, home) {
					t.Errorf("%s would show credentials", b)
				}
			}
		})
	}
}

func TestCheckTarget(t *testing.T) {
	top := t.TempDir()
	for _, d := range []string{"a", "real/b"} {
		if err := os.MkdirAll(filepath.Join(top, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("real", filepath.Join(top, "link")); err != nil {
		t.Fatal(err)
	}
	w := workspace{top: top}
	for target, want := range map[string]string{
		filepath.Join(top, "a"):      "",
		filepath.Join(top, "real/b"): "",
		"/elsewhere":                 "",
		filepath.Join(top, "link/b"): "symbolic link",
		filepath.Join(top, "link"):   "symbolic link",
		filepath.Join(top, "none"):   "no such file",
	} {
		err := checkTarget(target, w)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", target, err, want)
		}
	}
}
