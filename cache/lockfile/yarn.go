// SPDX-License-Identifier: Apache-2.0

package lockfile

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/zviz/run/cache/registry"
)

// parseYarn reads both forms. Berry's begins with __metadata and is YAML; its
// checksums are of archives that yarn makes itself, so they say nothing here.
func parseYarn(b []byte) ([]registry.Locked, error) {
	if bytes.HasPrefix(b, []byte("__metadata:")) || bytes.Contains(b, []byte("\n__metadata:")) {
		return parseBerry(b)
	}
	return parseClassic(b)
}

func parseBerry(b []byte) ([]registry.Locked, error) {
	var lock map[string]struct {
		Version    string `yaml:"version"`
		Resolution string `yaml:"resolution"`
	}
	if err := yaml.Unmarshal(b, &lock); err != nil {
		return nil, err
	}
	var all []registry.Locked
	for _, key := range slices.Sorted(maps.Keys(lock)) {
		p := lock[key]
		// "NAME@npm:VERSION", perhaps with "::PARAMETERS" behind.
		i := strings.Index(p.Resolution, "@npm:")
		if key == "__metadata" || i <= 0 {
			continue
		}
		version, _, _ := strings.Cut(p.Resolution[i+len("@npm:"):], "::")
		if version != "" && !strings.ContainsAny(version, ":/") {
			all = append(all, registry.Locked{Ecosystem: registry.NPM, Name: p.Resolution[:i], Version: version})
		}
	}
	return all, nil
}

// parseClassic reads yarn 1's own form: a line without indentation begins an
// entry and lists what it satisfies; two spaces are its fields, four those of a
// map within.
func parseClassic(b []byte) ([]registry.Locked, error) {
	var all []registry.Locked
	var name, version, resolved, integrity string
	open := false
	flush := func() {
		if open && fromRegistry(resolved, version) && registry.ValidNPMName(name) {
			all = append(all, npmLocked(name, version, integrity))
		}
		name, version, resolved, integrity, open = "", "", "", "", false
	}
	n := 0
	for raw := range bytes.Lines(b) {
		n++
		line := strings.TrimRight(string(raw), "\r\n")
		switch indent := len(line) - len(strings.TrimLeft(line, " ")); {
		case strings.TrimSpace(line) == "" || line[indent] == '#':
		case indent == 0:
			flush()
			head, ok := strings.CutSuffix(line, ":")
			if !ok {
				return nil, &lineError{n, errors.New("want \"NAME@RANGE:\"")}
			}
			first, _, _ := strings.Cut(head, ", ")
			name, open = yarnName(unquote(first)), true
			if name == "" {
				return nil, &lineError{n, errors.New("no name of a package")}
			}
		case !open:
			return nil, &lineError{n, errors.New("a field outside of an entry")}
		case indent == 2:
			key, value, _ := strings.Cut(line[2:], " ")
			switch value = unquote(value); key {
			case "version":
				version = value
			case "resolved":
				resolved = value
			case "integrity":
				integrity = value
			}
		}
	}
	flush()
	return all, nil
}

// yarnName takes the package out of "NAME@RANGE"; "ALIAS@npm:NAME@RANGE" is an
// alias of another package.
func yarnName(spec string) string {
	i := strings.IndexByte(spec[min(1, len(spec)):], '@') + 1
	if i <= 0 {
		return ""
	}
	if target, alias := strings.CutPrefix(spec[i+1:], "npm:"); alias {
		if name, _ := splitAt(target); registry.ValidNPMName(name) {
			return name
		}
	}
	return spec[:i]
}

func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}
