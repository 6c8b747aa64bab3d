// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/zviz/run/cache/registry"
)

// npmShort is how npm itself asks for the short form (npm-registry-fetch, pacote).
const npmShort = registry.NPMAbbreviated + "; q=1.0, " + registry.NPMFull + "; q=0.8, */*"

// npm answers with a packument or a part of it, without the versions that the
// rules hide.
func (t *transport) npm(ctx context.Context, q asked) (*http.Response, error) {
	if q.File == "attestations" {
		k, err := t.know(ctx, q, false)
		if err != nil {
			return nil, err
		}
		k.Version.Version = q.Version
		if err := t.judge(q, k); err != nil {
			return nil, err
		}
		return t.plain(ctx, q)
	}
	short := q.Kind == registry.Index && q.File == "" && accepts(q.http, registry.NPMAbbreviated)
	if q.Kind == registry.Index && q.File == "" && !t.c.Rules.Strict() {
		// Nothing is hidden, so nobody has to know what is in it: to read those of all
		// packages takes longer than an installation. Who wants the short form takes the
		// full one too, of a registry that has no other.
		w := t.packumentOf(q, !short)
		if short && !t.c.Offline { // the full form that a rule wanted once is many times as long
			w.accept = npmShort
		}
		d, err := t.document(ctx, w)
		if err != nil {
			return nil, err
		}
		t.observe(q, d, nil)
		return t.whole(q, d)
	}
	d, pkg, err := t.packument(ctx, q, !short || t.c.Rules.Aged(t.c.Ecosystem, q.Name))
	if err != nil {
		return nil, err
	}
	hidden, hide := t.hide(pkg, q.Name)
	t.observe(q, d, hidden)
	tags := pkg.Tags
	if len(hide) > 0 {
		tags = registry.RetagNPM(pkg, hide)
	}
	switch {
	case q.File != "":
		_ = d.Close()
		return t.json(q, tags)
	case q.Kind == registry.Manifest:
		defer d.Close() //nolint:errcheck // only read
		return t.npmManifest(q, d, pkg, hide, tags)
	}
	// A registry need not know the short form: what comes is what its type says.
	shorten := short && d.mediaType() != registry.NPMAbbreviated
	if len(hide) == 0 && !shorten {
		return t.whole(q, d)
	}
	media := registry.NPMFull
	if short {
		media = registry.NPMAbbreviated
	}
	return t.derived(ctx, q, d, etag(d, hide, shorten), media, func(w io.Writer, r io.Reader) error {
		return registry.RewritePackument(w, r, hide, tags, shorten)
	})
}

// npmManifest answers with one version, named by itself or by a tag.
func (t *transport) npmManifest(q asked, d *document, pkg registry.Package, hide map[string]bool, tags map[string]string) (*http.Response, error) {
	version := q.Version
	if to, ok := tags[version]; ok {
		version = to
	}
	if hide[version] {
		v, _ := pkg.Find(version)
		return nil, refuse(t.c.Rules.Judge(t.c.Now(), t.c.Ecosystem, q.Name, v))
	}
	r, err := d.plain()
	if err != nil {
		return nil, err
	}
	b, err := registry.PackumentVersion(r, version)
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, &upstreamError{http.StatusNotFound, http.Header{"Content-Type": {"application/json"}}, []byte(`{"error":"version not found: ` + q.Version + `"}`)}
	}
	return respond(q.http, http.StatusOK, http.Header{"Content-Type": {"application/json"}}, bytesBody(b), int64(len(b))), nil
}

func (t *transport) json(q asked, v any) (*http.Response, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return respond(q.http, http.StatusOK, http.Header{"Content-Type": {"application/json"}}, bytesBody(b), int64(len(b))), nil
}

// packument returns the metadata of a package, in full if its times are needed.
func (t *transport) packument(ctx context.Context, q asked, full bool) (*document, registry.Package, error) {
	return t.parsed(ctx, t.packumentOf(q, full), q.Name, func(_ *document, r io.Reader) (registry.Package, error) { return registry.ParsePackument(r) })
}

// packumentOf is where the metadata of a package is.
func (t *transport) packumentOf(q asked, full bool) wanted {
	w := wanted{base: t.base, path: strings.ReplaceAll(q.Name, "/", "%2f"), name: q.Name, ttl: documentTTL}
	w.accept = registry.NPMFull
	have := func() bool {
		_, err := t.pool.files.Look(t.key("document", w.base, w.path, w.accept))
		return err == nil
	}
	// The full form has all that the short one has. Offline the short one must do,
	// unless its lack of times matters.
	haveFull := have()
	if !full && !haveFull || t.c.Offline && !haveFull && !t.c.Rules.Aged(t.c.Ecosystem, q.Name) {
		w.accept = npmShort
	}
	return w
}

// parsed returns a document together with what is in it.
func (t *transport) parsed(ctx context.Context, w wanted, name string, parse func(*document, io.Reader) (registry.Package, error)) (*document, registry.Package, error) {
	d, err := t.document(ctx, w)
	if err != nil {
		return nil, registry.Package{}, err
	}
	// The name is in the key: one document may be at two places.
	key := string(t.c.Ecosystem) + "\n" + name + "\n" + string(d.Record.SHA256) + "\n" + d.mediaType()
	if pkg, ok := t.pool.recall(key); ok {
		return d, pkg, nil
	}
	pkg, err := t.parse(ctx, d, parse)
	if err == nil {
		t.pool.remember(key, pkg)
		return d, pkg, nil
	}
	_ = d.Close()
	return nil, registry.Package{}, fmt.Errorf("metadata of %s: %w", name, err)
}

func (t *transport) parse(ctx context.Context, d *document, parse func(*document, io.Reader) (registry.Package, error)) (registry.Package, error) {
	give, err := t.pool.desk(ctx)
	if err != nil {
		return registry.Package{}, err
	}
	defer give()
	r, err := d.plain()
	if err != nil {
		return registry.Package{}, err
	}
	return parse(d, r)
}

// hide applies the rules to a package.
func (t *transport) hide(pkg registry.Package, name string) ([]Hidden, map[string]bool) {
	if !t.c.Rules.Strict() {
		return nil, nil
	}
	set := map[string]bool{}
	var list []Hidden
	for v, reason := range t.c.Rules.Hide(t.c.Now(), pkg, name) {
		set[v] = true
		list = append(list, Hidden{v, reason})
	}
	slices.SortFunc(list, func(a, b Hidden) int { return registry.CompareVersions(a.Version, b.Version) })
	return list, set
}
