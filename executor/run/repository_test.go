// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/zviz/run/executor/run"
)

// A folder that somebody else made shows the checkout nothing of this machine's.
func TestFindRepositoryLeadsNowhere(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"commondir of the root":     {".git/HEAD": "ref: refs/heads/main\n", ".git/commondir": "/\n"},
		"a file that names another": {".git": "gitdir: ELSEWHERE/.git\n"},
		"a file that names itself":  {".git": "gitdir: fake/worktrees/x\n", "fake/worktrees/x/HEAD": "ref: refs/heads/main\n", "fake/worktrees/x/gitdir": "TREE/.git\n"},
		"nonsense":                  {".git": "x\n"},
	} {
		t.Run(name, func(t *testing.T) {
			base, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			tree, elsewhere := filepath.Join(base, "tree"), filepath.Join(base, "elsewhere")
			write := func(name, text string) {
				t.Helper()
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write(filepath.Join(elsewhere, ".git", "HEAD"), "ref: refs/heads/main\n")
			for name, text := range files {
				switch text {
				case "gitdir: ELSEWHERE/.git\n":
					text = "gitdir: " + elsewhere + "/.git\n"
				case "TREE/.git\n":
					text = tree + "/.git\n"
				}
				write(filepath.Join(tree, name), text)
			}
			if r, err := run.FindRepository(tree); err == nil {
				t.Errorf("found %+v", r)
			}
		})
	}
	link := filepath.Join(t.TempDir(), "tree")
	if err := os.MkdirAll(link, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/", filepath.Join(link, ".git")); err != nil {
		t.Fatal(err)
	}
	if r, err := run.FindRepository(link); err == nil {
		t.Errorf("a link: found %+v", r)
	}
}
