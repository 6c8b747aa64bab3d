// SPDX-License-Identifier: Apache-2.0

package store

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/dirhash"
)

// The limits of a module (golang.org/x/mod/zip: MaxZipFile, MaxGoMod). The number
// of files is ours.
const (
	goZipMost   = 500 << 20
	goModMost   = 16 << 20
	goFilesMost = 200_000
)

// goZipDigest is the h1 hash of a module's zip. The zip is foreign: what it
// unpacks to is bounded before anything is unpacked.
func goZipDigest(r io.ReaderAt, size int64) (Digest, error) {
	if size > goZipMost {
		return "", fmt.Errorf("module zip: %d bytes, at most %d are allowed", size, goZipMost)
	}
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return "", fmt.Errorf("module zip: %w", err)
	}
	if len(archive.File) > goFilesMost {
		return "", fmt.Errorf("module zip: more than %d files", goFilesMost)
	}
	names := make([]string, 0, len(archive.File))
	files := make(map[string]*zip.File, len(archive.File))
	left := uint64(goZipMost)
	for _, f := range archive.File {
		if files[f.Name] != nil {
			return "", fmt.Errorf("module zip: %.200q is there twice", f.Name)
		}
		if f.UncompressedSize64 > left {
			return "", fmt.Errorf("module zip: unpacks to more than %d bytes", goZipMost)
		}
		left -= f.UncompressedSize64
		names, files[f.Name] = append(names, f.Name), f
	}
	sum, err := dirhash.Hash1(names, func(name string) (io.ReadCloser, error) {
		body, err := files[name].Open()
		if err != nil {
			return nil, err
		}
		return &bounded{body, files[name].UncompressedSize64}, nil
	})
	return Digest(sum), err // "h1:…" already
}

// goModDigest is the h1 hash of a go.mod.
func goModDigest(r io.ReaderAt, size int64) (Digest, error) {
	if size > goModMost {
		return "", fmt.Errorf("go.mod: %d bytes, at most %d are allowed", size, goModMost)
	}
	sum, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(r, 0, size)), nil
	})
	if err != nil {
		return "", err
	}
	return Digest(GoModule + sum[len("h1"):]), nil
}

// bounded ends a file of a zip that is longer than the zip says.
type bounded struct {
	io.ReadCloser
	left uint64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if uint64(n) > b.left {
		return 0, errors.New("module zip: a file is longer than it says")
	}
	b.left -= uint64(n)
	return n, err
}
