// SPDX-License-Identifier: Apache-2.0

package glob_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/workflows/glob"
)

// tree is a workspace. Names are their content.
func tree() fstest.MapFS {
	fsys := fstest.MapFS{}
	for name := range strings.FieldsSeq("a.txt b.txt .env go.sum sub/go.sum sub/x.lock sub/deep/y.lock sub/deep/.hidden vendor/go.sum a-b/c [x]/f x/f sub.d/z A.TXT ü/ö") {
		fsys[name] = &fstest.MapFile{Data: []byte(name)}
	}
	return fsys
}

func files(t *testing.T, patterns ...string) []string {
	t.Helper()
	p, err := glob.Parse(patterns, "/work space/w", "/home/me")
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Files(t.Context(), tree())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestFiles(t *testing.T) {
	tests := []struct {
		patterns []string
		want     []string
	}{
		{[]string{"go.sum"}, []string{"go.sum"}},
		{[]string{"**/go.sum"}, []string{"go.sum", "sub/go.sum", "vendor/go.sum"}},
		{[]string{"**/go.sum", "!vendor/**"}, []string{"go.sum", "sub/go.sum"}},
		{[]string{"!vendor/**", "**/go.sum"}, []string{"go.sum", "sub/go.sum", "vendor/go.sum"}},
		{[]string{"**/go.sum\n!sub\n# no\n\n!!vendor"}, []string{"go.sum", "vendor/go.sum"}},
		{[]string{"sub"}, []string{"sub/deep/.hidden", "sub/deep/y.lock", "sub/go.sum", "sub/x.lock"}},
		{[]string{"sub/"}, []string{"sub/deep/.hidden", "sub/deep/y.lock", "sub/go.sum", "sub/x.lock"}},
		{[]string{"go.sum/"}, nil},
		{[]string{"sub/*.lock"}, []string{"sub/x.lock"}},
		{[]string{"sub/**/*.lock"}, []string{"sub/deep/y.lock", "sub/x.lock"}},
		{[]string{"?.txt"}, []string{"a.txt", "b.txt"}},
		{[]string{"[a-b].txt"}, []string{"a.txt", "b.txt"}},
		{[]string{"[!a].txt"}, []string{"b.txt"}},
		{[]string{"[x]/f"}, []string{"x/f"}},
		{[]string{`\[x\]/f`}, []string{"[x]/f"}},
		{[]string{"{a,b}.txt"}, nil},
		{[]string{"*(a|b).txt"}, nil},
		{[]string{".*"}, []string{".env"}},
		{[]string{"./a.txt"}, []string{"a.txt"}},
		{[]string{"/work space/w/a.txt"}, []string{"a.txt"}},
		{[]string{"/work space/*/a.txt"}, []string{"a.txt"}},
		{[]string{"/etc/passwd", "~/x"}, nil},
		{[]string{"b.txt", "a.txt"}, []string{"b.txt", "a.txt"}},
		{[]string{"ü/?"}, []string{"ü/ö"}},
		{[]string{"s*/"}, []string{"sub/deep/.hidden", "sub/deep/y.lock", "sub/go.sum", "sub/x.lock", "sub.d/z"}},
		{nil, nil},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.patterns, " "), func(t *testing.T) {
			if diff := cmp.Diff(tt.want, files(t, tt.patterns...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHash(t *testing.T) {
	p, err := glob.Parse([]string{"?.txt"}, "/w", "/h")
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Hash(t.Context(), tree())
	if err != nil {
		t.Fatal(err)
	}
	a, b := sha256.Sum256([]byte("a.txt")), sha256.Sum256([]byte("b.txt"))
	all := sha256.Sum256(append(a[:], b[:]...))
	if want := hex.EncodeToString(all[:]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	none, err := glob.Parse([]string{"nothing"}, "/w", "/h")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := none.Hash(t.Context(), tree()); got != "" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestErrors(t *testing.T) {
	for _, pattern := range []string{"..", "a/../b", "a/./b", "/./a", "!", `\../a`} {
		if _, err := glob.Parse([]string{pattern}, "/w", "/h"); err == nil {
			t.Errorf("%q is accepted", pattern)
		}
	}
}

// TestLinks: a link to a file is read, one to a directory is not entered.
func TestLinks(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "d", "f"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"to-dir": "d", "to-file": "d/f", "nowhere": "gone"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := glob.Parse([]string{"**"}, dir, "/h")
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Files(t.Context(), os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"d/f", "to-file"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestFollowLinks: GitHub's library enters links to directories if it is told to, but not
// those that lead back to where they stand. One out of the workspace leads nowhere.
func TestFollowLinks(t *testing.T) {
	dir := t.TempDir()
	for name, to := range map[string]string{"a/f": "", "b/g": "", "b/back": "..", "b/to-a": "../a", "self": ".", "out": "/etc"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if to != "" {
			if err := os.Symlink(to, path); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	p, err := glob.Parse([]string{"**"}, dir, "/h")
	if err != nil {
		t.Fatal(err)
	}
	p.FollowLinks = true
	got, err := p.Files(t.Context(), root.FS())
	if diff := cmp.Diff([]string{"a/f", "b/g", "b/to-a/f"}, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// TestHashEnds: a file of a job can be longer than anybody waits for.
func TestHashEnds(t *testing.T) {
	dir := t.TempDir()
	f, err := os.OpenFile(filepath.Join(dir, "long"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		err = errors.Join(f.Truncate(1<<40), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	p, err := glob.Parse([]string{"long"}, dir, "/h")
	if err != nil {
		t.Fatal(err)
	}
	tooSlow := errors.New("too slow")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, tooSlow)
	defer cancel()
	if sum, err := p.Hash(ctx, os.DirFS(dir)); !errors.Is(err, tooSlow) {
		t.Errorf("%q, %v", sum, err)
	}
	if files, err := p.Files(ctx, os.DirFS(dir)); !errors.Is(err, tooSlow) {
		t.Errorf("%q, %v", files, err)
	}
}

// TestOnlineActionsGlob asks GitHub's own library about the same patterns, some
// written and some made at random. Left out is a bracket that is not closed before
// **, which their library takes for the text "undefined". It is installed from the registry that npm is
// configured for.
func TestOnlineActionsGlob(t *testing.T) {
	if os.Getenv("ZVIZ_TEST_ONLINE") != "1" {
		t.Skip("installs @actions/glob: needs ZVIZ_TEST_ONLINE=1")
	}
	testenv.NeedTool(t, "npm")
	lib, dir := t.TempDir(), t.TempDir()
	install := exec.CommandContext(t.Context(), "npm", "install", "--no-save", "--ignore-scripts", "@actions/glob@0.5.0")
	install.Dir = lib
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm install: %v\n%s", err, out)
	}
	for name, f := range tree() {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	parts := []string{"*", "**", "?", "a", "sub", "go.sum", ".txt", "[a-c]", "[!s]", "deep", "/", "/", "/", ".", "!", "x", "lock", "f", `\*`, "]"}
	var questions [][]string
	for range 3000 {
		var lines []string
		for range 1 + r.IntN(3) {
			var b strings.Builder
			for range 1 + r.IntN(5) {
				b.WriteString(parts[r.IntN(len(parts))])
			}
			// Without a name in front theirs would walk the whole file system, and end at
			// the first directory that cannot be read.
			lines = append(lines, strings.TrimLeft(b.String(), "/!")+"x"[:r.IntN(2)])
		}
		questions = append(questions, lines)
	}
	const script = `
		const glob = require("@actions/glob"), fs = require("fs"), rl = require("readline").createInterface({input: process.stdin});
		(async () => {
			for await (const line of rl) {
				let out = [];
				try {
					const g = await glob.create(JSON.parse(line).join("\n"), {followSymbolicLinks: false});
					for await (const f of g.globGenerator()) {
						if (f.startsWith(process.cwd() + "/") && !fs.statSync(f).isDirectory()) out.push(f.slice(process.cwd().length + 1));
					}
				} catch (e) { out = null; }
				console.log("answer" + JSON.stringify(out));
			}
		})();`
	node := exec.CommandContext(t.Context(), "node", "-e", script)
	node.Dir = dir
	node.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(lib, "node_modules"))
	var in strings.Builder
	for _, q := range questions {
		line, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&in, "%s\n", line)
	}
	node.Stdin = strings.NewReader(in.String())
	out, err := node.Output()
	if err != nil {
		t.Fatal(err)
	}
	i, wrong := 0, 0
	for sc := bufio.NewScanner(strings.NewReader(string(out))); sc.Scan(); {
		answer, ok := strings.CutPrefix(sc.Text(), "answer")
		if !ok {
			continue // the library talks to its runner
		}
		var want []string
		if err := json.Unmarshal([]byte(answer), &want); err != nil {
			t.Fatal(err)
		}
		q := questions[i]
		i++
		p, err := glob.Parse(q, dir, "/home/me")
		if err != nil || want == nil {
			// A file that is named as a directory is an error of theirs (ENOTDIR), and
			// nothing to us.
			if err != nil && want != nil {
				t.Errorf("%q: we say %v, they %s", q, err, answer)
			}
			continue
		}
		got, err := p.Files(t.Context(), os.DirFS(dir))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) { // in the same order: the digest depends on it
			wrong++
			t.Errorf("%q:\n  we   %q\n  they %q", q, got, want)
		}
		if wrong > 10 {
			t.Fatal("and more")
		}
	}
	if i != len(questions) {
		t.Errorf("%d answers to %d questions", i, len(questions))
	}
}
