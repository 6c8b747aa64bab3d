// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/zviz/run/cache/store"
)

// derived answers with what write makes of a document. It is made once, whoever
// asks and however often, and kept like a document: a job that asks for a large
// packument again and again costs the runner a look into the store. The document
// is closed.
func (t *transport) derived(ctx context.Context, q asked, d *document, tag, media string, write func(io.Writer, io.Reader) error) (*http.Response, error) {
	defer d.Close() //nolint:errcheck // only read
	header := http.Header{"Content-Type": {media}, "Etag": {tag}, "Vary": {"Accept"}}
	key := t.key("derived", t.base, q.Path(), tag)
	e, err := t.pool.files.Get(key)
	if err != nil {
		err = t.pool.once(ctx, key, func(ctx context.Context) error { return t.derive(ctx, q, key, d.Record, write) })
		if err != nil {
			return nil, err
		}
		if e, err = t.pool.files.Get(key); err != nil {
			return nil, fmt.Errorf("metadata that was just made: %w", err)
		}
	}
	return content(q.http, header, e, e.Record.Size)
}

// derive makes it from a document. It opens the content by its digest: the answer
// that it was begun for may have ended, and the key may have got other content
// meanwhile, with versions that nobody has judged.
func (t *transport) derive(ctx context.Context, q asked, key string, from store.Record, write func(io.Writer, io.Reader) error) error {
	give, err := t.pool.desk(ctx)
	if err != nil {
		return err
	}
	defer give()
	f, err := t.pool.files.Content(from.SHA256, from.Size)
	if err != nil {
		return err
	}
	d := &document{Entry: &store.Entry{Record: from, File: f}}
	defer d.Close() //nolint:errcheck // only read
	r, err := d.plain()
	if err != nil {
		return err
	}
	temp, err := t.pool.files.Scratch(nil)
	if err != nil {
		return err
	}
	defer temp.Discard()
	if err := write(temp, r); err != nil {
		return err
	}
	_, err = temp.Commit(ctx, store.Record{Key: key, Group: string(t.c.Ecosystem), Name: q.Name, Version: "metadata"}, nil)
	return err
}
