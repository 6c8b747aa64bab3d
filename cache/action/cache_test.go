// SPDX-License-Identifier: Apache-2.0

package action_test

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/cache/action"
	"github.com/zviz/run/internal/testenv"
)

var hello = action.Repository{Owner: "octo", Name: "hello"}

// repo is the one repository of a forge.
const repo = "octo/hello"

// forge is a folder with a bare repository.
type forge struct {
	t   *testing.T
	dir string
}

func newForge(t *testing.T) *forge {
	t.Helper()
	testenv.NeedTool(t, "git")
	return &forge{t, t.TempDir()}
}

func (f *forge) url() string { return "file://" + f.dir }

// git runs git in a repository of the forge and returns what it prints.
func (f *forge) git(stdin string, args ...string) string {
	f.t.Helper()
	dir := filepath.Join(f.dir, repo)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		f.t.Fatal(err)
	}
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + f.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CEILING_DIRECTORIES=" + f.dir,
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_AUTHOR_DATE=1700000000 +0000",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_COMMITTER_DATE=1700000000 +0000",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		f.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// object writes an object as it is, whatever it holds.
func (f *forge) object(kind, content string) string {
	f.t.Helper()
	return f.git(content, "hash-object", "-t", kind, "-w", "--stdin", "--literally")
}

// node is an entry of a tree that a test makes by hand.
type node struct{ mode, name, id string }

// tree writes a tree as it is, in the order given.
func (f *forge) tree(nodes ...node) string {
	f.t.Helper()
	var b bytes.Buffer
	for _, n := range nodes {
		b.WriteString(n.mode + " " + n.name + "\x00")
		for i := 0; i < len(n.id); i += 2 {
			b.WriteByte(unhex(n.id[i])<<4 | unhex(n.id[i+1]))
		}
	}
	return f.object("tree", b.String())
}

func unhex(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

// commit makes a commit of a tree and lets a branch point to it.
func (f *forge) commit(tree, branch string) string {
	f.t.Helper()
	id := f.git("", "commit-tree", "-m", "made for "+branch, tree)
	f.git("", "update-ref", "refs/heads/"+branch, id)
	return id
}

// repository makes octo/hello, with files of each kind, and returns its commit.
func (f *forge) repository(format ...string) string {
	f.t.Helper()
	f.git("", append([]string{"init", "-q", "--bare"}, format...)...)
	blob := func(text string) string { return f.object("blob", text) }
	dist := f.tree(node{"100644", "index.js", blob("console.log('main')\n")}, node{"120000", "up", blob("../action.yml")})
	return f.commit(f.tree(
		node{"100644", "action.yml", blob("name: hello\nruns: {using: node20, main: dist/index.js}\n")},
		node{"40000", "dist", dist},
		node{"100755", "run.sh", blob("#!/bin/sh\necho run\n")},
	), "main")
}

// open makes a cache of a forge, and returns what it logs.
func (f *forge) open(change ...func(*action.Config)) (*action.Cache, *bytes.Buffer) {
	f.t.Helper()
	var log bytes.Buffer
	cfg := action.Config{
		Dir: filepath.Join(f.t.TempDir(), "actions"), Base: f.url(), Log: slog.New(slog.NewTextHandler(&log, nil)),
		Environ: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + f.dir, "GIT_CONFIG_NOSYSTEM=1"},
	}
	for _, c := range change {
		c(&cfg)
	}
	cache, err := action.Open(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = cache.Close() })
	return cache, &log
}

// contents are the files of a tree as text, links as their targets.
func contents(t *testing.T, tree *action.Tree) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(tree.Dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(tree.Dir, name)
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			out[rel+"/"] = info.Mode().String()
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			out[rel] = "-> " + target
			return err
		default:
			b, err := os.ReadFile(name)
			out[rel] = info.Mode().String() + " " + string(b)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOpen(t *testing.T) {
	for name, format := range map[string][]string{"sha1": nil, "sha256": {"--object-format=sha256"}} {
		t.Run(name, func(t *testing.T) {
			f := newForge(t)
			commit := f.repository(format...)
			c, _ := f.open()
			repo := hello
			got, err := c.Resolve(t.Context(), repo, "main")
			if err != nil || got != commit {
				t.Fatalf("%s %v, want %s", got, err, commit)
			}
			tree, err := c.Open(t.Context(), repo, commit)
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			want := map[string]string{
				"./": "drwxr-xr-x", "dist/": "drwxr-xr-x", "dist/up": "-> ../action.yml",
				"dist/index.js": "-r--r--r-- console.log('main')\n",
				"action.yml":    "-r--r--r-- name: hello\nruns: {using: node20, main: dist/index.js}\n",
				"run.sh":        "-r-xr-xr-x #!/bin/sh\necho run\n",
			}
			if diff := cmp.Diff(want, contents(t, tree)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if b, err := fs.ReadFile(tree.FS(), "dist/up"); err != nil || !strings.HasPrefix(string(b), "name: hello") {
				t.Errorf("%q %v", b, err)
			}
			if err := os.RemoveAll(f.dir); err != nil { // it is not asked again
				t.Fatal(err)
			}
			again, err := c.Open(t.Context(), repo, commit)
			if err != nil {
				t.Fatal(err)
			}
			again.Close()
		})
	}
}

func failureOf(t *testing.T, err error) *action.Error {
	t.Helper()
	e, ok := errors.AsType[*action.Error](err)
	if !ok {
		t.Fatalf("%T: %v", err, err)
	}
	return e
}

func failure(t *testing.T, err error, want action.Reason) *action.Error {
	t.Helper()
	e := failureOf(t, err)
	if e.Reason != want {
		t.Fatalf("want %s, got %s: %v", want, e.Reason, e)
	}
	return e
}
