// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zviz/run/cache/folders"
	"github.com/zviz/run/cache/registry"
)

// Registry is an npm registry, as the operator's npm is configured.
type Registry struct {
	Base   string // URL
	Client *http.Client
	// Authorization is the header's value for requests to Base's host; empty: none.
	Authorization string
}

// Config says where the versions are and where they come from.
type Config struct {
	Dir string // absolute; made if it is not there
	// Registry is asked for when something is to be fetched. Nil: nothing is.
	Registry func(ctx context.Context) (Registry, error)
	// MinAge is how long ago a version must have been published to be fetched.
	MinAge time.Duration
	Phase  func(string) // may be nil: what takes time just now, empty when it is over
}

// Store is a folder of versions. It is safe for concurrent use, also by several processes.
type Store struct {
	cfg     Config
	folders *folders.Folders
}

// Open makes or opens a store. It refuses a folder that others could write to.
func Open(cfg Config) (*Store, error) {
	f, err := folders.Open(cfg.Dir, "versions")
	if err != nil {
		return nil, fmt.Errorf("store of Node.js: %w", err)
	}
	return &Store{cfg, f}, nil
}

// Close gives the folder back. What was got stays.
func (s *Store) Close() error { return s.folders.Close() }

// Node is a version. It is not removed before Close.
type Node struct {
	Version string // 24.22.3
	Dir     string // absolute; bin/node is in there
	lock    *os.File
}

// Close gives it back.
func (n *Node) Close() error { return n.lock.Close() }

// ErrNone says that no version of a major is there, and that none may be fetched.
var ErrNone = errors.New("there is none, and none is fetched")

// Find returns the newest version of a major that is there, or ErrNone.
func (s *Store) Find(ctx context.Context, major int) (*Node, error) {
	entries, err := fs.ReadDir(s.folders.Root.FS(), "versions")
	if err != nil {
		return nil, fmt.Errorf("store of Node.js: %w", err)
	}
	best := ""
	for _, e := range entries {
		v, ok := strings.CutSuffix(e.Name(), "-"+arch())
		if ok && majorOf(v) == major && (best == "" || registry.CompareVersions(v, best) > 0) {
			best = v
		}
	}
	if best == "" {
		return nil, ErrNone
	}
	return s.open(ctx, best)
}

func (s *Store) open(ctx context.Context, version string) (*Node, error) {
	name := folder(version)
	lock, err := s.folders.Lock(ctx, name, false)
	if err != nil {
		return nil, err
	}
	if info, err := s.folders.Root.Lstat(name + "/bin/node"); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(ErrNone, lock.Close())
	}
	return &Node{Version: version, Dir: filepath.Join(s.folders.Dir, name), lock: lock}, nil
}

// Get is Find, and Fetch if there is none.
func (s *Store) Get(ctx context.Context, major int) (*Node, error) {
	if n, err := s.Find(ctx, major); !errors.Is(err, ErrNone) {
		return n, err
	}
	return s.Fetch(ctx, major)
}

// folder is where a version is, and the key of its lock.
func folder(version string) string { return path.Join("versions", version+"-"+arch()) }

// arch is the machine as npm names it.
func arch() string {
	if runtime.GOARCH == "amd64" {
		return "x64"
	}
	return runtime.GOARCH
}

// majorOf is 0 for what is no released version.
func majorOf(version string) int {
	parts := strings.Split(version, ".")
	if len(parts) != 3 || slices.ContainsFunc(parts, func(p string) bool { return p == "" || strings.Trim(p, "0123456789") != "" }) {
		return 0
	}
	n, _ := strconv.Atoi(parts[0])
	return n
}
