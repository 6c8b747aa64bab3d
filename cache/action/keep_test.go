// SPDX-License-Identifier: Apache-2.0

package action_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zviz/run/cache/action"
)

// TestMain is also the runner that TestKilled kills: it opens a tree of a forge.
func TestMain(m *testing.M) {
	if args := os.Args; len(args) == 5 && args[1] == "open-a-tree" {
		c, err := action.Open(action.Config{Dir: args[2], Base: args[3], Environ: os.Environ()})
		if err == nil {
			fmt.Println("open")
			_, err = c.Open(context.Background(), hello, args[4])
		}
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// TestKilled: a runner that is killed while it fetches leaves nothing that matters.
func TestKilled(t *testing.T) {
	f := newForge(t)
	commit := f.repository()
	s := f.serve()
	reached, release := make(chan struct{}, 1), make(chan struct{})
	s.before = func(w http.ResponseWriter, _ *http.Request) bool {
		if s.fetches.Load() > 1 {
			return false
		}
		reached <- struct{}{}
		<-release
		w.WriteHeader(http.StatusInternalServerError)
		return true
	}
	dir := filepath.Join(t.TempDir(), "actions")
	runner := exec.Command(os.Args[0], "open-a-tree", dir, s.URL, commit)
	runner.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + f.dir, "GIT_CONFIG_NOSYSTEM=1"}
	if err := runner.Start(); err != nil {
		t.Fatal(err)
	}
	<-reached
	if err := runner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = runner.Wait()
	left, err := os.ReadDir(filepath.Join(dir, "tmp"))
	if err != nil || len(left) == 0 {
		t.Fatalf("nothing was there to kill: %v", err)
	}
	open := func() {
		t.Helper()
		c, _ := f.open(func(cfg *action.Config) { cfg.Dir, cfg.Base = dir, s.URL })
		tree, err := c.Open(t.Context(), hello, commit)
		if err != nil {
			t.Fatal(err)
		}
		if got := contents(t, tree); len(got) != 6 {
			t.Errorf("%v", got)
		}
		tree.Close()
	}
	open() // the git of the killed one still lives
	close(release)
	for range 1200 { // until it has ended
		open()
		left, err = os.ReadDir(filepath.Join(dir, "tmp"))
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if n := s.fetches.Load(); n != 2 {
		t.Errorf("%d fetches", n)
	}
}

// TestDamaged: what is not as it was fetched is fetched anew.
func TestDamaged(t *testing.T) {
	f := newForge(t)
	commit := f.repository()
	dir := filepath.Join(t.TempDir(), "actions")
	files := filepath.Join(dir, "trees/octo/hello", commit, "files")
	damage := map[string]func() error{
		"nothing":       func() error { return nil },
		"content":       func() error { return change(filepath.Join(files, "dist/index.js"), "CONSOLE.log('main')\n") },
		"size":          func() error { return change(filepath.Join(files, "action.yml"), "") },
		"a file gone":   func() error { return os.Remove(filepath.Join(files, "run.sh")) },
		"not a program": func() error { return os.Chmod(filepath.Join(files, "run.sh"), 0o444) },
		"a link for a file": func() error {
			name := filepath.Join(files, "run.sh")
			if err := os.Remove(name); err != nil {
				return err
			}
			return os.Symlink("action.yml", name)
		},
		"another link": func() error {
			name := filepath.Join(files, "dist/up")
			if err := os.Remove(name); err != nil {
				return err
			}
			return os.Symlink("/etc/passwd", name)
		},
		"no list":       func() error { return os.Remove(filepath.Join(filepath.Dir(files), "list")) },
		"a short list":  func() error { return os.Truncate(filepath.Join(filepath.Dir(files), "list"), 100) },
		"an empty list": func() error { return os.Truncate(filepath.Join(filepath.Dir(files), "list"), 0) },
		"no files":      func() error { return os.RemoveAll(files) },
	}
	for name, do := range damage {
		t.Run(name, func(t *testing.T) {
			first, _ := f.open(func(cfg *action.Config) { cfg.Dir = dir })
			tree, err := first.Open(t.Context(), hello, commit)
			if err != nil {
				t.Fatal(err)
			}
			want := contents(t, tree)
			tree.Close()
			if err := do(); err != nil {
				t.Fatal(err)
			}
			second, log := f.open(func(cfg *action.Config) { cfg.Dir = dir })
			if tree, err = second.Open(t.Context(), hello, commit); err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			if got := contents(t, tree); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%v, want %v", got, want)
			}
			said := strings.Contains(log.String(), "is damaged and is fetched anew")
			if want := name != "nothing" && name != "no files"; said != want {
				t.Errorf("said: %t\n%s", said, log)
			}
		})
	}
}

// change writes to a file that is read-only.
func change(name, text string) error {
	if err := os.Chmod(name, 0o644); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(text), 0o444)
}

// TestPrune evicts what was not used for the longest time, and nothing in use.
func TestPrune(t *testing.T) {
	f := newForge(t)
	f.repository()
	c, _ := f.open()
	var commits []string
	var trees []*action.Tree
	for i := range 4 {
		blob := f.object("blob", strings.Repeat(strconv.Itoa(i), 1000))
		commits = append(commits, f.commit(f.tree(node{"100644", "x", blob}), fmt.Sprint("b", i)))
		tree, err := c.Open(t.Context(), hello, commits[i])
		if err != nil {
			t.Fatal(err)
		}
		trees = append(trees, tree)
		old := time.Now().Add(time.Duration(i-10) * time.Hour)
		if err := os.Chtimes(filepath.Join(filepath.Dir(tree.Dir), "list"), old, old); err != nil {
			t.Fatal(err)
		}
	}
	for _, tree := range trees[1:] {
		tree.Close()
	}
	gone, err := c.Prune(t.Context(), 2000) // the first is in use
	if err != nil || len(gone) != 2 || gone[0].Commit != commits[1] || gone[1].Commit != commits[2] || gone[0].Bytes != 1000 {
		t.Fatalf("%v %v", gone, err)
	}
	if _, err := os.Stat(trees[0].Dir + "/x"); err != nil {
		t.Error(err)
	}
	list, err := c.List()
	if err != nil || len(list) != 2 || list[0].Commit != commits[3] || list[1].Commit != commits[0] {
		t.Errorf("%v %v", list, err)
	}
	if _, err := os.Stat(trees[1].Dir); err == nil {
		t.Error("it is still there")
	}
	again, err := c.Open(t.Context(), hello, commits[1])
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	trees[0].Close()
	// A fetch evicts by itself.
	small, _ := f.open(func(cfg *action.Config) { cfg.MaxBytes = 1500 })
	for _, commit := range commits {
		tree, err := small.Open(t.Context(), hello, commit)
		if err != nil {
			t.Fatal(err)
		}
		tree.Close()
	}
	if list, err := small.List(); err != nil || len(list) != 1 || list[0].Commit != commits[3] {
		t.Errorf("%v %v", list, err)
	}
}
