// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Preset is what the operator's toolchain says about its registry: the hosts a
// job needs, and the settings that make the tools in the job ask them.
type Preset struct {
	Name  string            `json:"name"`
	Rules []Rule            `json:"rules"`
	Env   map[string]string `json:"env,omitempty"`   // for the job; never a token
	Files map[string][]byte `json:"files,omitempty"` // absolute path inside → content
	Notes []string          `json:"notes,omitempty"` // what was left out and why, for people
}

// Runner runs a command of the operator's toolchain and returns what it wrote to
// stdout. The caller gives it no network, the operator's configuration read-only
// and "/" as working directory: the workspace's own configuration is hostile.
type Runner func(ctx context.Context, argv []string) ([]byte, error)

// Presets returns the names that Discover knows.
func Presets() []string { return []string{"debian", "go", "npm", "pypi"} }

// planned are names that are reserved: they mean a preset, not a host.
func planned() []string {
	return []string{"bundler", "cargo", "docker", "github-releases", "gradle", "maven", "nuget"}
}

// IsPreset reports whether an item of --allow is the name of a preset, one that
// Discover knows or one that is reserved, and not a host.
func IsPreset(name string) bool {
	return slices.Contains(Presets(), name) || slices.Contains(planned(), name)
}

// PresetOf returns the preset that a command gets when the user names none.
func PresetOf(argv0 string) (string, bool) {
	switch name := path.Base(argv0); name {
	case "npm", "npx", "pnpm", "pnpx", "yarn", "yarnpkg", "corepack":
		return "npm", true
	case "go":
		return "go", true
	case "pip", "pip3", "pipx", "uv", "uvx", "poetry":
		return "pypi", true
	case "apt-get", "apt":
		return "debian", true
	default:
		if v, ok := strings.CutPrefix(name, "pip3."); ok && v != "" && strings.Trim(v, "0123456789") == "" {
			return "pypi", true
		}
		return "", false
	}
}

// Discover asks the operator's toolchain where its registry is. No host name is
// built in: a tool that is not installed is an error.
func Discover(ctx context.Context, name string, run Runner) (Preset, error) {
	var p Preset
	var err error
	switch name {
	case "npm":
		p, err = discoverNPM(ctx, run)
	case "go":
		p, err = discoverGo(ctx, run)
	case "debian":
		p, err = discoverDebian(ctx, run)
	case "pypi":
		p, err = discoverPyPI(ctx, run)
	default:
		if slices.Contains(planned(), name) {
			return Preset{}, fmt.Errorf("preset %s: not built yet; name its hosts with --allow", name)
		}
		return Preset{}, fmt.Errorf("preset %q: unknown; there are %s", clip(name), strings.Join(Presets(), ", "))
	}
	if err != nil {
		return Preset{}, fmt.Errorf("preset %s: %w", name, err)
	}
	p.Name = name
	return p, nil
}
