// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	cache "github.com/zviz/run/cache/action"
	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/workflows/action"
)

// Folder stands for an action's repository: what it names is read from there, whatever a
// lock file says.
type Folder struct {
	Owner, Repo string
	Ref         string // empty: of every ref
	Dir         string // absolute
}

// ParseFolder reads OWNER/REPO[@REF]=DIR. Dir is as it was written.
func ParseFolder(s string) (Folder, error) {
	name, dir, ok := strings.Cut(s, "=")
	if !ok || dir == "" {
		return Folder{}, errors.New("want OWNER/REPO[@REF]=DIR")
	}
	repo, ref, hasRef := strings.Cut(name, "@")
	if !hasRef {
		ref = "any"
	}
	u, err := action.ParseUses(repo + "@" + ref)
	if err != nil {
		return Folder{}, err
	}
	if u.Kind != action.Remote || u.Path != "" {
		return Folder{}, errors.New("want a repository, OWNER/REPO: an action in a folder of it is found below DIR")
	}
	f := Folder{Owner: u.Owner, Repo: u.Repo, Dir: dir}
	if hasRef {
		f.Ref = ref
	}
	return f, nil
}

func (f Folder) is(u action.Uses) bool {
	return strings.EqualFold(f.Owner, u.Owner) && strings.EqualFold(f.Repo, u.Repo) && (f.Ref == "" || f.Ref == u.Ref)
}

// Source is where the repositories of a run come from: folders that the user named, then
// the cache and the forge. It is an action.Source, and safe for concurrent use. What it
// opened stays until Close.
type Source struct {
	cache   func() (*cache.Cache, error)
	folders []Folder

	mu       sync.Mutex
	resolved map[string]*once[string]
	opened   map[string]*once[repository]
	close    []func() error
}

// once is something that one asks for, and that others wait for. A failure is forgotten.
type once[T any] struct {
	mu   sync.Mutex
	done bool
	v    T
}

func (o *once[T]) get(ask func() (T, error)) (T, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.done {
		return o.v, nil
	}
	v, err := ask()
	if err == nil {
		o.v, o.done = v, true
	}
	return v, err
}

// repository is one that is at hand.
type repository struct {
	files fs.FS
	dir   string         // of the host
	name  string         // that tells it from others: the commit, or what stands for it
	owner *sandbox.Owner // of a folder of the user's, whose files the job reads as its own
}

// NewSource makes a source. The cache is opened when it is needed first, and closed with
// the source; without one there are the folders only. A folder with a ref goes before one
// for all.
func NewSource(open func() (*cache.Cache, error), folders []Folder) *Source {
	s := &Source{folders: folders, resolved: map[string]*once[string]{}, opened: map[string]*once[repository]{}}
	s.cache = func() (*cache.Cache, error) { return nil, errNoCache }
	if open != nil {
		s.cache = sync.OnceValues(func() (*cache.Cache, error) {
			c, err := open()
			if err == nil {
				s.closeLater(c.Close)
			}
			return c, err
		})
	}
	return s
}

// Close gives all back that was opened. The jobs that use it must have ended.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for _, c := range slices.Backward(s.close) {
		err = errors.Join(err, c())
	}
	s.close, s.opened = nil, map[string]*once[repository]{}
	return err
}

func (s *Source) folder(u action.Uses) (Folder, bool) {
	var found Folder
	ok := false
	for _, f := range s.folders {
		if f.is(u) && (!ok || found.Ref == "" && f.Ref != "") {
			found, ok = f, true
		}
	}
	return found, ok
}

// errNoCache is the answer without one.
var errNoCache = errors.New("this run fetches no actions")

// Resolve says which commit the ref of a uses is, and stays with its answer. A folder has
// none: an empty text.
func (s *Source) Resolve(ctx context.Context, u action.Uses) (string, error) {
	if u.Kind != action.Remote {
		return "", fmt.Errorf("bug: %s names no repository", u)
	}
	if _, ok := s.folder(u); ok {
		return "", nil
	}
	c, err := s.cache()
	if err != nil {
		return "", fmt.Errorf("%s: %w", u, err)
	}
	return keyed(&s.mu, s.resolved, u.Pin()).get(func() (string, error) {
		return c.Resolve(ctx, cache.Repository{Owner: u.Owner, Name: u.Repo}, u.Ref)
	})
}

// Files are those of the repository at a commit, or of the folder that stands for it.
func (s *Source) Files(ctx context.Context, u action.Uses, commit string) (fs.FS, error) {
	r, err := s.open(ctx, u, commit)
	return r.files, err
}

func (s *Source) open(ctx context.Context, u action.Uses, commit string) (repository, error) {
	if f, ok := s.folder(u); ok {
		return s.local(f.Dir)
	}
	c, err := s.cache()
	if err != nil {
		return repository{}, fmt.Errorf("%s: %w", u, err)
	}
	key := strings.ToLower(u.Owner+"/"+u.Repo) + "@" + commit
	return keyed(&s.mu, s.opened, key).get(func() (repository, error) {
		t, err := c.Open(ctx, cache.Repository{Owner: u.Owner, Name: u.Repo}, commit)
		if err != nil {
			return repository{}, err
		}
		s.closeLater(t.Close)
		return repository{files: t.FS(), dir: t.Dir, name: commit}, nil
	})
}

// local opens a folder of the host. No link leads out of it.
func (s *Source) local(dir string) (repository, error) {
	return keyed(&s.mu, s.opened, dir).get(func() (repository, error) {
		full, err := filepath.EvalSymlinks(dir) // the source of a mount is no link
		if err != nil {
			return repository{}, err
		}
		root, err := os.OpenRoot(full)
		if err != nil {
			return repository{}, err
		}
		s.closeLater(root.Close)
		r := repository{files: root.FS(), dir: full, name: "local-" + short(full)}
		info, err := root.Stat(".")
		if err != nil {
			return repository{}, err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			r.owner = &sandbox.Owner{UID: st.Uid, GID: st.Gid}
		}
		return r, nil
	})
}

func (s *Source) closeLater(f func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.close = append(s.close, f)
}

// keyed finds or makes the entry of a key.
func keyed[T any](mu *sync.Mutex, m map[string]*once[T], key string) *once[T] {
	mu.Lock()
	defer mu.Unlock()
	o := m[key]
	if o == nil {
		o = &once[T]{}
		m[key] = o
	}
	return o
}

var _ action.Source = (*Source)(nil)
