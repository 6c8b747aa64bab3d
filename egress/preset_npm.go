// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// npmrcPath is a global npmrc of ours. Scopes cannot come by environment: shells
// drop variables with '@' in their name.
const npmrcPath = "/etc/zviz/npmrc"

// discoverNPM asks npm for its registries. Tarballs come from the same origin;
// a registry that keeps them elsewhere needs --allow of that host.
func discoverNPM(ctx context.Context, run Runner) (Preset, error) {
	out, err := run(ctx, []string{"npm", "config", "list", "--json"})
	if err != nil {
		return Preset{}, fmt.Errorf("npm config list: %w", err)
	}
	var config map[string]any
	if err := json.Unmarshal(out, &config); err != nil {
		return Preset{}, fmt.Errorf("npm config list: %w", err)
	}
	var p Preset
	registry, err := p.add("npm", text(config, "registry"), "npm config registry", false)
	if err != nil {
		return Preset{}, err
	}
	for key, value := range map[string]string{
		"npm_config_registry":        registry,
		"YARN_NPM_REGISTRY_SERVER":   registry,
		"COREPACK_NPM_REGISTRY":      strings.TrimRight(registry, "/"),
		"npm_config_audit":           "false", // a POST, which is refused; npm goes on without it
		"npm_config_fund":            "false",
		"npm_config_update_notifier": "false",
		"npm_config_globalconfig":    npmrcPath,
		"YARN_ENABLE_TELEMETRY":      "0",
	} {
		if value != "" {
			p.setenv(key, value)
		}
	}
	p.note("npm's audit and fund requests are switched off: they write to the registry")
	var npmrc strings.Builder
	for _, key := range slices.Sorted(maps.Keys(config)) {
		scope, ok := strings.CutSuffix(key, ":registry")
		if !ok || !strings.HasPrefix(scope, "@") {
			continue
		}
		u, err := p.add("npm", text(config, key), "npm config "+key, false)
		if err != nil {
			p.note("%v; left out", err)
			continue
		}
		fmt.Fprintf(&npmrc, "%s=%s\n", key, u)
	}
	p.file(npmrcPath, []byte(npmrc.String()))
	if v := text(config, "replace-registry-host"); v != "" {
		p.setenv("npm_config_replace_registry_host", v)
	}
	if text(config, "proxy") != "" || text(config, "https-proxy") != "" {
		p.note("npm is configured for a proxy; the runner reaches it by egress.upstream.proxy")
	}
	return p, nil
}

// text is a value of npm's configuration if it is a text.
func text(config map[string]any, key string) string {
	s, _ := config[key].(string)
	return s
}
