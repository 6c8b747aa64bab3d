// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/zviz/run/cache/store"
)

// putPackage puts a package into the store of $ZVIZ_CACHE_DIR: package NAME
// VERSION CONTENT.
func putPackage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: package name version content")
	}
	s, err := store.Open(store.Config{Dir: filepath.Join(ts.Getenv("ZVIZ_CACHE_DIR"), "packages"), MinFree: -1})
	ts.Check(err)
	defer s.Close()
	sum := sha256.Sum256([]byte(args[2]))
	want := []store.Digest{store.Digest("sha256:" + hex.EncodeToString(sum[:]))}
	temp, err := s.Create(want)
	ts.Check(err)
	defer temp.Discard()
	_, err = temp.Write([]byte(args[2]))
	ts.Check(err)
	_, err = temp.Commit(context.Background(), store.Record{Key: args[0] + "@" + args[1], Group: "npm", Name: args[0], Version: args[1]}, want)
	ts.Check(err)
}

// damage changes a byte of every file below a folder that has the content:
// damage FOLDER CONTENT.
func damage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: damage folder content")
	}
	ts.Check(filepath.WalkDir(args[0], func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil || string(b) != args[1] {
			return err
		}
		b[0] ^= 1
		if err := os.Chmod(path, 0o600); err != nil {
			return err
		}
		return os.WriteFile(path, b, 0o600)
	}))
}
