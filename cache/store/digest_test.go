// SPDX-License-Identifier: Apache-2.0

package store

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/dirhash"
)

func TestParseIntegrity(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want int
	}{
		{"", 0},
		{"sha512-" + strings.Repeat("A", 86) + "==", 1},
		{"sha512-" + strings.Repeat("A", 86) + "== sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=", 2},
		{"sha512-" + strings.Repeat("A", 86) + "==?opt", 1},
		{"md5-AAAAAAAAAAAAAAAAAAAAAA==", 0},
		{"sha512-short", 0},
		{"sha512", 0},
	} {
		got := ParseIntegrity(tt.in)
		if len(got) != tt.want {
			t.Errorf("%q: %v", tt.in, got)
		}
	}
	d := ParseIntegrity("sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=")
	if d[0] != "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709" || d[0].Integrity() != "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=" {
		t.Error(d)
	}
}

// Our hash of a zip is that of Go's own tools.
func TestGoZip(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range []string{"m@v1.0.0/go.mod", "m@v1.0.0/a/b.go"} {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.Write([]byte("content of " + name))
	}
	w.Close()
	path := filepath.Join(t.TempDir(), "m.zip")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := dirhash.HashZip(path, dirhash.Hash1)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, Config{})
	if _, err := put(t, s, "zip", b.Bytes(), Digest(want)); err != nil {
		t.Error(err)
	}
	if _, err := put(t, s, "other", b.Bytes(), "h1:"+Digest(strings.Repeat("A", 43))+"="); err == nil {
		t.Error("another hash passed")
	}
	mod := []byte("module m\n")
	want, err = dirhash.Hash1([]string{"go.mod"}, openBytes(mod))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := put(t, s, "mod", mod, Digest("h1mod"+want[2:])); err != nil {
		t.Error(err)
	}
}

// A zip that unpacks to more than a module may is refused before it is unpacked.
func TestGoZipBomb(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	zeros := make([]byte, 1<<20)
	for i := range 3 {
		f, err := w.Create("m@v1.0.0/" + strings.Repeat("x", i+1))
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			_, _ = f.Write(zeros)
		}
	}
	w.Close()
	_, err := goZipDigest(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err == nil || !strings.Contains(err.Error(), "unpacks to more") {
		t.Errorf("%v", err)
	}
	// One that lies about it ends where it says.
	lying := bytes.ReplaceAll(b.Bytes(), []byte{0, 0, 0x80, 0x0c}, []byte{0, 0, 0, 1})
	if bytes.Equal(lying, b.Bytes()) {
		t.Fatal("the size is not where this test thinks")
	}
	if _, err = goZipDigest(bytes.NewReader(lying), int64(len(lying))); err == nil {
		t.Error("a lying zip passed")
	}
}

func FuzzParseDigest(f *testing.F) {
	f.Add("sha256:" + strings.Repeat("a", 64))
	f.Add("h1:" + strings.Repeat("A", 43) + "=")
	f.Add("sha1:")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDigest(s)
		if err == nil && (string(d) != s || d.strength() == 0 || strings.ContainsAny(d.Algorithm(), "/.")) {
			t.Errorf("%q became %q", s, d)
		}
		if err == nil && d.Algorithm() == SHA256 && strings.Count(blobPath(d), "/") != 3 {
			t.Errorf("path %q", blobPath(d))
		}
		for _, d := range ParseIntegrity(s) {
			if _, err := ParseDigest(string(d)); err != nil {
				t.Error(err)
			}
		}
	})
}

// What is damaged in any way is either the same record or an error.
func FuzzRecord(f *testing.F) {
	b, err := Record{Key: "k", SHA256: sha256Of(nil)}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := decodeRecord(in)
		if err != nil {
			return
		}
		if _, err := ParseDigest(string(r.SHA256)); err != nil {
			t.Error(err)
		}
	})
}

func openBytes(b []byte) func(string) (io.ReadCloser, error) {
	return func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
}
