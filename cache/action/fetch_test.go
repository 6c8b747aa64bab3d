// SPDX-License-Identifier: Apache-2.0

package action_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zviz/run/cache/action"
	"github.com/zviz/run/internal/testenv"
)

// server serves a forge over HTTP by git's own program, and counts fetches.
type server struct {
	*httptest.Server
	fetches atomic.Int32
	// before, if it is there, is called before a fetch is answered.
	before func(w http.ResponseWriter, r *http.Request) (done bool)
}

func (f *forge) serve(guards ...func(http.Handler) http.Handler) *server {
	f.t.Helper()
	program := testenv.NeedTool(f.t, "git")
	out, err := exec.Command(program, "--exec-path").Output()
	if err != nil {
		f.t.Fatal(err)
	}
	handler := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"), InheritEnv: []string{"PATH"},
		Env: []string{"GIT_PROJECT_ROOT=" + f.dir, "GIT_HTTP_EXPORT_ALL=1", "HOME=" + f.dir, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
	s := &server{}
	var all http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if bytes.Contains(body, []byte("command=fetch")) {
			s.fetches.Add(1)
			if s.before != nil && s.before(w, r) {
				return
			}
		}
		r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
		handler.ServeHTTP(w, r)
	})
	for _, g := range guards {
		all = g(all)
	}
	s.Server = httptest.NewServer(all)
	f.t.Cleanup(s.Close)
	return s
}

// TestOneFetch: many askers, of several runners, want the same commit.
func TestOneFetch(t *testing.T) {
	f := newForge(t)
	commit := f.repository()
	s := f.serve()
	release := make(chan struct{})
	s.before = func(http.ResponseWriter, *http.Request) bool { <-release; return false }
	dir := filepath.Join(t.TempDir(), "actions")
	var asked, wg sync.WaitGroup
	for range 4 {
		c, _ := f.open(func(cfg *action.Config) { cfg.Dir, cfg.Base = dir, s.URL })
		for range 5 {
			asked.Add(1)
			wg.Go(func() {
				asked.Done()
				tree, err := c.Open(t.Context(), hello, commit)
				if err != nil {
					t.Error(err)
					return
				}
				if b, err := os.ReadFile(filepath.Join(tree.Dir, "dist/index.js")); err != nil || len(b) == 0 {
					t.Error(err)
				}
				tree.Close()
			})
		}
	}
	asked.Wait()
	close(release)
	wg.Wait()
	if n := s.fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// TestErrors say what is the matter.
func TestErrors(t *testing.T) {
	f := newForge(t)
	commit := f.repository()
	s := f.serve()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	missing := strings.Repeat("1", 40)
	for _, tt := range []struct {
		name, base, repo, ref string
		want                  action.Reason
		text                  string
	}{
		{"nobody there", "http://" + closed.Addr().String(), "hello", "main", action.Unreachable, "cannot reach http://" + closed.Addr().String()},
		{"no such host", "https://forge.invalid", "hello", "main", action.Unreachable, "forge.invalid"},
		{"no repository", s.URL, "other", "main", action.NoAccess, "there is no repository " + s.URL + "/octo/other, or it is private"},
		{"no repository on disk", f.url(), "other", "main", action.NoAccess, "there is no repository file://"},
		{"no ref", s.URL, "hello", "v9", action.NoRef, "has no branch, tag or commit of that name"},
		{"a part of a ref", s.URL, "hello", "mai", action.NoRef, ""},
		{"a short commit", s.URL, "hello", commit[:10], action.ShortCommit, "a commit must be given in full"},
		{"no commit", s.URL, "hello", missing, action.NoRef, ""},
		{"no commit on disk", f.url(), "hello", missing, action.NoRef, ""},
		{"an option", s.URL, "hello", "--upload-pack=touch x", action.Refused, "is neither branch, tag nor commit"},
		{"a name that leads up", s.URL, "..", "main", action.Refused, "is not the name of a repository"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := f.open(func(cfg *action.Config) { cfg.Base = tt.base })
			repo := action.Repository{Owner: "octo", Name: tt.repo}
			id, err := c.Resolve(t.Context(), repo, tt.ref)
			if err == nil {
				var tree *action.Tree
				if tree, err = c.Open(t.Context(), repo, id); err == nil {
					tree.Close()
				}
			}
			e := failure(t, err, tt.want)
			if !strings.Contains(e.Error(), tt.text) || e.Reason != action.Refused && e.Hint() == "" {
				t.Errorf("%v; %s", e, e.Hint())
			}
			t.Log(e)
		})
	}
	t.Run("no git", func(t *testing.T) {
		c, _ := f.open(func(cfg *action.Config) { cfg.Environ = []string{"PATH=/nowhere"} })
		_, err := c.Resolve(t.Context(), hello, "main")
		_ = failure(t, err, action.NoGit)
	})
}

// TestCredentials are those of the user's git, and no error holds one.
func TestCredentials(t *testing.T) {
	f := newForge(t)
	commit := f.repository()
	s := f.serve(func(inner http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("me:s3cret-token")) {
				w.Header().Set("WWW-Authenticate", `Basic realm="forge"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			inner.ServeHTTP(w, r)
		})
	})
	host := strings.TrimPrefix(s.URL, "http://")
	open := func(c *action.Cache) error {
		id, err := c.Resolve(t.Context(), hello, "main")
		if err != nil {
			return err
		}
		tree, err := c.Open(t.Context(), hello, id)
		if err != nil {
			return err
		}
		if tree.Commit != commit {
			t.Errorf("%s, want %s", tree.Commit, commit)
		}
		return tree.Close()
	}
	c, _ := f.open(func(cfg *action.Config) { cfg.Base = s.URL })
	_ = failure(t, open(c), action.NoAccess)
	c, _ = f.open(func(cfg *action.Config) { cfg.Base = "http://me:s3cret-wrong@" + host })
	if e := failure(t, open(c), action.NoAccess); strings.Contains(e.Error()+e.Hint(), "s3cret") {
		t.Error(e, e.Hint())
	}
	if err := os.WriteFile(filepath.Join(f.dir, "credentials"), []byte("http://me:s3cret-token@"+host+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, ".gitconfig"), []byte("[credential]\n\thelper = store --file "+filepath.Join(f.dir, "credentials")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _ = f.open(func(cfg *action.Config) { cfg.Base = s.URL })
	if err := open(c); err != nil {
		t.Error(err)
	}
}

// TestOffline runs what is there, and asks nobody.
func TestOffline(t *testing.T) {
	f := newForge(t)
	commit := f.repository()
	dir := filepath.Join(t.TempDir(), "actions")
	online, _ := f.open(func(cfg *action.Config) { cfg.Dir = dir })
	id, err := online.Resolve(t.Context(), hello, "main")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := online.Open(t.Context(), hello, id)
	if err != nil {
		t.Fatal(err)
	}
	tree.Close()
	c, _ := f.open(func(cfg *action.Config) { cfg.Dir, cfg.Offline, cfg.Environ = dir, true, nil })
	if id, err = c.Resolve(t.Context(), action.Repository{Owner: "OCTO", Name: "Hello"}, "main"); err != nil || id != commit {
		t.Fatalf("%s %v", id, err)
	}
	if tree, err = c.Open(t.Context(), action.Repository{Owner: "OCTO", Name: "Hello"}, id); err != nil {
		t.Fatal(err)
	}
	tree.Close()
	_, err = c.Resolve(t.Context(), hello, "other")
	_ = failure(t, err, action.Offline)
	_, err = c.Open(t.Context(), hello, strings.Repeat("1", 40))
	_ = failure(t, err, action.Offline)
}

// TestStalled: a server that does not go on, and a user who does not wait.
func TestStalled(t *testing.T) {
	f := newForge(t)
	commit := f.repository()
	s := f.serve()
	end, reached := make(chan struct{}), make(chan struct{}, 10)
	t.Cleanup(func() { close(end) })
	s.before = func(_ http.ResponseWriter, r *http.Request) bool {
		reached <- struct{}{}
		select {
		case <-end:
		case <-r.Context().Done():
		}
		return true
	}
	c, _ := f.open(func(cfg *action.Config) { cfg.Base, cfg.Timeout = s.URL, time.Second })
	_, err := c.Open(t.Context(), hello, commit)
	_ = failure(t, err, action.TooLarge)
	select {
	case <-reached:
	default: // a second was not enough to get there
	}
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-reached
		cancel(stop)
	}()
	c, _ = f.open(func(cfg *action.Config) { cfg.Base = s.URL })
	if _, err := c.Open(ctx, hello, commit); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
}

// TestRefs: of a tag and a branch the tag, and the commit that a tag with a message is of.
func TestRefs(t *testing.T) {
	f := newForge(t)
	first := f.repository()
	tree := f.tree(node{"100644", "x", f.object("blob", "x")})
	second := f.commit(tree, "both")
	third := f.commit(tree, "a/both")
	f.git("", "tag", "-a", "-m", "message", "both", first)
	f.git("", "tag", "light", first)
	f.git("", "update-ref", "refs/tags/x/refs/tags/light", second)
	f.git("", "update-ref", "refs/pull/7/head", third)
	c, log := f.open()
	for ref, want := range map[string]string{
		"main": first, "light": first, "both": first, "tags/both": first, "refs/tags/both": first, "heads/both": second, "refs/heads/both": second,
		"a/both": third, "pull/7/head": third, strings.ToUpper(first): first,
	} {
		if got, err := c.Resolve(t.Context(), hello, ref); err != nil || got != want {
			t.Errorf("%s: %s %v, want %s", ref, got, err, want)
		}
	}
	if !strings.Contains(log.String(), "a tag and a branch have the same name; the tag is taken") {
		t.Error(log)
	}
	tag := f.git("", "rev-parse", "refs/tags/both")
	_, err := c.Open(t.Context(), hello, tag)
	if e := failureOf(t, err); !strings.Contains(e.Error(), "is a tag, not a commit") {
		t.Error(e)
	}
}

func TestBase(t *testing.T) {
	for _, base := range []string{"github.com", "ftp://example.com", "file://host/x", "file:relative", "https://", "ext::sh -c x", "https://example.com/?x=y", "https://-x", "git@github.com:x"} {
		if c, err := action.Open(action.Config{Dir: t.TempDir(), Base: base}); err == nil {
			c.Close()
			t.Errorf("%q is taken", base)
		}
	}
}
