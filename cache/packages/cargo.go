// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"context"
	"io"
	"net/http"

	"github.com/zviz/run/cache/registry"
)

func (t *transport) crateIndex(ctx context.Context, name string) (*document, registry.Package, error) {
	w := wanted{base: t.base, path: registry.CargoIndexPath(name), name: name, ttl: documentTTL}
	return t.parsed(ctx, w, name, func(_ *document, r io.Reader) (registry.Package, error) { return registry.ParseCrate(r) })
}

// crate answers with the file of a crate in the index.
func (t *transport) crate(ctx context.Context, q asked) (*http.Response, error) {
	d, pkg, err := t.crateIndex(ctx, q.Name)
	if err != nil {
		return nil, err
	}
	hidden, hide := t.hide(pkg, q.Name)
	t.observe(q, d, hidden)
	if len(hide) == 0 {
		return t.whole(q, d)
	}
	return t.derived(ctx, q, d, etag(d, hide, ""), "text/plain; charset=utf-8", func(w io.Writer, r io.Reader) error {
		return registry.RewriteCrate(w, r, hide)
	})
}
