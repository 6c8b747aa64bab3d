// SPDX-License-Identifier: Apache-2.0

package action_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/cache/action"
)

// TestHostileTrees: what git itself would not make, but a forge can serve.
func TestHostileTrees(t *testing.T) {
	for _, tt := range []struct {
		name string
		tree func(f *forge, blob string) string
		want string
	}{
		{"a name that leads up", func(f *forge, blob string) string { return f.tree(node{"100644", "..", blob}) }, `a file has the name ".."`},
		{"a folder that leads up", func(f *forge, blob string) string {
			return f.tree(node{"40000", "..", f.tree(node{"100644", "x", blob})})
		}, `a file has the name ".."`},
		{"a name with a slash", func(f *forge, blob string) string { return f.tree(node{"100644", "../../x", blob}) }, `a file has the name "../../x"`},
		{"an absolute name", func(f *forge, blob string) string { return f.tree(node{"100644", "/tmp/x", blob}) }, `a file has the name "/tmp/x"`},
		{"no name", func(f *forge, blob string) string { return f.tree(node{"100644", "", blob}) }, `a file has the name ""`},
		{"git's folder", func(f *forge, blob string) string {
			return f.tree(node{"40000", ".git", f.tree(node{"100644", "config", blob})})
		}, `a file has the name ".git"`},
		{"git's folder in a folder", func(f *forge, blob string) string {
			return f.tree(node{"40000", "a", f.tree(node{"100644", ".GIT", blob})})
		}, `a file has the name ".GIT" in "a"`},
		{"twice", func(f *forge, blob string) string {
			return f.tree(node{"100644", "x", blob}, node{"100644", "x", blob})
		}, `"x" is there twice`},
		{"a link and a folder", func(f *forge, blob string) string {
			link := f.object("blob", "y")
			return f.tree(node{"120000", "x", link}, node{"40000", "x", f.tree(node{"100644", "z", blob})})
		}, `"x" is there twice`},
		{"a device", func(f *forge, blob string) string { return f.tree(node{"20666", "x", blob}) }, `has the mode`},
		{"a file that is a tree", func(f *forge, blob string) string {
			return f.tree(node{"100644", "x", f.tree(node{"100644", "y", blob})})
		}, `is a tree, not a blob`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newForge(t)
			f.repository()
			commit := f.commit(tt.tree(f, f.object("blob", "content")), "bad")
			c, _ := f.open()
			tree, err := c.Open(t.Context(), hello, commit)
			if err == nil {
				tree.Close()
				t.Fatal("it was taken")
			}
			// Git may refuse to carry it, which is as good.
			if e := failureOf(t, err); e.Reason == action.Refused && !strings.Contains(e.Error(), tt.want) || e.Reason != action.Refused && e.Reason != action.Failed {
				t.Errorf("%s: %v", e.Reason, e)
			}
			t.Log(err)
		})
	}
}

// TestLinks: those that stay inside are there, others are not, whatever is in the way.
func TestLinks(t *testing.T) {
	f := newForge(t)
	f.repository()
	link := func(to string) string { return f.object("blob", to) }
	blob := link("content")
	deep := f.tree(node{"120000", "good", link("../../file")}, node{"120000", "out", link("../../../file")})
	commit := f.commit(f.tree(
		node{"120000", "absolute", link("/etc/passwd")},
		node{"120000", "dot", link(".")},
		node{"120000", "empty", link("./")},
		node{"100644", "file", blob},
		node{"120000", "loop", link("loop")},
		node{"120000", "nowhere", link("a/b/c")},
		node{"40000", "one", f.tree(node{"40000", "two", deep})},
		node{"120000", "parent", link("..")},
		node{"120000", "via", link("dot/../../etc")}, // dot is here: dot/.. is out
	), "links")
	c, log := f.open()
	tree, err := c.Open(t.Context(), hello, commit)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	want := map[string]string{
		"./": "drwxr-xr-x", "dot": "-> .", "empty": "-> ./", "file": "-r--r--r-- content", "loop": "-> loop", "nowhere": "-> a/b/c",
		"one/": "drwxr-xr-x", "one/two/": "drwxr-xr-x", "one/two/good": "-> ../../file",
	}
	if diff := cmp.Diff(want, contents(t, tree)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if !strings.Contains(log.String(), "links that lead out of an action's repository were left out") || !strings.Contains(log.String(), "count=4") {
		t.Error(log)
	}
}

// TestNothingRuns: no hook of the served repository, no filter or submodule of the files.
func TestNothingRuns(t *testing.T) {
	f := newForge(t)
	f.repository()
	ran := filepath.Join(f.dir, "ran")
	touch := "#!/bin/sh\ntouch " + ran + "\n"
	for _, hook := range []string{"post-checkout", "pre-receive", "post-update", "reference-transaction", "fsmonitor-watchman"} {
		if err := os.WriteFile(filepath.Join(f.dir, repo, "hooks", hook), []byte(touch), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(f.dir, "touch"), []byte(touch+"exec \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, kv := range [][2]string{{"uploadpack.packObjectsHook", filepath.Join(f.dir, "touch")}, {"core.fsmonitor", filepath.Join(f.dir, "touch")}, {"core.sshCommand", filepath.Join(f.dir, "touch")}} {
		f.git("", "config", kv[0], kv[1])
	}
	// The user has LFS, and a template with hooks.
	global := "[filter \"lfs\"]\n\tsmudge = touch " + ran + "\n\tprocess = touch " + ran + "\n\trequired = true\n[init]\n\ttemplateDir = " + filepath.Join(f.dir, "template") + "\n"
	if err := os.MkdirAll(filepath.Join(f.dir, "template/hooks"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{".gitconfig": global, "template/hooks/reference-transaction": touch, "template/hooks/post-checkout": touch} {
		if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
	blob := func(text string) string { return f.object("blob", text) }
	commit := f.commit(f.tree(
		node{"100644", ".gitattributes", blob("* filter=lfs diff=lfs export-subst\nhidden export-ignore\n")},
		node{"100644", ".gitmodules", blob("[submodule \"s\"]\n\tpath = sub\n\turl = -u" + ran + "\n\tupdate = !touch " + ran + "\n")},
		node{"100644", "README", blob("upper")},
		node{"100644", "big.bin", blob(pointer)},
		node{"100644", "readme", blob("lower")},
		node{"160000", "sub", strings.Repeat("1", 40)},
		node{"100644", "version", blob("$Format:%H$\n")},
	), "attributes")
	if err := os.RemoveAll(ran); err != nil { // the commit above had the hooks
		t.Fatal(err)
	}
	c, _ := f.open(func(cfg *action.Config) {
		cfg.Environ = append(cfg.Environ, "GIT_DIR=/nowhere", "GIT_WORK_TREE=/", "GIT_INDEX_FILE=/nowhere", "GIT_TEMPLATE_DIR="+filepath.Join(f.dir, "template"))
	})
	tree, err := c.Open(t.Context(), hello, commit)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	got := contents(t, tree)
	delete(got, ".gitattributes")
	delete(got, ".gitmodules")
	want := map[string]string{
		"./": "drwxr-xr-x", "README": "-r--r--r-- upper", "readme": "-r--r--r-- lower", "big.bin": "-r--r--r-- " + pointer,
		"sub/": "drwxr-xr-x", "version": "-r--r--r-- $Format:%H$\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, err := os.Lstat(ran); err == nil {
		t.Error("something ran")
	}
	// A checkout would have run it.
	clone := exec.Command("git", "-c", "core.attributesFile=/dev/null", "clone", "-q", "--branch", "attributes", f.url()+"/"+repo, filepath.Join(t.TempDir(), "clone"))
	clone.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + f.dir, "GIT_CONFIG_NOSYSTEM=1"}
	out, _ := clone.CombinedOutput()
	if _, err := os.Lstat(ran); err != nil {
		t.Errorf("the trap does not work: %s", out)
	}
}

// TestTooLarge: by what a pack has, by what it unfolds to, and by how many there are.
func TestTooLarge(t *testing.T) {
	f := newForge(t)
	f.repository()
	one := func(content string) string {
		return f.tree(node{"100644", "x", f.object("blob", content)})
	}
	noise := make([]byte, 8<<20)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		noise[i] = byte(x)
	}
	bomb := one("x")
	for range 12 { // 10^12 files
		var nodes []node
		for i := range 10 {
			nodes = append(nodes, node{"40000", string(rune('a' + i)), bomb})
		}
		bomb = f.tree(nodes...)
	}
	deep := one("x")
	for range 200 {
		deep = f.tree(node{"40000", "d", deep})
	}
	for name, tt := range map[string]struct {
		tree string
		most int64
		want action.Reason
	}{
		"noise": {one(string(noise)), 1 << 20, action.TooLarge},
		"zeros": {one(strings.Repeat("\x00", 8<<20)), 1 << 20, action.TooLarge},
		"files": {bomb, 1 << 16, action.TooLarge},
		"deep":  {deep, 1 << 20, action.Refused},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := f.open(func(cfg *action.Config) { cfg.MaxTree = tt.most })
			commit := f.commit(tt.tree, name)
			tree, err := c.Open(t.Context(), hello, commit)
			if err == nil {
				tree.Close()
			}
			e := failure(t, err, tt.want)
			if tt.want == action.TooLarge && e.Hint() == "" {
				t.Error("there is no hint")
			}
			if list, err := c.List(); err != nil || len(list) > 0 {
				t.Errorf("%v %v", list, err)
			}
		})
	}
}
