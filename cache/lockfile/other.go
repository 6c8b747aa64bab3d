// SPDX-License-Identifier: Apache-2.0

package lockfile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/cache/store"
)

// parseGoSum reads go.sum. A version of which only the go.mod is named may be
// fetched too: nothing in it is built.
func parseGoSum(b []byte) ([]registry.Locked, error) {
	var all []registry.Locked
	err := registry.ParseGoSums(bytes.NewReader(b), func(name, version string, d store.Digest) {
		all = append(all, registry.Locked{Ecosystem: registry.Go, Name: name, Version: version, Digests: []store.Digest{d}})
	})
	if err == nil && len(all) == 0 && len(bytes.TrimSpace(b)) > 0 {
		err = errors.New("has no line \"MODULE VERSION h1:…\"")
	}
	return all, err
}

// parseCargo reads Cargo.lock. A package without a source is one of the project;
// only those of registries have a checksum.
func parseCargo(b []byte) ([]registry.Locked, error) {
	var lock struct {
		Package []struct {
			Name, Version, Source, Checksum string
		}
		Metadata map[string]any // checksums of version 1
	}
	if err := toml.Unmarshal(b, &lock); err != nil {
		return nil, err
	}
	var all []registry.Locked
	for _, p := range lock.Package {
		if p.Version == "" || !strings.HasPrefix(p.Source, "registry+") && !strings.HasPrefix(p.Source, "sparse+") {
			continue
		}
		sum := p.Checksum
		if sum == "" {
			sum, _ = lock.Metadata[fmt.Sprintf("checksum %s %s (%s)", p.Name, p.Version, p.Source)].(string)
		}
		l := registry.Locked{Ecosystem: registry.Cargo, Name: p.Name, Version: p.Version}
		if d, err := store.NewDigest(store.SHA256, sum); err == nil {
			l.Digests = []store.Digest{d}
		}
		all = append(all, l)
	}
	return all, nil
}

// parseRequirements reads pip's requirements with hashes (pip's
// "hash-checking mode"): every requirement has "==VERSION" and "--hash". A file
// that leaves any open locks nothing, so that is an error.
func parseRequirements(b []byte) ([]registry.Locked, error) {
	var all []registry.Locked
	n, start, logical := 0, 0, ""
	for raw := range bytes.Lines(b) {
		n++
		line := strings.TrimRight(string(raw), "\r\n")
		if logical == "" {
			start = n
		}
		if rest, more := strings.CutSuffix(line, "\\"); more && !strings.HasPrefix(strings.TrimSpace(line), "#") {
			logical += rest + " "
			continue
		}
		l, err := requirement(logical + line)
		logical = ""
		if err != nil {
			return nil, &lineError{start, err}
		}
		if l.Name != "" {
			all = append(all, l)
		}
	}
	if logical != "" {
		return nil, &lineError{start, errors.New("ends with a line to be continued")}
	}
	return all, nil
}

func requirement(line string) (registry.Locked, error) {
	if i := strings.Index(" "+line, " #"); i >= 0 {
		line = line[:max(i, 0)]
	}
	line = strings.TrimSpace(line)
	if line == "" {
		return registry.Locked{}, nil
	}
	if strings.HasPrefix(line, "-") {
		switch option, _, _ := strings.Cut(strings.Fields(line)[0], "="); option {
		case "-i", "--index-url", "--extra-index-url", "--trusted-host", "--require-hashes", "--prefer-binary",
			"--no-binary", "--only-binary", "--pre", "-f", "--find-links", "--no-index":
			return registry.Locked{}, nil
		default:
			return registry.Locked{}, fmt.Errorf("option %.40q: what it brings in is not locked", option)
		}
	}
	// NAME[EXTRAS]==VERSION ; MARKER --hash=ALGORITHM:VALUE …
	head, options, _ := strings.Cut(line, " --")
	head, _, _ = strings.Cut(head, ";")
	name, version, ok := strings.Cut(head, "==")
	name, _, _ = strings.Cut(name, "[")
	l := registry.Locked{Ecosystem: registry.PyPI, Name: registry.NormalizePyPI(strings.TrimSpace(name)), Version: strings.TrimSpace(version)}
	if !ok || l.Name == "" || l.Version == "" || strings.ContainsAny(l.Version, "*,<>!= ") {
		return registry.Locked{}, fmt.Errorf("%.100q: want NAME==VERSION --hash=…", line)
	}
	for option := range strings.SplitSeq("--"+options, " ") {
		value, ok := strings.CutPrefix(strings.TrimSpace(option), "--hash=")
		if !ok {
			continue
		}
		algorithm, digest, _ := strings.Cut(value, ":")
		d, err := store.NewDigest(algorithm, digest)
		if err != nil {
			return registry.Locked{}, err
		}
		l.Digests = append(l.Digests, d)
	}
	if len(l.Digests) == 0 {
		return registry.Locked{}, fmt.Errorf("%.100q: has no hash", line)
	}
	return l, nil
}
