// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
)

// MismatchError says that bytes are not those which were wanted.
type MismatchError struct {
	Want []Digest
	Got  Digest
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("content does not match: want %s, got %s", e.Want[0], e.Got)
}

// Hasher computes, as bytes pass, the digests that run over bytes.
type Hasher struct {
	hashes map[string]hash.Hash
}

// NewHasher prepares sha256 and the algorithms of the digests.
func NewHasher(want []Digest) *Hasher {
	h := &Hasher{hashes: map[string]hash.Hash{SHA256: newHash(SHA256)}}
	for _, d := range want {
		if a := d.Algorithm(); h.hashes[a] == nil {
			if n := newHash(a); n != nil {
				h.hashes[a] = n
			}
		}
	}
	return h
}

func (h *Hasher) Write(p []byte) (int, error) {
	for _, x := range h.hashes {
		_, _ = x.Write(p) // never returns an error
	}
	return len(p), nil
}

// Sum returns the digest of an algorithm that NewHasher prepared, else "".
func (h *Hasher) Sum(algorithm string) Digest {
	if x := h.hashes[algorithm]; x != nil {
		return sumOf(algorithm, x)
	}
	return ""
}

// Check compares what was written with the strongest of the digests. r and size
// are the same bytes, for the digests that need them as a file; nil makes such a
// digest an error. No digest at all is an error too.
func (h *Hasher) Check(want []Digest, r io.ReaderAt, size int64) error {
	best := strongest(want)
	if len(best) == 0 {
		return errors.New("no digest is known to compare with")
	}
	algorithm := best[0].Algorithm()
	got := h.Sum(algorithm)
	if got == "" {
		if r == nil {
			return fmt.Errorf("%s needs the whole file", algorithm)
		}
		var err error
		if algorithm == GoModule {
			got, err = goModDigest(r, size)
		} else {
			got, err = goZipDigest(r, size)
		}
		if err != nil {
			return err
		}
	}
	if !slices.Contains(best, got) {
		return &MismatchError{Want: best, Got: got}
	}
	return nil
}
