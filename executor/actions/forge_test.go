// SPDX-License-Identifier: Apache-2.0

package actions_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zviz/run/cache/action"
	"github.com/zviz/run/internal/testenv"
)

// forge is a folder of repositories, which git serves over file://.
type forge struct {
	t   *testing.T
	dir string
}

func newForge(t *testing.T) *forge {
	t.Helper()
	testenv.NeedTool(t, "git")
	return &forge{t, t.TempDir()}
}

// commit writes files into a repository, given as a name and a text after each other,
// commits them, lets tags point there, and returns the commit.
func (f *forge) commit(repo string, tags []string, files map[string]string) string {
	f.t.Helper()
	dir := filepath.Join(f.dir, repo)
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			f.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			f.t.Fatal(err)
		}
	}
	f.git(dir, "init", "-q", "-b", "main")
	f.git(dir, "add", "-A")
	f.git(dir, "commit", "-q", "-m", "x", "--allow-empty")
	for _, tag := range tags {
		f.git(dir, "tag", "-f", "-m", "a tag with a message", tag)
	}
	return f.git(dir, "rev-parse", "HEAD")
}

func (f *forge) git(dir string, args ...string) string {
	f.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + f.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CEILING_DIRECTORIES=" + f.dir,
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		f.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// open opens a cache of the forge.
func (f *forge) open() (*action.Cache, error) {
	return action.Open(action.Config{Dir: filepath.Join(f.t.TempDir(), "actions"), Base: "file://" + f.dir, Environ: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + f.dir}})
}
