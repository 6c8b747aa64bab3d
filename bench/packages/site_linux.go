// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/cache/lockfile"
)

// user owns the workspace and installs without us. As root npm gives each file to
// somebody; inside, the job has the rights of the workspace's owner.
const user = 12345

// site is the project, and everybody's folders.
type site struct {
	dir, runner string
	registry    *server
	packages    int // that npm installs
	caches      int
}

// sample is one installation.
type sample struct {
	cpu, wall time.Duration
}

// way is how an installation is done.
type way struct {
	name string
	run  func(context.Context, *site) (*exec.Cmd, error)
	// asks says whether the registry may be asked for archives.
	asks bool
}

func newSite(ctx context.Context, dir, runner, project string) (_ *site, err error) {
	s := &site{dir: dir, runner: runner}
	lock, err := os.Open(filepath.Join(project, "package-lock.json"))
	if err != nil {
		return nil, err
	}
	locked, err := lockfile.Parse("package-lock.json", lock)
	if err = errors.Join(err, lock.Close()); err != nil {
		return nil, err
	}
	if s.registry, err = newServer(ctx, locked); err != nil {
		return nil, err
	}
	at := s.registry.Listener.Addr().String()
	npmrc := "replace-registry-host=always\naudit=false\nfund=false\nupdate-notifier=false\nignore-scripts=true\n"
	outside := npmrc + "registry=https://" + at + "/\ncafile=" + s.path("ca.pem") + "\n"
	for name, text := range map[string]string{
		"ca.pem": string(s.registry.ca()), "operator/.npmrc": npmrc + "registry=https://" + registryName + "/\n", "user/.npmrc": outside,
		"policy.yml": fmt.Sprintf("version: 1\negress:\n  presets: [npm]\n  upstream: {hosts: {%s: %q}, ca_file: %s}\n", registryName, at, s.path("ca.pem")),
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(s.path(name)), 0o755), os.WriteFile(s.path(name), []byte(text), 0o644)); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(os.Mkdir(s.path("work"), 0o755), os.Mkdir(s.path("empty"), 0o755)); err != nil {
		return nil, err
	}
	for _, name := range []string{"package.json", "package-lock.json"} {
		b, err := os.ReadFile(filepath.Join(project, name))
		if err == nil && name == "package-lock.json" {
			b, err = resolved(b)
		}
		if err = errors.Join(err, os.WriteFile(s.path("work", name), b, 0o644)); err != nil {
			return nil, err
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	return s, s.give("work", "work/package.json", "work/package-lock.json", "user", "user/.npmrc", "empty")
}

func (s *site) path(name ...string) string {
	return filepath.Join(append([]string{s.dir}, name...)...)
}

func (s *site) give(names ...string) error {
	var errs []error
	for _, n := range names {
		errs = append(errs, os.Chown(s.path(n), user, user))
	}
	return errors.Join(errs...)
}

// resolved says in a lockfile where each package is from, as npm does by default.
func resolved(lock []byte) ([]byte, error) {
	var doc map[string]any
	if err := json.Unmarshal(lock, &doc); err != nil {
		return nil, err
	}
	packages, _ := doc["packages"].(map[string]any)
	for at, p := range packages {
		entry, ok := p.(map[string]any)
		i := strings.LastIndex(at, "node_modules/")
		version, _ := entry["version"].(string)
		if !ok || i < 0 || version == "" || entry["link"] == true || entry["inBundle"] == true {
			continue
		}
		name, _ := entry["name"].(string)
		if name == "" {
			name = at[i+len("node_modules/"):]
		}
		entry["resolved"] = "https://" + registryName + archiveOf(name, version)
	}
	return json.Marshal(doc)
}

// cache makes an empty cache of the user's.
func (s *site) cache() (string, error) {
	s.caches++
	name := "cache-" + strconv.Itoa(s.caches)
	return s.path(name), errors.Join(os.Mkdir(s.path(name), 0o700), s.give(name))
}

// bare is npm as the user, with a cache.
func (s *site) bare(ctx context.Context, cache string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "npm", "ci", "--loglevel=error", "--cache", cache)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.path("user")}
	return cmd
}

// inside is npm in a fresh sandbox, with flags of exec.
func (s *site) inside(ctx context.Context, flags ...string) *exec.Cmd {
	args := slices.Concat([]string{"exec", "--policy", s.path("policy.yml"), "-q"}, flags, []string{"--", "npm", "ci", "--loglevel=error", "--ignore-scripts"})
	cmd := exec.CommandContext(ctx, s.runner, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.path("operator"), "ZVIZ_STATE_DIR=" + s.path("state"), "ZVIZ_CACHE_DIR=" + s.path("store")}
	return cmd
}

// ways are all that are compared; the first two are what the others are compared with.
func (s *site) ways(warm string) []way {
	return []way{
		{"bare, empty cache", func(ctx context.Context, s *site) (*exec.Cmd, error) {
			cache, err := s.cache()
			return s.bare(ctx, cache), err
		}, true},
		{"bare, warm ~/.npm", func(ctx context.Context, s *site) (*exec.Cmd, error) { return s.bare(ctx, warm), nil }, false},
		{"inside, the store below ~/.npm", func(ctx context.Context, s *site) (*exec.Cmd, error) { return s.inside(ctx), nil }, false},
		{"inside, offline", func(ctx context.Context, s *site) (*exec.Cmd, error) { return s.inside(ctx, "--offline"), nil }, false},
		// What is mounted there keeps the store's layer away.
		{"inside, the store through the gateway", func(ctx context.Context, s *site) (*exec.Cmd, error) {
			cache, err := s.cache()
			return s.inside(ctx, "--mount", cache+":/home/job/.npm:rw"), err
		}, false},
	}
}

// install installs once.
func (s *site) install(ctx context.Context, w way) (_ sample, err error) {
	if err := os.RemoveAll(s.path("work", "node_modules")); err != nil {
		return sample{}, err
	}
	cmd, err := w.run(ctx, s)
	if err != nil {
		return sample{}, err
	}
	cmd.Dir = s.path("work")
	if err := s.settle(); err != nil {
		return sample{}, err
	}
	before, start := s.registry.archives.Load(), time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(start)
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w\n%s", w.name, err, out)
	}
	installed, err := os.ReadFile(s.path("work", "node_modules", ".package-lock.json"))
	if err != nil {
		return sample{}, err
	}
	n := strings.Count(string(installed), `"version":`)
	if s.packages == 0 {
		s.packages = n
	}
	if n != s.packages {
		return sample{}, fmt.Errorf("%s: %d packages, where another way installs %d", w.name, n, s.packages)
	}
	if asked := s.registry.archives.Load() - before; asked > 0 && !w.asks {
		return sample{}, fmt.Errorf("%s: the registry was asked for %d archives", w.name, asked)
	}
	return sample{cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), took}, nil
}

// settle waits for the disk: what one installation wrote is not the next one's.
func (s *site) settle() error {
	for i := range s.caches {
		if name := s.path("cache-" + strconv.Itoa(i+1)); i+1 < s.caches {
			if err := os.RemoveAll(name); err != nil {
				return err
			}
		}
	}
	d, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(os.NewSyscallError("syncfs", unix.Syncfs(int(d.Fd()))), d.Close())
}
