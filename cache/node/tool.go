// SPDX-License-Identifier: Apache-2.0

package node

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/zviz/run/cache/folders"
)

// The bounds of what is unpacked of npm.
const (
	mostFiles = 20_000
	mostBytes = 256 << 20
)

// Tool is a Node.js in a tool cache of GitHub's form.
type Tool struct {
	Node, NPM string // versions
	Dir       string // absolute; bin/node and bin/npm are in there
}

// IsRange reports whether a text can say which versions are meant: 22, 22.14 or 22.14.0.
func IsRange(s string) bool {
	parts := strings.Split(s, ".")
	for _, p := range parts {
		if p == "" || len(p) > 9 || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return len(parts) <= 3
}

// inRange reports whether a released version is in a range of IsRange.
func inRange(version, in string) bool {
	return majorOf(version) > 0 && (version == in || strings.HasPrefix(version, in+"."))
}

// described is a range for people.
func described(in string) string {
	if strings.Count(in, ".") < 2 {
		return in + ".x"
	}
	return in
}

// npmOf is the major version of npm that a Node.js comes with: 10 up to Node.js 22, 11
// since (nodejs.org, "Previous Releases").
func npmOf(version string) string {
	if majorOf(version) <= 22 {
		return "10"
	}
	return "11"
}

// Tool brings the newest version of a range, with its npm, into a tool cache: a folder on
// the file system of the store, made if it is not there. What is there already is not
// fetched again.
//
// Source of its form: actions/toolkit, packages/tool-cache, "_createToolPath" and
// "_completeToolPath".
func (s *Store) Tool(ctx context.Context, in, dir string) (Tool, error) {
	if s.cfg.Registry == nil {
		return Tool{}, ErrNone
	}
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTime, errFetchTime)
	defer cancel()
	reg, err := s.cfg.Registry(ctx)
	if err != nil {
		return Tool{}, err
	}
	node, err := s.choose(ctx, reg, program(), in)
	if err != nil {
		return Tool{}, err
	}
	lock, err := s.folders.Lock(ctx, "tool "+dir+" "+node.Version, true)
	if err != nil {
		return Tool{}, err
	}
	defer func() { _ = lock.Close() }()
	out := Tool{Node: node.Version, Dir: filepath.Join(dir, "node", node.Version, arch())}
	complete := out.Dir + ".complete"
	if out.NPM, err = installed(out.Dir, complete); err != nil || out.NPM != "" {
		return out, err
	}
	npm, err := s.choose(ctx, reg, "npm", npmOf(node.Version))
	if err != nil {
		return Tool{}, err
	}
	out.NPM = npm.Version
	t, err := s.folders.Temp()
	if err != nil {
		return Tool{}, err
	}
	defer t.Discard()
	if err := s.download(ctx, reg, node, t.Name+"/tarball"); err != nil {
		return Tool{}, err
	}
	if err := s.unpack(t); err != nil {
		return Tool{}, err
	}
	if err := s.download(ctx, reg, npm, t.Name+"/npm"); err != nil {
		return Tool{}, err
	}
	if err := s.unpackNPM(t); err != nil {
		return Tool{}, fmt.Errorf("npm %s: %w", npm.Version, err)
	}
	return out, s.place(t, out.Dir, complete)
}

// installed returns the version of npm of a tool that is complete; empty if it is not.
func installed(dir, complete string) (npm string, err error) {
	if _, err := os.Lstat(complete); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	text, err := os.ReadFile(filepath.Join(dir, "lib/node_modules/npm/package.json"))
	if err != nil {
		return "", err
	}
	var p struct{ Version string }
	if err := json.Unmarshal(text, &p); err != nil {
		return "", fmt.Errorf("%s: package.json of npm: %w", dir, err)
	}
	return p.Version, nil
}

// place gives the tool its name. What a killed one left there goes.
func (s *Store) place(t *folders.Temp, dir, complete string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // jobs read it
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(s.folders.Dir, t.Name, "entry"), dir); err != nil {
		return err
	}
	f, err := os.OpenFile(complete, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // jobs read it
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// unpackNPM takes npm's files out of its tarball, and makes the names by which it is
// called.
func (s *Store) unpackNPM(t *folders.Temp) (err error) {
	f, err := s.folders.Root.Open(t.Name + "/npm")
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("tarball: %w", err)
	}
	home := t.Name + "/entry/lib/node_modules/npm/"
	left, r := int64(mostBytes), tar.NewReader(z)
	for n := 0; ; n++ {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("tarball: %w", err)
		}
		name, ok := strings.CutPrefix(h.Name, "package/")
		if !ok || h.Typeflag == tar.TypeDir {
			continue
		}
		if left -= h.Size; h.Typeflag != tar.TypeReg || !filepath.IsLocal(name) || left < 0 || n >= mostFiles {
			return fmt.Errorf("tarball: %.100q is not a file below the package, or there is too much", h.Name)
		}
		mode := os.FileMode(0o444)
		if h.Mode&0o111 != 0 {
			mode = 0o555
		}
		if err := s.folders.Root.MkdirAll(path.Dir(home+name), 0o755); err != nil {
			return err
		}
		if err := s.write(home+name, io.LimitReader(r, h.Size), mode); err != nil {
			return err
		}
	}
	for _, name := range []string{"npm", "npx"} {
		file := "lib/node_modules/npm/bin/" + name + "-cli.js"
		if err := s.folders.Root.Chmod(t.Name+"/entry/"+file, 0o555); err != nil {
			return fmt.Errorf("tarball: there is no bin/%s-cli.js in it: %w", name, err)
		}
		if err := s.folders.Root.Symlink("../"+file, t.Name+"/entry/bin/"+name); err != nil {
			return err
		}
	}
	return nil
}
