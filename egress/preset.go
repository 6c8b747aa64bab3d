// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Preset is what the operator's toolchain says about its registry: the hosts a
// job needs, and the settings that make the tools in the job ask them.
type Preset struct {
	Name  string `json:"name"`
	Rules []Rule `json:"rules"`
	// Registries are those whose packages a store may keep and rules may be about.
	Registries []Registry        `json:"registries,omitempty"`
	Env        map[string]string `json:"env,omitempty"`   // for the job; never a token
	Files      map[string][]byte `json:"files,omitempty"` // absolute path inside → content
	Notes      []string          `json:"notes,omitempty"` // what was left out and why, for people
	// Java asks for a store of trusted certificates in Java's own form.
	Java bool `json:"java,omitempty"`

	plain []authority // that are reached without TLS
}

// Runner runs a command of the operator's toolchain and returns what it wrote to
// stdout. The caller gives it no network, the operator's configuration read-only
// and "/" as working directory: the workspace's own configuration is hostile.
type Runner func(ctx context.Context, argv []string) ([]byte, error)

// discoverers are the presets by name.
func discoverers() map[string]func(context.Context, Runner) (Preset, error) {
	of := func(f forge) func(context.Context, Runner) (Preset, error) {
		return func(ctx context.Context, run Runner) (Preset, error) { return discoverForge(ctx, f, run) }
	}
	return map[string]func(context.Context, Runner) (Preset, error){
		"cargo": discoverCargo, "debian": discoverDebian, "gitea": of(giteaForge()), "github": of(githubForge()), "gitlab": of(gitlabForge()),
		"go": discoverGo, "gradle": discoverGradle, "maven": discoverMaven, "npm": discoverNPM, "nuget": discoverNuGet, "oci": discoverOCI,
		"pnpm": discoverPNPM, "pypi": discoverPyPI, "rubygems": discoverRubyGems, "yarn": discoverYarn,
	}
}

// Presets returns the names that Discover knows.
func Presets() []string { return slices.Sorted(maps.Keys(discoverers())) }

// IsPreset reports whether an item of --allow is the name of a preset, and not a
// host.
func IsPreset(name string) bool { return slices.Contains(Presets(), name) }

// commands are the presets that commands get when the user names none. A shell, make
// and git are not among them: they may want anything.
func commands() map[string]string {
	return map[string]string{
		"npm": "npm", "npx": "npm", "corepack": "npm", "yarn": "yarn", "yarnpkg": "yarn", "pnpm": "pnpm", "pnpx": "pnpm",
		"go":  "go",
		"pip": "pypi", "pip3": "pypi", "pipx": "pypi", "uv": "pypi", "uvx": "pypi", "poetry": "pypi",
		"apt": "debian", "apt-get": "debian",
		"cargo": "cargo",
		"mvn":   "maven", "mvnw": "maven", "mvnd": "maven",
		"gradle": "gradle", "gradlew": "gradle",
		"gem": "rubygems", "bundle": "rubygems", "bundler": "rubygems",
		"dotnet": "nuget", "nuget": "nuget",
		"docker": "oci", "podman": "oci", "buildah": "oci", "skopeo": "oci", "crane": "oci", "oras": "oci", "regctl": "oci",
		"gh": "github", "glab": "gitlab", "tea": "gitea",
	}
}

// PresetOf returns the preset that a command gets when the user names none.
func PresetOf(argv0 string) (string, bool) {
	name := path.Base(argv0)
	if preset, ok := commands()[name]; ok {
		return preset, true
	}
	if v, ok := strings.CutPrefix(name, "pip3."); ok && v != "" && strings.Trim(v, "0123456789") == "" {
		return "pypi", true
	}
	return "", false
}

// Discover asks the operator's toolchain where its registry is. Where a tool's
// configuration says nothing and the tool cannot be asked, the place that its
// documentation names is meant.
func Discover(ctx context.Context, name string, run Runner) (Preset, error) {
	discover, ok := discoverers()[name]
	if !ok {
		return Preset{}, fmt.Errorf("preset %q: unknown; there are %s", clip(name), strings.Join(Presets(), ", "))
	}
	p, err := discover(ctx, run)
	if err != nil {
		return Preset{}, fmt.Errorf("preset %s: %w", name, err)
	}
	p.finish(name)
	return p, nil
}
