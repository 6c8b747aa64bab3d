// SPDX-License-Identifier: Apache-2.0

package node

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/zviz/run/cache/folders"
	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/cache/store"
)

// The bounds of what is fetched, in bytes, and of the time for it.
const (
	mostDocument = 64 << 20
	mostTarball  = 256 << 20
	mostProgram  = 512 << 20
	fetchTime    = 10 * time.Minute
)

// errFetchTime is the cause of a fetch that ran out of time.
var errFetchTime = fmt.Errorf("the registry did not answer in %v", fetchTime)

// Fetch brings the newest version of a major that the registry has.
func (s *Store) Fetch(ctx context.Context, major int) (*Node, error) {
	if s.cfg.Registry == nil {
		return nil, ErrNone
	}
	s.phase(fmt.Sprintf("fetch Node.js %d", major))
	defer s.phase("")
	n, err := s.fetch(ctx, major)
	if err != nil {
		return nil, fmt.Errorf("fetch Node.js %d: %w", major, err)
	}
	return n, nil
}

func (s *Store) phase(text string) {
	if s.cfg.Phase != nil {
		s.cfg.Phase(text)
	}
}

func (s *Store) fetch(ctx context.Context, major int) (*Node, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTime, errFetchTime)
	defer cancel()
	lock, err := s.folders.Lock(ctx, fmt.Sprintf("fetch %d", major), true)
	if err != nil {
		return nil, err
	}
	defer func() { _ = lock.Close() }()
	if n, err := s.Find(ctx, major); !errors.Is(err, ErrNone) {
		return n, err // somebody else fetched while we waited
	}
	reg, err := s.cfg.Registry(ctx)
	if err != nil {
		return nil, err
	}
	v, err := s.choose(ctx, reg, program(), strconv.Itoa(major))
	if err != nil {
		return nil, err
	}
	t, err := s.folders.Temp()
	if err != nil {
		return nil, err
	}
	defer t.Discard()
	if err := s.download(ctx, reg, v, t.Name+"/tarball"); err != nil {
		return nil, err
	}
	if err := s.unpack(t); err != nil {
		return nil, err
	}
	if err := s.folders.Keep(t.Name+"/entry", folder(v.Version)); err != nil {
		return nil, err
	}
	return s.open(ctx, v.Version)
}

// program is the package that has the program.
func program() string { return "node-linux-" + arch() }

// choose finds the newest version of a package in a range that has a digest and is old
// enough.
func (s *Store) choose(ctx context.Context, reg Registry, name, in string) (registry.Version, error) {
	accept := registry.NPMAbbreviated
	if s.cfg.MinAge > 0 {
		accept = registry.NPMFull // the short form has no times
	}
	res, err := reg.get(ctx, strings.TrimSuffix(reg.Base, "/")+"/"+name, accept)
	if err != nil {
		return registry.Version{}, err
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	p, err := registry.ParsePackument(io.LimitReader(res.Body, mostDocument))
	if err != nil {
		return registry.Version{}, fmt.Errorf("package %s: %w", name, err)
	}
	var best registry.Version
	newest := time.Now().Add(-s.cfg.MinAge)
	for _, v := range p.Versions {
		young := s.cfg.MinAge > 0 && (v.Published.IsZero() || v.Published.After(newest))
		if !inRange(v.Version, in) || young || !strong(v.Digests) {
			continue
		}
		if best.Version == "" || registry.CompareVersions(v.Version, best.Version) > 0 {
			best = v
		}
	}
	if best.Version == "" {
		return best, fmt.Errorf("package %s has no version %s that may be taken", name, described(in))
	}
	return best, nil
}

// strong says whether a digest is one that nobody can forge.
func strong(all []store.Digest) bool {
	for _, d := range all {
		if !d.Weak() {
			return true
		}
	}
	return false
}

// get asks the registry. The credential goes to its own host only, also over redirects.
func (r Registry) get(ctx context.Context, address, accept string) (*http.Response, error) {
	base, err := url.Parse(r.Base)
	if err != nil {
		return nil, errors.New("the address of the registry cannot be read")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("an address of the registry's cannot be read")
	}
	if req.URL.Scheme != "https" && req.URL.Scheme != base.Scheme {
		return nil, fmt.Errorf("the registry leads to %s", req.URL.Redacted())
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	if r.Authorization != "" && req.URL.Scheme == base.Scheme && req.URL.Host == base.Host {
		req.Header.Set("Authorization", r.Authorization) // net/http drops it when a redirect leaves the host
	}
	res, err := r.Client.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		_ = res.Body.Close()
		return nil, fmt.Errorf("%s: %s", req.URL.Redacted(), res.Status)
	}
	return res, nil
}

// download brings a tarball whose digest is right.
func (s *Store) download(ctx context.Context, reg Registry, v registry.Version, name string) (err error) {
	address, err := url.Parse(reg.Base)
	if err == nil {
		address, err = address.Parse(v.URL)
	}
	if err != nil {
		return errors.New("the registry's address of the tarball cannot be read")
	}
	res, err := reg.get(ctx, address.String(), "")
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	f, err := s.folders.Root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	hash := store.NewHasher(v.Digests)
	size, err := io.Copy(io.MultiWriter(f, hash), io.LimitReader(res.Body, mostTarball+1))
	if err != nil {
		return fmt.Errorf("%s: %w", address.Redacted(), err)
	}
	if size > mostTarball {
		return fmt.Errorf("%s: more than %d bytes", address.Redacted(), mostTarball)
	}
	if err := hash.Check(v.Digests, f, size); err != nil {
		return fmt.Errorf("%s: %w", address.Redacted(), err)
	}
	return nil
}

// unpack takes the program and its licence out of a tarball; the rest is headers and
// manual pages.
func (s *Store) unpack(t *folders.Temp) (err error) {
	for _, d := range []string{"/entry", "/entry/bin"} {
		if err := s.folders.Root.Mkdir(t.Name+d, 0o755); err != nil {
			return err
		}
	}
	f, err := s.folders.Root.Open(t.Name + "/tarball")
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("tarball: %w", err)
	}
	r := tar.NewReader(z)
	found := false
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("tarball: %w", err)
		}
		mode := os.FileMode(0o444)
		var name string
		switch h.Name {
		case "package/bin/node":
			name, mode, found = "bin/node", 0o555, true
		case "package/LICENSE":
			name = "LICENSE"
		default:
			continue
		}
		if h.Typeflag != tar.TypeReg || h.Size > mostProgram {
			return fmt.Errorf("tarball: %s is not a file, or too large", h.Name)
		}
		if err := s.write(t.Name+"/entry/"+name, io.LimitReader(r, mostProgram), mode); err != nil {
			return err
		}
	}
	if !found {
		return errors.New("tarball: there is no bin/node in it")
	}
	return nil
}

// write makes a file that is on the disk when it returns.
func (s *Store) write(name string, r io.Reader, mode os.FileMode) error {
	f, err := s.folders.Root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
}
