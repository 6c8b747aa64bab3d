// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/zviz/run/cache/store"
)

// The two forms of a packument (github.com/npm/registry,
// docs/responses/package-metadata.md). The short one has no times.
const (
	NPMFull        = "application/json"
	NPMAbbreviated = "application/vnd.npm.install-v1+json"
)

// ParsePackument reads a packument in either form.
func ParsePackument(r io.Reader) (Package, error) {
	p := Package{Ecosystem: NPM, Tags: map[string]string{}}
	at := map[string]int{}
	times := map[string]time.Time{}
	d := json.NewDecoder(r)
	err := object(d, func(key string) error {
		switch key {
		case "name":
			return ignoreType(d.Decode(&p.Name))
		case npmTags:
			raw, err := value(d)
			if err != nil {
				return err
			}
			return ignoreType(json.Unmarshal(raw, &p.Tags))
		case "time":
			return object(d, func(version string) error {
				var s string
				err := ignoreType(d.Decode(&s))
				// If a key is there twice, the later time counts: it hides more.
				if t := parseTime(s); t.After(times[version]) {
					times[version] = t
				}
				if len(times) > timesMost {
					return ErrTooLarge
				}
				return err
			})
		case "versions":
			return object(d, func(version string) error {
				raw, err := value(d)
				if err != nil {
					return err
				}
				v, err := npmVersion(version, raw)
				if err != nil {
					return err
				}
				if i, twice := at[version]; twice {
					p.Versions[i] = v
					return nil
				}
				if len(p.Versions) == versionsMost {
					return ErrTooLarge
				}
				at[version] = len(p.Versions)
				p.Versions = append(p.Versions, v)
				return nil
			})
		default:
			return skip(d)
		}
	})
	if err == nil {
		err = end(d)
	}
	if err != nil {
		return Package{}, parseError("packument", err)
	}
	for i := range p.Versions {
		p.Versions[i].Published = times[p.Versions[i].Version]
	}
	return p, nil
}

// ignoreType lets a field of another type than the usual one pass as empty.
func ignoreType(err error) error {
	if _, ok := err.(*json.UnmarshalTypeError); ok { //nolint:errorlint // Decode returns it as it is
		return nil
	}
	return err
}

func npmVersion(version string, raw []byte) (Version, error) {
	var m struct {
		Dist struct {
			Integrity, Shasum, Tarball string
		}
	}
	if err := ignoreType(json.Unmarshal(raw, &m)); err != nil {
		return Version{}, err
	}
	v := Version{Version: version, URL: m.Dist.Tarball, Digests: store.ParseIntegrity(m.Dist.Integrity)}
	if d, err := store.NewDigest(store.SHA1, m.Dist.Shasum); err == nil && len(v.Digests) == 0 {
		v.Digests = []store.Digest{d}
	}
	return v, nil
}

// RewritePackument copies a packument without the versions that hide names, and
// with the tags given. With short it makes the abbreviated form of a full one.
func RewritePackument(w io.Writer, r io.Reader, hide map[string]bool, tags map[string]string, short bool) error {
	d := json.NewDecoder(r)
	out := newJSONWriter(w)
	out.open('{')
	err := object(d, func(key string) error {
		switch {
		case key == npmTags:
			out.key(key)
			out.plain(tags)
			return skip(d)
		case key == "versions":
			out.key(key)
			out.open('{')
			defer out.close('}')
			return object(d, func(version string) error {
				raw, err := value(d)
				if err != nil || hide[version] {
					return err
				}
				if short {
					if raw, err = abbreviate(raw); err != nil {
						return err
					}
				}
				out.key(version)
				out.raw(raw)
				return nil
			})
		case key == "time" && !short:
			out.key(key)
			out.open('{')
			defer out.close('}')
			return object(d, func(version string) error {
				raw, err := value(d)
				if err != nil || hide[version] {
					return err
				}
				out.key(version)
				out.raw(raw)
				return nil
			})
		case short && key == "time":
			return object(d, func(what string) error {
				raw, err := value(d)
				if err == nil && what == "modified" {
					out.key(what)
					out.raw(raw)
				}
				return err
			})
		case short && key != "name" && key != "modified":
			return skip(d)
		default:
			raw, err := value(d)
			if err != nil {
				return err
			}
			out.key(key)
			out.raw(raw)
			return nil
		}
	})
	if err != nil {
		return parseError("packument", err)
	}
	out.close('}')
	return out.flush()
}

// abbreviate makes the short form of one version.
func abbreviate(raw []byte) ([]byte, error) {
	var full map[string]json.RawMessage
	if err := json.Unmarshal(raw, &full); err != nil {
		return nil, err
	}
	short := map[string]json.RawMessage{}
	for _, key := range npmShortFields() {
		if v, ok := full[key]; ok {
			short[key] = v
		}
	}
	var scripts map[string]json.RawMessage
	if err := json.Unmarshal(full["scripts"], &scripts); err == nil {
		for name := range scripts {
			if name == "preinstall" || name == "install" || name == "postinstall" {
				short["hasInstallScript"] = json.RawMessage("true")
			}
		}
	}
	return json.Marshal(short)
}

// npmShortFields are those that an installation needs.
func npmShortFields() []string {
	return []string{
		"name", "version", "deprecated", "dependencies", "acceptDependencies", "optionalDependencies", "devDependencies",
		"bundleDependencies", "bundledDependencies", "peerDependencies", "peerDependenciesMeta", "bin", "directories", "dist",
		"engines", "cpu", "os", "libc", "funding", "hasInstallScript", "_hasShrinkwrap",
	}
}

// PackumentVersion returns the document of one version as it is.
func PackumentVersion(r io.Reader, version string) ([]byte, error) {
	d := json.NewDecoder(r)
	var found []byte
	err := object(d, func(key string) error {
		if key != "versions" {
			return skip(d)
		}
		return object(d, func(v string) error {
			raw, err := value(d)
			if v == version {
				found = raw
			}
			return err
		})
	})
	return found, parseError("packument", err)
}

// RetagNPM returns the tags once versions are hidden. A tag moves to the newest
// version left that is not above what it named, a release if it named one; what
// the publisher did not call latest does not become it while there is another.
// A tag that has nowhere to go is dropped.
func RetagNPM(p Package, hide map[string]bool) map[string]string {
	tags := maps.Clone(p.Tags)
	var left []string
	for _, v := range p.Versions {
		if !hide[v.Version] {
			left = append(left, v.Version)
		}
	}
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		if !hide[tags[tag]] {
			continue
		}
		if to := retag(tag, tags[tag], left); to != "" {
			tags[tag] = to
		} else {
			delete(tags, tag)
		}
	}
	return tags
}

func retag(tag, was string, left []string) string {
	release := !strings.Contains(strings.SplitN(was, "+", 2)[0], "-")
	best := func(ok func(string) bool) string {
		to := ""
		for _, v := range left {
			if ok(v) && (to == "" || CompareVersions(v, to) > 0) {
				to = v
			}
		}
		return to
	}
	below := func(v string) bool { return CompareVersions(v, was) < 0 }
	stable := func(v string) bool { return !prerelease(v) }
	if release || tag == "latest" {
		if to := best(func(v string) bool { return stable(v) && below(v) }); to != "" || tag != "latest" {
			return to
		}
		if to := best(stable); to != "" {
			return to
		}
		return best(func(string) bool { return true })
	}
	return best(below)
}
