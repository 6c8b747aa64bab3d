// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

const (
	yarnrcPath = "/.yarnrc.yml" // yarn 2 and later read it in every folder above the job's
	// yarn 1 knows no global npmrc but one beside its Node, so a user's is set in the
	// place of the job's; not the file that npm has, which reads none twice.
	yarnClassic    = "/etc/zviz/yarn.npmrc"
	yarnBuiltinAsk = `cd / && exec env -i PATH="$PATH" HOME=/nonexistent yarn config get registry`
)

// discoverYarn takes the registries of npm, which yarn 1 reads too, and adds what
// is said in the files of both kinds of yarn.
func discoverYarn(ctx context.Context, run Runner) (Preset, error) {
	p, npmErr := discoverNPM(ctx, run)
	if npmErr != nil {
		p = Preset{}
	}
	files, err := readConfig(ctx, run, `"$HOME/.yarnrc"`, `"$HOME/.yarnrc.yml"`)
	if err != nil {
		return Preset{}, err
	}
	registry, scopes := "", map[string]string{}
	var berry []yarnRegistry
	for _, f := range files {
		if strings.HasSuffix(f.path, ".yml") {
			rc, err := parseYarnRC(f.data)
			if err != nil {
				return Preset{}, fmt.Errorf("%s: %w", f.path, err)
			}
			found, clean := p.yarnRegistries(f.path, rc)
			berry = append(berry, found...)
			if clean != "" {
				registry = clean
			}
			continue
		}
		for key, u := range parseYarnClassic(f.data) {
			scope, scoped := strings.CutSuffix(key, ":registry")
			if key != "registry" && !scoped {
				continue
			}
			clean, err := p.add(npmSource(u, f.path+" "+key, nil))
			switch {
			case err != nil:
				p.note("%v; left out", err)
			case scoped:
				scopes[scope] = clean
			case registry == "":
				registry = clean
			}
		}
	}
	if registry == "" && npmErr != nil {
		out, err := run(ctx, []string{"yarn", "config", "get", "registry"})
		if err != nil {
			return Preset{}, fmt.Errorf("neither npm nor yarn names a registry: %w", errors.Join(npmErr, err))
		}
		if registry, err = p.add(npmSource(string(out), "yarn config get registry", nil)); err != nil {
			return Preset{}, err
		}
	}
	if registry != "" {
		p.npmSettings(registry)
	}
	// yarn 1 writes its built-in registry into lockfiles, so it asks there whatever
	// is configured.
	if out, err := run(ctx, []string{"sh", "-c", yarnBuiltinAsk}); err == nil && strings.HasPrefix(strings.TrimSpace(string(out)), "https://") {
		if _, err := p.add(npmSource(string(out), "yarn's built-in registry", nil)); err != nil {
			p.note("%v; left out", err)
		}
	} else {
		p.note("yarn is not installed here, so its built-in registry is not known: a lockfile of yarn 1 that names it needs --allow of that host")
	}
	p.yarnFiles(scopes, berry)
	return p, nil
}

// yarnRegistry is a scope of yarn 2, or its default registry with an empty scope.
type yarnRegistry struct{ scope, url string }

// yarnFiles hands in what scopes are where.
func (p *Preset) yarnFiles(scopes map[string]string, berry []yarnRegistry) {
	for key, u := range parseNPMRC(p.Files[npmrcPath]) {
		scope, _ := strings.CutSuffix(key, ":registry")
		berry = append(berry, yarnRegistry{scope, u})
		if scopes[scope] == "" {
			scopes[scope] = u
		}
	}
	p.file(npmrcPath, npmrcOf(scopes))
	if len(scopes) > 0 {
		p.file(yarnClassic, npmrcOf(scopes))
		p.setenv("npm_config_userconfig", yarnClassic)
	}
	at := map[string]string{}
	for _, r := range slices.Backward(berry) { // yarn's own file is first
		at[strings.TrimPrefix(r.scope, "@")] = strings.TrimRight(r.url, "/")
	}
	var b strings.Builder
	b.WriteString("enableTelemetry: false\n")
	if len(at) > 0 {
		b.WriteString("npmScopes:\n")
	}
	for _, scope := range slices.Sorted(maps.Keys(at)) {
		fmt.Fprintf(&b, "  %q:\n    npmRegistryServer: %q\n", scope, at[scope])
	}
	p.file(yarnrcPath, []byte(b.String()))
}

// yarnRegistries opens what a .yarnrc.yml names.
func (p *Preset) yarnRegistries(file string, rc yarnRC) (scopes []yarnRegistry, registry string) {
	open := func(key, u string, a yarnAuth) string {
		clean, err := p.add(npmSource(u, file+" "+key, a.inject(key, file)))
		if err != nil {
			p.note("%v; left out", err)
		}
		return clean
	}
	if rc.Server != "" {
		registry = open("", rc.Server, rc.yarnAuth)
	}
	for _, scope := range slices.Sorted(maps.Keys(rc.Scopes)) {
		if s := rc.Scopes[scope]; s.Server != "" {
			if clean := open("npmScopes."+scope, s.Server, s.yarnAuth); clean != "" {
				scopes = append(scopes, yarnRegistry{scope, clean})
			}
		}
	}
	for _, prefix := range slices.Sorted(maps.Keys(rc.Registries)) {
		if in := rc.Registries[prefix].inject("npmRegistries."+prefix, file); in != nil {
			_, rest, ok := strings.Cut(prefix, "//")
			if !ok {
				rest = prefix
			}
			p.credentialBelow("//"+strings.TrimRight(rest, "/")+"/", file, in)
		}
	}
	return scopes, registry
}

// yarnRC is the part of .yarnrc.yml that is about registries
// (yarnpkg.com/configuration/yarnrc).
type yarnRC struct {
	yarnAuth `yaml:",inline"`

	Server     string               `yaml:"npmRegistryServer"`
	Scopes     map[string]yarnScope `yaml:"npmScopes"`
	Registries map[string]yarnAuth  `yaml:"npmRegistries"`
}

type yarnScope struct {
	yarnAuth `yaml:",inline"`

	Server string `yaml:"npmRegistryServer"`
}

type yarnAuth struct {
	Token string `yaml:"npmAuthToken"`
	Ident string `yaml:"npmAuthIdent"` // user:password, or its base64
}

func (a yarnAuth) inject(key, file string) *Inject {
	switch {
	case a.Token != "":
		return injectConfig("yarnrc", key, file, schemeBearer)
	case a.Ident != "":
		return injectConfig("yarnrc", key, file, schemeBasic)
	default:
		return nil
	}
}

func (a yarnAuth) credential() (string, error) {
	switch {
	case a.Token != "":
		return a.Token, nil
	case strings.Contains(a.Ident, ":"):
		return a.Ident, nil
	case a.Ident != "":
		return decodeBasic(a.Ident)
	default:
		return "", errNoCredential
	}
}

func parseYarnRC(data []byte) (yarnRC, error) {
	var rc yarnRC
	if err := yaml.Unmarshal(data, &rc); err != nil {
		return yarnRC{}, errors.New("is no YAML that yarn would read")
	}
	return rc, nil
}

func yarnrcCredential(key string, data []byte) (string, error) {
	rc, err := parseYarnRC(data)
	if err != nil {
		return "", err
	}
	if scope, ok := strings.CutPrefix(key, "npmScopes."); ok {
		return rc.Scopes[scope].credential()
	}
	if prefix, ok := strings.CutPrefix(key, "npmRegistries."); ok {
		return rc.Registries[prefix].credential()
	}
	return rc.credential()
}

// parseYarnClassic reads "key value" lines, each part with or without quotes
// (classic.yarnpkg.com/docs/yarnrc).
func parseYarnClassic(data []byte) map[string]string {
	rc := map[string]string{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		var key, value string
		if line[0] == '"' {
			end := strings.IndexByte(line[1:], '"')
			if end < 0 {
				continue
			}
			key, value = line[1:1+end], line[2+end:]
		} else {
			key, value, _ = strings.Cut(line, " ")
		}
		if value = unquoteINI(strings.TrimSpace(value)); key != "" && value != "" {
			rc[key] = value
		}
	}
	return rc
}
