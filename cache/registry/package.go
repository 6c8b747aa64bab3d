// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/zviz/run/cache/store"
)

// Package is what a registry's metadata says of one package. It is plain data.
type Package struct {
	Ecosystem Ecosystem
	Name      string // as the document spells it
	Versions  []Version
	Tags      map[string]string // npm: tag → version
}

// Version is one version, or one file of it where a version has several.
type Version struct {
	Version   string
	URL       string // of the file; relative to the document if it is not absolute
	Digests   []store.Digest
	Metadata  []store.Digest // PyPI: of the file's metadata beside it
	Published time.Time      // zero: not known
}

// The bounds of metadata. The largest packuments of the public registry are near
// 100 MB; a version of one is far below the second figure.
const (
	DocumentMost = 256 << 20 // bytes, unpacked
	versionMost  = 8 << 20   // bytes, of one version or file
	versionsMost = 200_000
	timesMost    = 2 * versionsMost // versions that were taken back have one too
)

// ErrTooLarge says that a document goes beyond the bounds.
var ErrTooLarge = errors.New("metadata is too large")

// Bound returns a reader that fails with ErrTooLarge after most bytes: a document
// that was cut must not look whole.
func Bound(r io.Reader, most int64) io.Reader { return &boundedReader{r, most} }

type boundedReader struct {
	r    io.Reader
	left int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p[:min(int64(len(p)), b.left+1)])
	if b.left -= int64(n); b.left < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}

// File returns the version that a request for a file is for. The whole path of
// its URL decides, or else the last part of it together with the version:
// mirrors keep the URLs of the registry they copy.
func (p Package) File(r Request) (Version, bool) {
	want := strings.TrimSuffix(r.File, MetadataSuffix)
	found, ok := Version{}, false
	for _, v := range p.Versions {
		name := urlFile(v.URL)
		switch {
		case name == want && strings.HasSuffix(urlPath(v.URL), "/"+strings.TrimSuffix(r.path, MetadataSuffix)):
			return v, true
		case !ok && (name == path.Base(want) || v.URL == "") && v.Version == r.Version:
			found, ok = v, true
		}
	}
	return found, ok
}

// Find returns the first entry of a version.
func (p Package) Find(version string) (Version, bool) {
	for _, v := range p.Versions {
		if v.Version == version {
			return v, true
		}
	}
	return Version{}, false
}

func urlPath(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Path
}

func urlFile(raw string) string { return path.Base(urlPath(raw)) }

// ParseError says where a document is not what it should be.
type ParseError struct {
	Document string
	Err      error
}

func (e *ParseError) Error() string { return fmt.Sprintf("%s: %v", e.Document, e.Err) }
func (e *ParseError) Unwrap() error { return e.Err }

func parseError(document string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return &ParseError{document, err}
}

// parseTime reads RFC 3339 with any fraction; what is no time is the zero time.
func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Year() < 1990 || t.Year() > 9000 {
		return time.Time{}
	}
	return t.UTC()
}
