// SPDX-License-Identifier: Apache-2.0

package lockfile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

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

// parseCargo reads Cargo.lock. A package without a source is one of the project; only
// those of registries have a checksum. Cargo writes one form of TOML, a line for each key
// and each item of a list, and nothing else is read: whoever wrote the file may have
// nested values so deep that a library for all of TOML takes minutes or all of the stack.
func parseCargo(b []byte) ([]registry.Locked, error) {
	type entry struct{ name, version, source, checksum string }
	var list []entry
	metadata := map[string]string{} // checksums of version 1
	n, section, inList := 0, "", false
	for raw := range bytes.Lines(b) {
		n++
		line := strings.TrimSpace(string(raw))
		key, value, isKey := cutKey(line)
		switch {
		case line == "" || line[0] == '#':
		case strings.Contains(line, `"""`) || strings.Contains(line, "'''"):
			return nil, &lineError{n, errors.New("cargo writes no text of several lines")}
		case inList:
			if _, ok := quoted(strings.TrimSuffix(line, ",")); !ok && line != "]" {
				return nil, &lineError{n, errors.New("want an item of a list, as cargo writes it")}
			}
			inList = line != "]"
		case line[0] == '[' && strings.HasSuffix(line, "]"):
			if section = line; section == "[[package]]" {
				list = append(list, entry{})
			}
		case !isKey:
			return nil, &lineError{n, errors.New("want a line as cargo writes it")}
		case value == "[":
			inList = true
		case section == "[metadata]":
			metadata[key], _ = quoted(value)
		case section == "[[package]]":
			text, ok := quoted(value)
			p := &list[len(list)-1]
			field := map[string]*string{"name": &p.name, "version": &p.version, "source": &p.source, "checksum": &p.checksum}[key]
			if field == nil {
				continue
			}
			if !ok {
				return nil, &lineError{n, fmt.Errorf("%s: want a text", key)}
			}
			*field = text
		}
	}
	var all []registry.Locked
	for _, p := range list {
		if p.version == "" || !strings.HasPrefix(p.source, "registry+") && !strings.HasPrefix(p.source, "sparse+") {
			continue
		}
		sum := p.checksum
		if sum == "" {
			sum = metadata[fmt.Sprintf("checksum %s %s (%s)", p.name, p.version, p.source)]
		}
		l := registry.Locked{Ecosystem: registry.Cargo, Name: p.name, Version: p.version}
		if d, err := store.NewDigest(store.SHA256, sum); err == nil {
			l.Digests = []store.Digest{d}
		}
		all = append(all, l)
	}
	return all, nil
}

// cutKey takes KEY = VALUE apart. A key may stand in quotes.
func cutKey(line string) (key, value string, ok bool) {
	if strings.HasPrefix(line, `"`) {
		if key, value, ok = strings.Cut(line[1:], `" = `); !ok {
			return "", "", false
		}
		return key, strings.TrimSpace(value), true
	}
	key, value, ok = strings.Cut(line, "=")
	return strings.TrimSpace(key), strings.TrimSpace(value), ok
}

// quoted is the text between two quotes; none of cargo's has an escape.
func quoted(s string) (string, bool) {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", false
	}
	text := s[1 : len(s)-1]
	return text, !strings.ContainsAny(text, "\"\\")
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
