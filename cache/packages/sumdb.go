// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/mod/sumdb"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/cache/store"
)

// goSums returns what the checksum database says of a version, asked through the
// proxy as the go command does; empty if it says nothing.
//
// With a verifier key in Config.SumDB the answer is proven to be in the signed
// tree. With a name only it is the proxy's word, like npm's integrity is the
// registry's.
func (t *transport) goSums(ctx context.Context, name, version string) (zip, mod store.Digest, err error) {
	path := registry.GoSumPath(name, version)
	if path == "" {
		return "", "", nil
	}
	if !strings.Contains(t.c.SumDB, "+") {
		b, err := t.sumDocument(ctx, path)
		if up, ok := errors.AsType[*upstreamError](err); ok && up.status < 500 {
			return "", "", nil // private modules are in no database
		}
		if err != nil {
			return "", "", err
		}
		return registry.GoSums(strings.NewReader(string(b)), name, version)
	}
	client := sumdb.NewClient(&sumOps{t: t, ctx: ctx})
	for _, v := range []string{version, version + "/go.mod"} {
		lines, err := client.Lookup(name, v)
		if up, ok := errors.AsType[*upstreamError](err); ok && up.status < 500 {
			return "", "", nil
		}
		if err != nil {
			return "", "", fmt.Errorf("checksum database: %w", err)
		}
		z, m, err := registry.GoSums(strings.NewReader(strings.Join(lines, "\n")), name, version)
		if err != nil {
			return "", "", err
		}
		if z != "" {
			zip = z
		}
		if m != "" {
			mod = m
		}
	}
	return zip, mod, nil
}

// sumDocument fetches a document of the database through the proxy.
func (t *transport) sumDocument(ctx context.Context, path string) ([]byte, error) {
	name, _, _ := strings.Cut(t.c.SumDB, "+")
	ttl := forever
	if path == "latest" {
		ttl = documentTTL
	}
	d, err := t.document(ctx, wanted{base: t.base, path: "sumdb/" + name + "/" + path, name: "sumdb " + path, ttl: ttl})
	if err != nil {
		return nil, err
	}
	defer d.Close() //nolint:errcheck // only read
	r, err := d.plain()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(registry.Bound(r, 8<<20))
}

// sumOps is what sumdb's client needs of us. The tree that it has seen is not
// kept: each lookup proves itself against the signed tree that comes with it.
type sumOps struct {
	t   *transport
	ctx context.Context //nolint:containedctx // its interface has none
}

func (o *sumOps) ReadRemote(path string) ([]byte, error) {
	return o.t.sumDocument(o.ctx, strings.TrimPrefix(path, "/"))
}

func (o *sumOps) ReadConfig(file string) ([]byte, error) {
	if file == "key" {
		return []byte(o.t.c.SumDB), nil
	}
	return nil, nil // the empty tree
}

func (o *sumOps) WriteConfig(string, []byte, []byte) error { return nil }

func (o *sumOps) ReadCache(string) ([]byte, error) { return nil, errors.New("no cache of its own") }

func (o *sumOps) WriteCache(string, []byte) {}

func (o *sumOps) Log(string) {}

func (o *sumOps) SecurityError(string) {}
