// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"context"
	"crypto/sha1" //nolint:gosec // cacache marks the entries of its index with it
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/cache/store"
)

// NPMCache is where npm keeps its cache below the home directory (npm's configuration,
// "cache"), and a Layer of NPMLayer belongs.
const NPMCache = ".npm/_cacache"

// Stocked is a package of a Layer.
type Stocked struct {
	Ecosystem     registry.Ecosystem
	Name, Version string
	Digest        store.Digest // that was verified, and by which it is found
}

// Layer is what the store has of the packages of a lockfile, as a folder in the form of
// a package manager's own cache. Its files are the store's own bytes: it is for the lower
// layer of an overlay, and nothing else may be written to. Close removes the folder.
type Layer struct {
	*store.Links
	Packages []Stocked
}

// layerMost bounds the packages of a layer: each is a file and a folder or two.
const layerMost = 20_000

// NPMLayer makes the layer of one job: of the locked packages those that the job could
// have of one of the registries, by the same rules and scopes as through a Transport, and
// that are in the store already. Nobody is asked. A version whose time of publication the
// store does not know is too young where the age matters.
//
// npm finds an archive by its digest alone (cacache, content-v2), if the lockfile says
// where it is from too; else by its URL, when it has asked for the metadata (index-v5). So
// a package is in the layer only under the very digest that the lockfile has and the
// registry's metadata had. allow says which URLs the job may read.
//
// It is nil if there is nothing.
func (p *Pool) NPMLayer(ctx context.Context, registries []Config, allow func(url string) bool, locked []registry.Locked) (_ *Layer, err error) {
	var from []*transport
	for _, c := range registries {
		t, err := p.transport(nil, c)
		if err != nil {
			return nil, err
		}
		from = append(from, t)
	}
	l := &Layer{}
	defer func() {
		if err != nil && l.Links != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	seen := map[store.Digest]bool{}
	for _, want := range locked {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		d := onlySHA512(want.Digests)
		if d == "" || seen[d] || len(l.Packages) == layerMost {
			continue
		}
		seen[d] = true
		for _, t := range from {
			e, err := t.stocked(want, d, allow)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			if l.Links == nil {
				if l.Links, err = p.files.NewLinks(); err != nil {
					return nil, errors.Join(err, e.Close())
				}
			}
			err = l.Add(e, cacache("content-v2/"+d.Algorithm(), d.Value()))
			if err == nil && !want.Resolved {
				err = l.Write(t.index(want, d, e.Record))
			}
			if err = errors.Join(err, e.Close()); errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			l.Packages = append(l.Packages, Stocked{t.c.Ecosystem, want.Name, want.Version, d})
			break
		}
	}
	if l.Links == nil {
		return nil, nil
	}
	return l, nil
}

// onlySHA512 is the digest of a file that has one of the kind. Of several one is enough
// for npm, so it is not known which of them the file has.
func onlySHA512(all []store.Digest) (only store.Digest) {
	for _, d := range all {
		if d.Algorithm() != store.SHA512 {
			continue
		}
		if only != "" {
			return ""
		}
		only = d
	}
	return only
}

// cacache is where cacache has what a hexadecimal hash names.
func cacache(below, hex string) string { return path.Join(below, hex[:2], hex[2:4], hex[4:]) }

// index is an entry of cacache's index, in a file of its own, as make-fetch-happen writes
// it for an answer that never changes (its lib/cache/entry.js; cacache, lib/entry-index.js).
func (t *transport) index(want registry.Locked, d store.Digest, r store.Record) (name string, data []byte) {
	url := t.base.String() + archivePath(want.Name, want.Version)
	key := "make-fetch-happen:request-cache:" + url
	now := t.c.Now()
	body, err := json.Marshal(map[string]any{
		"key": key, "integrity": d.Integrity(), "time": now.UnixMilli(), "size": r.Size,
		"metadata": map[string]any{
			"time": now.UnixMilli(), "url": url, "reqHeaders": map[string]string{},
			"resHeaders": map[string]string{"cache-control": immutable, "content-type": "application/octet-stream", "date": now.UTC().Format(http.TimeFormat)},
			"options":    map[string]bool{"compress": true},
		},
	})
	if err != nil {
		body = nil // texts and numbers; an empty entry is none
	}
	at, sum := sha256.Sum256([]byte(key)), sha1.Sum(body) //nolint:gosec // cacache's own
	return cacache("index-v5", hex.EncodeToString(at[:])), []byte("\n" + hex.EncodeToString(sum[:]) + "\t" + string(body))
}

// archivePath is where registries have the archive of a version.
func archivePath(name, version string) string {
	return name + "/-/" + name[strings.LastIndexByte(name, '/')+1:] + "-" + version + ".tgz"
}

// stocked opens the archive of a version if it is in the store, has the digest, and the
// job may have it.
func (t *transport) stocked(want registry.Locked, d store.Digest, allow func(string) bool) (*store.Entry, error) {
	q := registry.Classify(t.c.Ecosystem, archivePath(want.Name, want.Version))
	if q.Kind != registry.File || q.Name != want.Name || q.Version != want.Version {
		return nil, store.ErrNotFound // no name that a registry could have
	}
	key := t.key("file", t.base, q.Path(), "")
	r, err := t.pool.files.Look(key)
	if err != nil {
		return nil, err
	}
	if r.Version != want.Version || onlySHA512(r.Checked) != d || !allow(t.base.String()+q.Path()) {
		return nil, store.ErrNotFound
	}
	v := registry.Version{Version: r.Version}
	if when, err := time.Parse(time.RFC3339Nano, r.Facts[factPublished]); err == nil {
		v.Published = when
	}
	if !t.c.Rules.JudgeName(t.c.Ecosystem, want.Name).Allowed() || !t.c.Rules.Judge(t.c.Now(), t.c.Ecosystem, want.Name, v).Allowed() {
		return nil, store.ErrNotFound
	}
	return t.pool.files.Open(r) // of this record, which was judged
}
