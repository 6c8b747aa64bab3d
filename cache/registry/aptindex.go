// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bufio"
	"io"
	"path"
	"strings"

	"github.com/zviz/run/cache/store"
)

// AptFile is a file that an archive's list names with its digest.
type AptFile struct {
	Path   string // of a package: below the archive; of a list: below its Release
	SHA256 store.Digest
}

// ParseAptPackages reads a list of packages, unpacked, and calls each for every
// package with a digest.
func ParseAptPackages(r io.Reader, each func(AptFile)) error {
	var f AptFile
	flush := func() {
		if f.Path != "" && f.SHA256 != "" && cleanPath(f.Path) {
			each(f)
		}
		f = AptFile{}
	}
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 64<<10), 1<<20)
	for s.Scan() {
		line := s.Text()
		if line == "" {
			flush()
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		switch value = strings.TrimSpace(value); key {
		case "Filename":
			f.Path = strings.TrimPrefix(value, "./")
		case "SHA256":
			f.SHA256, _ = store.NewDigest(store.SHA256, value) // empty if it is none
		}
	}
	flush()
	return parseError("Packages", s.Err())
}

// ParseAptRelease reads the digests of the lists that a Release or InRelease
// names. Its signature is not looked at: apt does that.
func ParseAptRelease(r io.Reader) ([]AptFile, error) {
	var all []AptFile
	inside := false
	err := lines2(Bound(r, 16<<20), func(line string) error {
		switch {
		case strings.HasPrefix(line, "SHA256:"):
			inside = true
		case !strings.HasPrefix(line, " "):
			inside = false
		case inside:
			f := strings.Fields(line)
			if len(f) != 3 || !cleanPath(f[2]) {
				return nil
			}
			if len(all) == versionsMost {
				return ErrTooLarge
			}
			if d, err := store.NewDigest(store.SHA256, f[0]); err == nil {
				all = append(all, AptFile{Path: f[2], SHA256: d})
			}
		}
		return nil
	})
	if err != nil {
		return nil, parseError("Release", err)
	}
	return all, nil
}

func lines2(r io.Reader, each func(string) error) error {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 64<<10), 1<<20)
	for s.Scan() {
		if err := each(s.Text()); err != nil {
			return err
		}
	}
	return s.Err()
}

func cleanPath(p string) bool {
	return path.Clean(p) == p && !strings.HasPrefix(p, "/") && !strings.HasPrefix(p, "..")
}
