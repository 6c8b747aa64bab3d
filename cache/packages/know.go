// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/cache/store"
)

// know asks the registry's metadata about a file. With digests it finds those
// too, which may take one more request; the time of publication is found when a
// rule is about it.
func (t *transport) know(ctx context.Context, q asked, digests bool) (knowledge, error) {
	var d *document
	var pkg registry.Package
	var err error
	switch t.c.Ecosystem {
	case registry.NPM:
		d, pkg, err = t.packument(ctx, q, t.c.Rules.Aged(t.c.Ecosystem, q.Name))
	case registry.PyPI:
		d, pkg, err = t.simple(ctx, q.Name)
	case registry.Cargo:
		d, pkg, err = t.crateIndex(ctx, q.Name)
	case registry.Go:
		return t.knowGo(ctx, q, digests)
	case registry.Debian:
		return t.knowDebian(ctx, q)
	}
	if err != nil {
		return knowledge{}, err
	}
	_ = d.Close()
	v, ok := pkg.File(q.Request)
	if !ok && q.Kind == registry.Manifest {
		v, ok = pkg.Find(q.Version)
	}
	return knowledge{v, ok}, nil
}

// knowDebian takes the digest of a list from its own name, and that of a package
// from the lists that were seen.
func (t *transport) knowDebian(ctx context.Context, q asked) (knowledge, error) {
	if q.Name == "" {
		algorithm, value, _ := strings.Cut(q.File, ":")
		if d, err := store.NewDigest(strings.ToLower(algorithm), value); err == nil {
			return knowledge{registry.Version{Digests: []store.Digest{d}}, true}, nil
		}
		return knowledge{found: true}, nil
	}
	k := knowledge{registry.Version{Version: q.Version}, true}
	d, err := t.aptDigest(ctx, q)
	if d != "" {
		k.Digests = []store.Digest{d}
	}
	return k, err
}

// etag names what is made of a document.
func etag(d *document, hide map[string]bool, form any) string {
	h := sha256.New()
	fmt.Fprintln(h, d.Record.SHA256, form, slices.Sorted(maps.Keys(hide)))
	return `"` + hex.EncodeToString(h.Sum(nil)) + `"`
}
