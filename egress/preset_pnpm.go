// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// discoverPNPM takes the registries of npm, whose files pnpm reads too, and adds
// those of pnpm's own (pnpm.io/npmrc).
func discoverPNPM(ctx context.Context, run Runner) (Preset, error) {
	p, npmErr := discoverNPM(ctx, run)
	if npmErr != nil {
		p = Preset{}
	}
	const config = `"${XDG_CONFIG_HOME:-$HOME/.config}"/pnpm/`
	words := []string{config + "rc", config + "auth.ini"}
	if npmErr != nil {
		words = append(words, `"$HOME/.npmrc"`)
	}
	files, err := readConfig(ctx, run, words...)
	if err != nil {
		return Preset{}, err
	}
	registry, scopes := "", map[string]string{}
	for key, u := range parseNPMRC(p.Files[npmrcPath]) {
		scopes[strings.TrimSuffix(key, ":registry")] = u
	}
	for _, f := range files {
		rc := parseNPMRC(f.data)
		for _, key := range slices.Sorted(maps.Keys(rc)) {
			scope, scoped := strings.CutSuffix(key, ":registry")
			if key != "registry" && (!scoped || !strings.HasPrefix(scope, "@")) {
				continue
			}
			clean, err := p.add(npmSource(rc[key], f.path+" "+key, nil))
			switch {
			case err != nil:
				p.note("%v; left out", err)
			case scoped:
				scopes[scope] = clean
			default:
				registry = clean
			}
		}
	}
	if registry == "" && npmErr != nil {
		out, err := run(ctx, []string{"pnpm", "config", "get", "registry"})
		if err != nil {
			return Preset{}, fmt.Errorf("neither npm nor pnpm names a registry: %w", errors.Join(npmErr, err))
		}
		if registry, err = p.add(npmSource(string(out), "pnpm config get registry", nil)); err != nil {
			return Preset{}, err
		}
	}
	if registry != "" {
		p.npmSettings(registry)
	}
	for _, f := range files {
		p.npmCredentials(f)
	}
	p.file(npmrcPath, npmrcOf(scopes))
	return p, nil
}
