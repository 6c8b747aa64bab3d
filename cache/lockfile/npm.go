// SPDX-License-Identifier: Apache-2.0

package lockfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/cache/store"
)

// npmLock is package-lock.json: packages by path since version 2, and
// dependencies within dependencies in version 1 (npm's documentation,
// "package-lock.json"). Version 2 has both; packages is what npm reads.
type npmLock struct {
	Version      int                      `json:"lockfileVersion"`
	Packages     map[string]npmPackage    `json:"packages"`
	Dependencies map[string]npmDependency `json:"dependencies"`
}

type npmPackage struct {
	Name      string `json:"name"` // of an alias, and of a link's target
	Version   string `json:"version"`
	Resolved  string `json:"resolved"`
	Integrity string `json:"integrity"`
	Link      bool   `json:"link"`
	InBundle  bool   `json:"inBundle"`
}

type npmDependency struct {
	Version      string                   `json:"version"`
	Resolved     string                   `json:"resolved"`
	Integrity    string                   `json:"integrity"`
	Bundled      bool                     `json:"bundled"`
	Dependencies map[string]npmDependency `json:"dependencies"`
}

func parseNPM(b []byte) ([]registry.Locked, error) {
	var lock npmLock
	if err := json.Unmarshal(b, &lock); err != nil {
		return nil, err
	}
	if lock.Version < 1 || lock.Version > 3 {
		return nil, fmt.Errorf("lockfileVersion %d: 1, 2 and 3 are known", lock.Version)
	}
	var all []registry.Locked
	if lock.Packages == nil {
		if lock.Version == 3 {
			return nil, errors.New("has no packages")
		}
		return npmDependencies(all, lock.Dependencies, 0)
	}
	for _, at := range slices.Sorted(maps.Keys(lock.Packages)) {
		p := lock.Packages[at]
		i := strings.LastIndex(at, "node_modules/")
		if i < 0 || p.Link || p.InBundle || !fromRegistry(p.Resolved, p.Version) {
			continue // the project itself, a workspace, what another package brings
		}
		name := p.Name
		if name == "" {
			name = at[i+len("node_modules/"):]
		}
		l := npmLocked(name, p.Version, p.Integrity)
		l.Resolved = p.Resolved != ""
		all = append(all, l)
	}
	return all, nil
}

// npmDependencies reads the tree of version 1.
func npmDependencies(all []registry.Locked, deps map[string]npmDependency, depth int) ([]registry.Locked, error) {
	if depth > 100 {
		return nil, errors.New("dependencies are nested more than 100 deep")
	}
	for _, name := range slices.Sorted(maps.Keys(deps)) {
		d := deps[name]
		if alias, ok := strings.CutPrefix(d.Version, "npm:"); ok {
			name, d.Version = splitAt(alias)
		}
		if !d.Bundled && fromRegistry(d.Resolved, d.Version) {
			l := npmLocked(name, d.Version, d.Integrity)
			l.Resolved = d.Resolved != ""
			all = append(all, l)
		}
		var err error
		if all, err = npmDependencies(all, d.Dependencies, depth+1); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// fromRegistry tells packages of a registry from folders, archives and git.
func fromRegistry(resolved, version string) bool {
	scheme, _, _ := strings.Cut(resolved, ":")
	return version != "" && !strings.ContainsAny(version, ":/") && (resolved == "" || scheme == "http" || scheme == "https")
}

func npmLocked(name, version, integrity string) registry.Locked {
	return registry.Locked{Ecosystem: registry.NPM, Name: name, Version: version, Digests: store.ParseIntegrity(integrity)}
}

// splitAt splits NAME@VERSION, where a name may begin with '@'.
func splitAt(s string) (name, version string) {
	if i := strings.LastIndexByte(s, '@'); i > 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}
