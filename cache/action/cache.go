// SPDX-License-Identifier: Apache-2.0

package action

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/zviz/run/cache/folders"
)

// Config says where the trees are and where they come from.
type Config struct {
	Dir string // absolute; made if it is not there
	// Base is the address of the forge: repositories are below it as OWNER/NAME. https,
	// http, ssh or file; https://github.com if empty.
	Base string
	// Environ is the user's. Git gets those of its variables by which it finds its
	// configuration, credentials, proxies and certificates.
	Environ []string

	Offline bool          // nothing is fetched; refs are what they were last
	Timeout time.Duration // of one fetch; 0 means DefaultTimeout
	// MaxTree is how many bytes one tree may have, and its pack; 0 means DefaultMaxTree.
	MaxTree int64
	// MaxBytes is how many all trees may have that nobody uses; 0 means DefaultMaxBytes,
	// negative no limit.
	MaxBytes int64

	Phase func(string) // may be nil: what takes time just now, empty when it is over
	Log   *slog.Logger // nil discards
}

// The defaults of Config.
const (
	DefaultBase           = "https://github.com"
	DefaultTimeout        = 10 * time.Minute
	DefaultMaxTree  int64 = 1 << 30
	DefaultMaxBytes int64 = 5 << 30
)

// Cache is a folder of trees. It is safe for concurrent use, also by several processes.
type Cache struct {
	cfg  Config
	base *url.URL
	git  git

	folders *folders.Folders
	root    *os.Root // of folders

	mu      sync.Mutex
	trusted map[string]bool // trees that this process has hashed
}

// Open makes or opens a cache. It refuses a folder that others could write to, and
// removes what dead runners left.
func Open(cfg Config) (*Cache, error) {
	if cfg.Base == "" {
		cfg.Base = DefaultBase
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.MaxTree == 0 {
		cfg.MaxTree = DefaultMaxTree
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = DefaultMaxBytes
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	base, err := parseBase(cfg.Base)
	if err != nil {
		return nil, fmt.Errorf("address of the forge: %w", err)
	}
	f, err := folders.Open(cfg.Dir, "trees", "refs")
	if err != nil {
		return nil, fmt.Errorf("action cache: %w", err)
	}
	return &Cache{cfg: cfg, base: base, folders: f, root: f.Root, git: newGit(cfg, base), trusted: map[string]bool{}}, nil
}

// Close gives the folder back. Trees that are open stay so.
func (c *Cache) Close() error { return c.folders.Close() }

// CheckBase says what is wrong with the address of a forge.
func CheckBase(s string) error {
	_, err := parseBase(s)
	return err
}

// parseBase reads the address of a forge.
func parseBase(s string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(s, "/"))
	if err != nil {
		return nil, errors.New("it cannot be read as a URL") // without it: there may be a password
	}
	switch {
	case u.Scheme == "file" && u.Host == "" && filepath.IsAbs(u.Path):
	case (u.Scheme == "https" || u.Scheme == "http" || u.Scheme == "ssh") && u.Host != "" && u.Host[0] != '-':
	default:
		return nil, errors.New("want https://HOST[/PATH], http, ssh or file:///PATH")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("a query or a fragment has no meaning in it")
	}
	return u, nil
}

func (c *Cache) phase(text string) {
	if c.cfg.Phase != nil {
		c.cfg.Phase(text)
	}
}
