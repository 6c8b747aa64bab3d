// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/cache/store"
)

// aptLists is what was learned of Debian archives: Release files that jobs asked
// for, and the digests in the lists of packages that those name. A deb is kept
// only if it is in one of them. Lists are read in their gzip form, which we fetch
// ourselves: apt asks for xz, whose decoder takes as much memory as the file says.
type aptLists struct {
	mu       sync.Mutex
	releases map[string]map[string]bool // archive → path of a Release file
	looked   map[string]bool            // archives whose Release files were looked for in the store
	digests  map[store.Digest]map[string]store.Digest
	weight   int
}

const (
	aptListMost    = 256 << 20 // bytes, unpacked
	aptDigestsMost = 150_000   // some 30 MB
)

// archive names a base for one scope.
func (t *transport) archive(base *url.URL) string { return t.c.Scope + "\n" + base.String() }

// learnApt notes a Release file that a job asked for.
func (t *transport) learnApt(q asked) {
	if q.File != "InRelease" && q.File != "Release" {
		return
	}
	a := &t.pool.apt
	a.mu.Lock()
	defer a.mu.Unlock()
	a.note(t.archive(q.base), q.Path())
}

// otherRelease reports whether an archive was seen to have a Release file of
// another form than the one that is asked for. Then it does not have that one,
// and apt, which tries them in turn, must be told so.
func (t *transport) otherRelease(q asked) bool {
	if q.File != "InRelease" && q.File != "Release.gpg" {
		return false
	}
	_, err := t.pool.files.Look(t.key("document", q.base, strings.TrimSuffix(q.Path(), q.File)+"Release", ""))
	return err == nil
}

func (a *aptLists) note(archive, release string) {
	if a.releases == nil {
		a.releases, a.looked, a.digests = map[string]map[string]bool{}, map[string]bool{}, map[store.Digest]map[string]store.Digest{}
	}
	if a.releases[archive] == nil {
		a.releases[archive] = map[string]bool{}
	}
	if len(a.releases[archive]) < 64 {
		a.releases[archive][release] = true
	}
}

// aptReleases are the Release files that are known of an archive, also from
// before this process.
func (t *transport) aptReleases(ctx context.Context, base *url.URL) ([]string, error) {
	a := &t.pool.apt
	archive := t.archive(base)
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.looked[archive] {
		prefix := t.key("document", base, "", "")
		prefix = prefix[:len(prefix)-1] // up to the path
		if err := t.pool.files.Records(ctx, func(r store.Record) bool {
			if rest, ok := strings.CutPrefix(r.Key, prefix); ok {
				if p := strings.TrimSuffix(rest, "\n"); path.Base(p) == "InRelease" || path.Base(p) == "Release" {
					a.note(archive, p)
				}
			}
			return true
		}); err != nil {
			return nil, err
		}
		if a.looked == nil {
			a.looked = map[string]bool{}
		}
		a.looked[archive] = true
	}
	return slices.Sorted(maps.Keys(a.releases[archive])), nil
}

// aptDigest finds the digest of a deb in the lists of its archive.
func (t *transport) aptDigest(ctx context.Context, q asked) (store.Digest, error) {
	releases, err := t.aptReleases(ctx, q.base)
	if err != nil {
		return "", err
	}
	for _, release := range releases {
		lists, err := t.aptRelease(ctx, q.base, release)
		if err != nil {
			return "", err
		}
		dir := path.Dir(release)
		root := "" // of what a list's file names are relative to
		if !strings.HasPrefix(release, "dists/") && dir != "." {
			root = dir + "/"
		}
		for _, list := range aptCandidates(lists, q.Path()) {
			digests, err := t.aptList(ctx, q.base, path.Join(dir, path.Dir(list.Path), "by-hash", "SHA256", list.SHA256.Value()), path.Join(dir, list.Path), list.SHA256)
			if err != nil {
				return "", err
			}
			if d := digests[strings.TrimPrefix(q.Path(), root)]; d != "" {
				return d, nil
			}
		}
	}
	return "", nil
}

// aptRelease reads which lists a Release file names.
func (t *transport) aptRelease(ctx context.Context, base *url.URL, release string) ([]registry.AptFile, error) {
	d, err := t.document(ctx, wanted{base: base, path: release, name: release, ttl: releaseTTL})
	if up, ok := errors.AsType[*upstreamError](err); ok && up.status < 500 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.Close() //nolint:errcheck // only read
	r, err := d.plain()
	if err != nil {
		return nil, err
	}
	return registry.ParseAptRelease(r)
}

// aptCandidates are the lists that can name a deb: those of its architecture, and
// of its component if the path has one.
func aptCandidates(lists []registry.AptFile, deb string) []registry.AptFile {
	arch := strings.TrimSuffix(deb[strings.LastIndexByte(deb, '_')+1:], ".deb")
	if arch == "all" {
		arch = runtime.GOARCH // each architecture's list has them
	}
	component, _, _ := strings.Cut(strings.TrimPrefix(deb, "pool/"), "/")
	var exact, all []registry.AptFile
	for _, l := range lists {
		switch {
		case l.Path == "Packages.gz", strings.HasSuffix(l.Path, "/binary-"+arch+"/Packages.gz"):
			all = append(all, l)
			if strings.HasPrefix(l.Path, component+"/binary-") {
				exact = append(exact, l)
			}
		}
	}
	if exact != nil {
		return exact
	}
	return all
}

// aptList reads the digests of a list. It is asked for by hash, which never
// changes, and else by its name.
func (t *transport) aptList(ctx context.Context, base *url.URL, byHash, byName string, want store.Digest) (map[string]store.Digest, error) {
	a := &t.pool.apt
	a.mu.Lock()
	known, ok := a.digests[want]
	a.mu.Unlock()
	if ok {
		return known, nil
	}
	var d *document
	var err error
	for _, p := range []string{byHash, byName} {
		d, err = t.document(ctx, wanted{base: base, path: p, name: byName, ttl: forever})
		if err == nil && d.Record.SHA256 != want {
			// A mirror in the middle of an update; by name it may be an old one.
			_ = d.Close()
			_ = t.pool.files.Remove(d.Record.Key)
			err = fmt.Errorf("%s is not what its Release says", p)
		}
		if err == nil {
			break
		}
	}
	if err != nil {
		return nil, nil // without the list nothing is kept; the job gets its deb
	}
	defer d.Close() //nolint:errcheck // only read
	if _, err := d.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(d.Entry)
	if err != nil {
		return nil, nil
	}
	digests := map[string]store.Digest{}
	err = registry.ParseAptPackages(registry.Bound(z, aptListMost), func(f registry.AptFile) {
		if len(digests) < aptDigestsMost {
			digests[f.Path] = f.SHA256
		}
	})
	if err != nil {
		return nil, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.weight += len(digests); a.weight > aptDigestsMost {
		clear(a.digests)
		a.weight = len(digests)
	}
	if a.digests == nil {
		a.digests = map[store.Digest]map[string]store.Digest{}
	}
	a.digests[want] = digests
	return digests, nil
}
