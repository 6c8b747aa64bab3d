// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
)

// npmrcPath is a global npmrc of ours. Scopes cannot come by environment: shells
// drop variables with '@' in their name.
const npmrcPath = "/etc/zviz/npmrc"

// npmForms are the paths of a registry that installing asks for
// (github.com/npm/registry, docs/REGISTRY-API.md and docs/responses): a package, a
// version of it, an archive, the keys of signatures. Search, users and tokens are
// not among them.
func npmForms() []string {
	return []string{
		"/*", "/@*%2F*", "/*/*", "/@*%2F*/*", "/**.tgz",
		"/download/@*/*/*/*", // archives of GitHub Packages
		"/-/npm/v1/keys", "/-/npm/v1/attestations/*", "/-/npm/v1/attestations/@*/*", "/-/npm/v1/attestations/@*%2F*",
	}
}

// npmServices are no packages, though their paths look like a version of one: who is
// logged in, and the list of everything.
func npmServices() []string { return []string{"/-/*"} }

// npmArchives are kept elsewhere on the host by some registries (GitLab).
func npmArchives() []string { return []string{"/**.tgz"} }

func npmSource(raw, origin string, in *Inject) source {
	return source{ecosystem: "npm", url: raw, origin: origin, forms: npmForms(), except: npmServices(), wide: npmArchives(), inject: in}
}

// discoverNPM asks npm for its registries. Archives come from the same host; a
// registry that keeps them elsewhere needs --allow of that host.
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
	registry, err := p.add(npmSource(text(config, "registry"), "npm config registry", nil))
	if err != nil {
		return Preset{}, err
	}
	p.npmSettings(registry)
	scopes := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(config)) {
		scope, ok := strings.CutSuffix(key, ":registry")
		if !ok || !strings.HasPrefix(scope, "@") {
			continue
		}
		u, err := p.add(npmSource(text(config, key), "npm config "+key, nil))
		if err != nil {
			p.note("%v; left out", err)
			continue
		}
		scopes[scope] = u
	}
	p.file(npmrcPath, npmrcOf(scopes))
	if v := text(config, "replace-registry-host"); v != "" {
		p.setenv("npm_config_replace_registry_host", v)
	}
	if text(config, "proxy") != "" || text(config, "https-proxy") != "" {
		p.note("npm is configured for a proxy; the runner reaches it by egress.upstream.proxy")
	}
	// npm never prints a credential, so its files are read.
	var words []string
	for _, key := range []string{"userconfig", "globalconfig"} {
		if f := text(config, key); path.IsAbs(f) {
			words = append(words, shellWord(f))
		}
	}
	if len(words) > 0 {
		files, err := readConfig(ctx, run, words...)
		if err != nil {
			p.note("npm's credentials: %v; left out", err)
		}
		for _, f := range files {
			p.npmCredentials(f)
		}
	}
	p.nodeHeaders(ctx, run)
	return p, nil
}

// npmSettings make the tools of a job ask the registry.
func (p *Preset) npmSettings(registry string) {
	for key, value := range map[string]string{
		"npm_config_registry":        registry,
		"pnpm_config_registry":       registry,
		"pnpm_config_cafile":         CABundlePath,
		"YARN_REGISTRY":              registry,
		"YARN_NPM_REGISTRY_SERVER":   strings.TrimRight(registry, "/"),
		"YARN_HTTPS_CA_FILE_PATH":    CABundlePath,
		"COREPACK_NPM_REGISTRY":      strings.TrimRight(registry, "/"),
		"npm_config_audit":           "false", // a POST, which is refused; npm goes on without it
		"npm_config_fund":            "false",
		"npm_config_update_notifier": "false",
		"npm_config_globalconfig":    npmrcPath,
		"YARN_ENABLE_TELEMETRY":      "0",
	} {
		p.setenv(key, value)
	}
	p.note("npm's audit and fund requests are switched off: they write to the registry")
}

// npmrcOf says where scopes are.
func npmrcOf(scopes map[string]string) []byte {
	var b strings.Builder
	for _, scope := range slices.Sorted(maps.Keys(scopes)) {
		fmt.Fprintf(&b, "%s:registry=%s\n", scope, scopes[scope])
	}
	return []byte(b.String())
}

// npmCredentials has the gateway put in the credentials of an npmrc, each below the
// path that it is for, at registries that the preset leads to. The first one of a path
// counts, so those of longer ones come first, and tokens.
func (p *Preset) npmCredentials(f configFile) {
	rc := parseNPMRC(f.data)
	if rc["_authToken"] != "" || rc["_auth"] != "" {
		p.note("%s: a credential that names no registry is not used, as with npm 9", f.path)
	}
	first := func(a, b string) int {
		prefixA, kindA := npmCredentialKey(a)
		prefixB, kindB := npmCredentialKey(b)
		rank := func(kind string) int { return slices.Index([]string{"_authToken", "_auth", "_password"}, kind) }
		return cmp.Or(cmp.Compare(len(prefixB), len(prefixA)), cmp.Compare(rank(kindA), rank(kindB)), cmp.Compare(a, b))
	}
	for _, key := range slices.SortedFunc(maps.Keys(rc), first) {
		prefix, kind := npmCredentialKey(key)
		scheme := schemeBasic
		switch kind {
		case "_authToken":
			scheme = schemeBearer
		case "_auth":
		case "_password":
			if rc[prefix+":username"] == "" {
				continue
			}
		default:
			continue
		}
		if rc[key] == "" {
			continue
		}
		in := injectConfig("npmrc", key, f.path, scheme)
		p.credentialBelow(prefix, f.path, in)
		p.credentialOfDeeper(prefix, f.path, in)
	}
}

// credentialOfDeeper has a credential put in at the registries that lie below its path:
// npm looks for one from a registry's own path upwards (npm-registry-fetch, lib/auth.js).
func (p *Preset) credentialOfDeeper(prefix, origin string, in *Inject) {
	above, host, err := parseSource("https:"+prefix, origin)
	if err != nil {
		return // which credentialBelow has said
	}
	for _, r := range slices.Clone(p.Registries) {
		u, to, err := parseSource(r.Base, origin)
		path := func(u *url.URL) string { return strings.TrimRight(u.EscapedPath(), "/") + "/" }
		if err != nil || u.Scheme != "https" || to != host || path(u) == path(above) || !strings.HasPrefix(path(u), path(above)) {
			continue
		}
		if _, err := p.add(source{url: r.Base, origin: origin, forms: npmForms(), except: npmServices(), inject: in}); err != nil {
			p.note("%v; its credential is left out", err)
		}
	}
}

// credentialBelow opens "//host/path/" with a credential, if the preset leads there.
func (p *Preset) credentialBelow(prefix, origin string, in *Inject) {
	for _, scheme := range []string{"https:", "http:"} {
		u, to, err := parseSource(scheme+prefix, origin)
		if err != nil {
			p.note("%v; its credential is left out", err)
			return
		}
		if p.opens(to) {
			if slices.Contains(p.plain, to) {
				u.Scheme = "http"
			}
			if _, err := p.add(source{url: u.String(), origin: origin, forms: npmForms(), except: npmServices(), inject: in}); err != nil {
				p.note("%v; its credential is left out", err)
			}
			return
		}
	}
}

// npmCredentialKey splits "//host/path/:_authToken".
func npmCredentialKey(key string) (prefix, kind string) {
	i := strings.LastIndexByte(key, ':')
	if i < 0 || !strings.HasPrefix(key, "//") {
		return "", ""
	}
	return key[:i], key[i+1:]
}

// parseNPMRC reads the last value of each key (npm help npmrc). Sections do
// not count.
func parseNPMRC(data []byte) map[string]string {
	rc := map[string]string{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == ';' || line[0] == '#' || line[0] == '[' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		rc[unquoteINI(strings.TrimSpace(key))] = unquoteINI(strings.TrimSpace(value))
	}
	return rc
}

// unquoteINI takes the quotes off.
func unquoteINI(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

// npmrcCredential returns a token, or user:password.
func npmrcCredential(key string, data []byte) (string, error) {
	rc := parseNPMRC(data)
	prefix, kind := npmCredentialKey(key)
	value := rc[key]
	if value == "" {
		return "", errNoCredential
	}
	switch kind {
	case "_authToken":
		return value, nil
	case "_auth":
		if strings.HasPrefix(value, "${") {
			return "", errors.New("_auth in a variable cannot be read; use _authToken, or username and _password")
		}
		plain, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return "", errors.New("_auth is not base64")
		}
		return string(plain), nil
	case "_password":
		plain, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return "", errors.New("_password is not base64")
		}
		return rc[prefix+":username"] + ":" + string(plain), nil
	default:
		return "", errNoCredential
	}
}

// nodeHeaders opens the headers that node-gyp builds with: those of this very
// version, at the address that node itself names.
func (p *Preset) nodeHeaders(ctx context.Context, run Runner) {
	out, err := run(ctx, []string{"node", "-p", `process.release.headersUrl || ""`})
	if err != nil {
		return // npm without node builds nothing
	}
	raw := strings.TrimSpace(string(out))
	if raw == "" {
		return
	}
	u, err := url.Parse(raw)
	if err != nil || !strings.HasSuffix(u.Path, ".tar.gz") {
		p.note("node names no archive of headers: node-gyp needs npm_config_nodedir")
		return
	}
	file := path.Base(u.Path)
	u.Path = path.Dir(u.Path)
	if _, err := p.add(source{url: u.String(), origin: "node process.release.headersUrl", forms: []string{"/" + file, "/SHASUMS256.txt"}, redirects: true}); err != nil {
		p.note("%v; left out", err)
	}
}

// text is a value of npm's configuration if it is a text.
func text(config map[string]any, key string) string {
	s, _ := config[key].(string)
	return s
}
