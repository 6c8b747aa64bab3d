// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/egress"
)

const sumOfA = "example.test/a v1.0.0 h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"

func TestReadLocks(t *testing.T) {
	out := t.TempDir()
	check(t, lockAt(out, "go.sum"))
	for _, tt := range []struct {
		name  string
		make  func(top string) error
		found int
		want  string // of the error
	}{
		{"none", func(string) error { return nil }, 0, ""},
		{"at the top, and in a part", func(top string) error { return lockAt(top, "go.sum", "a/b/c/d/go.sum") }, 2, ""},
		{"too far down, or not the repository's", func(top string) error {
			return lockAt(top, "a/b/c/d/e/go.sum", "node_modules/x/go.sum", "vendor/go.sum", "x/.git/go.sum", "skipped/go.sum")
		}, 0, ""},
		{"in a folder named as the skipped one", func(top string) error { return lockAt(top, "a/skipped/go.sum") }, 1, ""},
		{"a link, and a folder that is one", func(top string) error {
			return errors.Join(os.Symlink(filepath.Join(out, "go.sum"), filepath.Join(top, "go.sum")), os.Symlink(out, filepath.Join(top, "out")))
		}, 0, ""},
		{"a pipe", func(top string) error { return syscall.Mkfifo(filepath.Join(top, "go.sum"), 0o644) }, 0, ""},
		{"a bad one", func(top string) error { return saying("a b\n")(filepath.Join(top, "go.sum")) }, 0, "/srv/go.sum: has no line"},
		{"too many", func(top string) error {
			var names []string
			for i := range lockFilesMost + 1 {
				names = append(names, "a/"+strings.Repeat("x", i/100+1)+"/"+strings.Repeat("y", i%100+1)+"/go.sum")
			}
			return lockAt(top, names...)
		}, 0, "more than 2000 lockfiles in /srv"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			top := t.TempDir()
			check(t, tt.make(top))
			root, err := os.OpenRoot(top)
			check(t, err)
			defer root.Close()
			lock, found, err := readLocks(root, "/srv", "skipped", 0, nil)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("got %v, want …%s…", err, tt.want)
				}
				return
			}
			if err != nil || found != tt.found || lock.HasName(registry.Go, "example.test/a") != (found > 0) {
				t.Errorf("found %d, %v", found, err)
			}
		})
	}
}

// What is wrong with a lockfile matters only where its packages could be fetched.
func TestReadLocksOfAnEcosystem(t *testing.T) {
	top := t.TempDir()
	check(t, errors.Join(lockAt(top, "go.sum"), os.WriteFile(filepath.Join(top, "requirements-docs.txt"), []byte("sphinx\n"), 0o600)))
	root, err := os.OpenRoot(top)
	check(t, err)
	defer root.Close()
	if _, found, err := readLocks(root, top, "", 0, []registry.Ecosystem{registry.Go, registry.NPM}); err != nil || found != 1 {
		t.Errorf("of Go: %d, %v", found, err)
	}
	if _, found, err := readLocks(root, top, "", 0, []registry.Ecosystem{registry.NPM}); err != nil || found != 0 {
		t.Errorf("of npm: %d, %v", found, err)
	}
	for _, list := range [][]registry.Ecosystem{nil, {registry.PyPI}} {
		if _, _, err := readLocks(root, top, "", 0, list); err == nil || !strings.Contains(err.Error(), "requirements-docs.txt:1") {
			t.Errorf("of Python: %v", err)
		}
	}
	npm := egress.Preset{Registries: []egress.Registry{{Ecosystem: "npm"}}}
	var p egress.Policy
	p.NPM.LockfileOnly = true
	if got := locksOf(p, nil); !slices.Equal(got, []registry.Ecosystem{registry.NPM}) {
		t.Errorf("egress.npm is about %v", got)
	}
	p.Packages.LockfileOnly = true
	if got := locksOf(p, []egress.Preset{npm, npm, {Registries: []egress.Registry{{Ecosystem: "pypi"}}}}); !slices.Equal(got, []registry.Ecosystem{registry.NPM, registry.PyPI}) {
		t.Errorf("egress.packages is about %v", got)
	}
	if got := locksOf(p, nil); got != nil {
		t.Errorf("without a registry it is about %v", got)
	}
}

// What is a lockfile when the folder is read may be a pipe when it is opened.
func TestReadLocksOfAChangingFile(t *testing.T) {
	top := t.TempDir()
	check(t, syscall.Mkfifo(filepath.Join(top, "go.sum"), 0o644))
	root, err := os.OpenRoot(top)
	check(t, err)
	defer root.Close()
	s := &lockSearch{root: root, name: "/srv"}
	if err := s.file("go.sum"); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a pipe: %v", err)
	}
	if err := s.file("absent"); err != nil {
		t.Errorf("gone: %v", err)
	}
	if err := s.folder("go.sum", 1); err != nil {
		t.Errorf("a pipe in the place of a folder: %v", err)
	}
}

// lockAt makes lockfiles.
func lockAt(top string, names ...string) error {
	for _, name := range names {
		name = filepath.Join(top, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), saying(sumOfA)(name)); err != nil {
			return err
		}
	}
	return nil
}
