// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"github.com/zviz/run/cache/store"
)

// goListMost and goInfoMost bound the documents of a module proxy, bytes.
const (
	goListMost = 8 << 20
	goInfoMost = 1 << 20
	goSumMost  = 1 << 20
)

// ParseGoList reads the versions of a module, the newest first.
func ParseGoList(r io.Reader) ([]string, error) {
	var all []string
	err := lines(Bound(r, goListMost), func(line []byte) error {
		if v := strings.Fields(string(line))[0]; semver.IsValid(v) {
			all = append(all, v)
		}
		return nil
	})
	if err != nil {
		return nil, parseError("@v/list", err)
	}
	slices.SortFunc(all, func(a, b string) int { return semver.Compare(b, a) })
	return all, nil
}

// GoVersion is the .info of a version.
type GoVersion struct {
	Version string
	Time    time.Time // of the commit, as its author says; zero: not known
}

// ParseGoInfo reads the .info of a version, and @latest.
func ParseGoInfo(r io.Reader) (GoVersion, error) {
	b, err := io.ReadAll(Bound(r, goInfoMost))
	if err != nil {
		return GoVersion{}, parseError(".info", err)
	}
	var raw struct{ Version, Time string }
	if err := ignoreType(json.Unmarshal(b, &raw)); err != nil {
		return GoVersion{}, parseError(".info", err)
	}
	if !semver.IsValid(raw.Version) {
		return GoVersion{}, parseError(".info", fmt.Errorf("version %.100q", raw.Version))
	}
	return GoVersion{raw.Version, parseTime(raw.Time)}, nil
}

// ParseGoSums reads lines "MODULE VERSION[/go.mod] h1:…" of a checksum database
// or of a go.sum and calls each with them; other lines are passed over.
func ParseGoSums(r io.Reader, each func(name, version string, d store.Digest)) error {
	err := lines(Bound(r, 64<<20), func(line []byte) error {
		f := strings.Fields(string(line))
		if len(f) != 3 || !strings.HasPrefix(f[2], store.GoZip+":") {
			return nil
		}
		version, mod := strings.CutSuffix(f[1], "/go.mod")
		sum := f[2]
		if mod {
			sum = store.GoModule + strings.TrimPrefix(sum, store.GoZip)
		}
		if d, err := store.ParseDigest(sum); err == nil && semver.IsValid(version) {
			each(f[0], version, d)
		}
		return nil
	})
	return parseError("go.sum", err)
}

// GoSums returns what a checksum database's answer says of one version: the
// digests of the zip and of its go.mod.
func GoSums(r io.Reader, name, version string) (zip, mod store.Digest, err error) {
	err = ParseGoSums(Bound(r, goSumMost), func(n, v string, d store.Digest) {
		switch {
		case n != name || v != version:
		case d.Algorithm() == store.GoModule:
			mod = d
		default:
			zip = d
		}
	})
	return zip, mod, err
}
