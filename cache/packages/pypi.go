// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"context"
	"io"
	"net/http"
	"slices"

	"github.com/zviz/run/cache/registry"
)

// simple returns the page of a project, in the form that has times if the index
// knows it.
func (t *transport) simple(ctx context.Context, name string) (*document, registry.Package, error) {
	w := wanted{base: t.base, path: name + "/", accept: registry.PyPIJSON + ", " + registry.PyPIHTML + ";q=0.1", name: name, ttl: documentTTL}
	return t.parsed(ctx, w, name, func(d *document, r io.Reader) (registry.Package, error) {
		if d.mediaType() == registry.PyPIJSON {
			return registry.ParseSimpleJSON(r)
		}
		return registry.ParseSimpleHTML(r)
	})
}

// pypi answers with the page of a project, in the form that the client reads.
func (t *transport) pypi(ctx context.Context, q asked) (*http.Response, error) {
	d, pkg, err := t.simple(ctx, q.Name)
	if err != nil {
		return nil, err
	}
	hidden, hide := t.hide(pkg, q.Name)
	t.observe(q, d, hidden)
	asJSON := d.mediaType() == registry.PyPIJSON
	toHTML := asJSON && !accepts(q.http, registry.PyPIJSON)
	left := slices.ContainsFunc(pkg.Versions, func(v registry.Version) bool { return !hide[v.Version] })
	switch {
	case !asJSON && len(hide) > 0 && !left:
		// A page without times has versions that are all too young. An empty page would
		// not say why.
		_ = d.Close()
		return nil, refuse(t.c.Rules.Judge(t.c.Now(), t.c.Ecosystem, q.Name, pkg.Versions[0]))
	case len(hide) == 0 && !toHTML:
		return t.whole(q, d)
	}
	media := registry.PyPIJSON
	if toHTML || !asJSON {
		media = registry.PyPIHTML + "; charset=utf-8"
	}
	return t.derived(ctx, q, d, etag(d, hide, toHTML), media, func(w io.Writer, r io.Reader) error {
		switch {
		case !asJSON:
			return registry.RewriteSimpleHTML(w, r, hide)
		case !toHTML:
			return registry.RewriteSimpleJSON(w, r, hide)
		}
		pr, pw := io.Pipe()
		go func() { pw.CloseWithError(registry.RewriteSimpleJSON(pw, r, hide)) }()
		err := registry.SimpleHTML(w, pr)
		_ = pr.CloseWithError(err)
		return err
	})
}
