// SPDX-License-Identifier: Apache-2.0

package store

import (
	"crypto/sha1" //nolint:gosec // npm's packages from before 2017 have no other digest; Weak tells
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// The algorithms. Those of Go's modules are hashes over a list of files, of a
// whole zip or of one go.mod (golang.org/x/mod/sumdb/dirhash).
const (
	SHA256   = "sha256"
	SHA384   = "sha384"
	SHA512   = "sha512"
	SHA1     = "sha1"
	GoZip    = "h1"
	GoModule = "h1mod"
)

// Digest names content: "ALGORITHM:VALUE". The value is lower-case hexadecimal,
// and base64 for Go's hashes, as their tools print it.
type Digest string

// Algorithm returns what stands before the colon.
func (d Digest) Algorithm() string {
	a, _, _ := strings.Cut(string(d), ":")
	return a
}

// Value returns what stands behind the colon.
func (d Digest) Value() string {
	_, v, _ := strings.Cut(string(d), ":")
	return v
}

// Weak reports whether others can be found that match too.
func (d Digest) Weak() bool { return d.Algorithm() == SHA1 }

// strength orders algorithms; 0 is unknown.
func (d Digest) strength() int {
	switch d.Algorithm() {
	case SHA1:
		return 1
	case SHA256, GoZip, GoModule:
		return 2
	case SHA384:
		return 3
	case SHA512:
		return 4
	default:
		return 0
	}
}

// ParseDigest reads "ALGORITHM:VALUE" and refuses what is not in its one form.
func ParseDigest(s string) (Digest, error) {
	d := Digest(s)
	var size int
	switch d.Algorithm() {
	case SHA1:
		size = sha1.Size
	case SHA256:
		size = sha256.Size
	case SHA384:
		size = sha512.Size384
	case SHA512:
		size = sha512.Size
	case GoZip, GoModule:
		if raw, err := base64.StdEncoding.Strict().DecodeString(d.Value()); err != nil || len(raw) != sha256.Size {
			return "", fmt.Errorf("digest %.100q: want base64 of %d bytes", s, sha256.Size)
		}
		return d, nil
	default:
		return "", fmt.Errorf("digest %.100q: unknown algorithm", s)
	}
	if v := d.Value(); len(v) != 2*size || strings.Trim(v, "0123456789abcdef") != "" {
		return "", fmt.Errorf("digest %.100q: want %d hexadecimal digits in lower case", s, 2*size)
	}
	return d, nil
}

// NewDigest makes a digest of hexadecimal digits in either case.
func NewDigest(algorithm, hexValue string) (Digest, error) {
	return ParseDigest(algorithm + ":" + strings.ToLower(strings.TrimSpace(hexValue)))
}

// ParseIntegrity reads subresource integrity, as npm writes it: items
// "ALGORITHM-BASE64[?OPTION]" with spaces between. Unknown items are left out
// (W3C Subresource Integrity, section 3.5); an empty result means none is known.
func ParseIntegrity(s string) []Digest {
	var all []Digest
	for item := range strings.FieldsSeq(s) {
		algorithm, value, ok := strings.Cut(item, "-")
		value, _, _ = strings.Cut(value, "?")
		raw, err := base64.StdEncoding.DecodeString(value)
		if !ok || err != nil {
			continue
		}
		if d, err := ParseDigest(algorithm + ":" + hex.EncodeToString(raw)); err == nil {
			all = append(all, d)
		}
		if len(all) == maxDigests {
			break
		}
	}
	return all
}

// maxDigests bounds how many digests one file can have.
const maxDigests = 8

// Integrity returns the digest in the form that ParseIntegrity reads, empty if
// it has none.
func (d Digest) Integrity() string {
	raw, err := hex.DecodeString(d.Value())
	if err != nil {
		return ""
	}
	return d.Algorithm() + "-" + base64.StdEncoding.EncodeToString(raw)
}

// strongest returns the digests of the strongest algorithm among all. With
// several of them, npm's rule holds: one that matches is enough.
func strongest(all []Digest) []Digest {
	best, most := []Digest(nil), 0
	for _, d := range all {
		switch n := d.strength(); {
		case n > most:
			best, most = []Digest{d}, n
		case n == most && n > 0:
			best = append(best, d)
		}
	}
	return best
}

// newHash returns the hash of an algorithm that runs over the bytes, else nil.
func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case SHA1:
		return sha1.New() //nolint:gosec // see the import
	case SHA256:
		return sha256.New()
	case SHA384:
		return sha512.New384()
	case SHA512:
		return sha512.New()
	default:
		return nil
	}
}

// sumOf is the digest that a hash has come to.
func sumOf(algorithm string, h hash.Hash) Digest {
	return Digest(algorithm + ":" + hex.EncodeToString(h.Sum(nil)))
}
