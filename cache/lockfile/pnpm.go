// SPDX-License-Identifier: Apache-2.0

package lockfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/zviz/run/cache/registry"
)

// pnpmLock is pnpm-lock.yaml. The keys of packages are "/NAME/VERSION_PEERS" in
// version 5, "/NAME@VERSION(PEERS)" in 6 and "NAME@VERSION" in 9.
type pnpmLock struct {
	Version  string `yaml:"lockfileVersion"`
	Packages map[string]struct {
		Name       string `yaml:"name"`
		Version    string `yaml:"version"`
		Resolution struct {
			Integrity string `yaml:"integrity"`
			Tarball   string `yaml:"tarball"`
			Type      string `yaml:"type"`
		} `yaml:"resolution"`
	} `yaml:"packages"`
}

func parsePNPM(b []byte) ([]registry.Locked, error) {
	var lock pnpmLock
	if err := yaml.Unmarshal(b, &lock); err != nil {
		return nil, err
	}
	major, _, _ := strings.Cut(lock.Version, ".")
	switch major {
	case "5", "6", "7", "9":
	default:
		return nil, fmt.Errorf("lockfileVersion %.20q: 5, 6, 7 and 9 are known", lock.Version)
	}
	var all []registry.Locked
	for _, key := range slices.Sorted(maps.Keys(lock.Packages)) {
		p := lock.Packages[key]
		name, version := pnpmKey(key, major)
		if p.Name != "" {
			name = p.Name
		}
		if p.Version != "" {
			version = p.Version
		}
		if p.Resolution.Type == "" && registry.ValidNPMName(name) && fromRegistry(p.Resolution.Tarball, version) {
			all = append(all, npmLocked(name, version, p.Resolution.Integrity))
		}
	}
	return all, nil
}

func pnpmKey(key, major string) (name, version string) {
	key, _, _ = strings.Cut(strings.TrimPrefix(key, "/"), "(")
	if major != "5" {
		return splitAt(key)
	}
	i := strings.LastIndexByte(key, '/')
	if i < 0 {
		return key, ""
	}
	version, _, _ = strings.Cut(key[i+1:], "_")
	return key[:i], version
}
