// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// Where the Ruby tools of a job find their settings: GEMRC and BUNDLE_USER_CONFIG
// name them (guides.rubygems.org/command-reference, bundler.io/man/bundle-config.1.html).
const (
	gemrcPath  = "/etc/zviz/gemrc"
	bundlePath = "/etc/zviz/bundle"
)

// rubyGems is what gem and bundler are built with (guides.rubygems.org); bundler asks
// the host "index." of it for the list of versions (Bundler::Fetcher::Base#fetch_uri).
const (
	rubyGems      = "https://rubygems.org"
	rubyGemsIndex = "https://index.rubygems.org"
)

// gemForms are the paths of the compact index, the older indexes and the gems
// (guides.rubygems.org/rubygems-org-compact-index-api).
func gemForms() []string {
	return []string{"/versions", "/names", "/info/*", "/gems/*.gem", "/quick/Marshal.4.8/*", "/specs.4.8*", "/latest_specs.4.8*", "/prerelease_specs.4.8*", "/"}
}

// discoverRubyGems reads the sources of gem and the configuration of bundler.
func discoverRubyGems(ctx context.Context, run Runner) (Preset, error) {
	gemrcs, err := readConfig(ctx, run, `"$HOME/.gemrc"`, `"${XDG_CONFIG_HOME:-$HOME/.config}/gem/gemrc"`, "/etc/gemrc")
	if err != nil {
		return Preset{}, err
	}
	bundles, err := readConfig(ctx, run, `"${BUNDLE_USER_CONFIG:-$HOME/.bundle/config}"`)
	if err != nil {
		return Preset{}, err
	}
	var p Preset
	credentials, mirrors := map[string]*Inject{}, map[string]string{}
	for _, f := range bundles {
		b, err := parseBundle(f.data)
		if err != nil {
			return Preset{}, fmt.Errorf("%s: %w", f.path, err)
		}
		for key := range b.credentials {
			credentials[key] = injectConfig("bundle", key, f.path, schemeBasic)
		}
		maps.Copy(mirrors, b.mirrors)
	}
	for k, v := range readVariables(ctx, run) {
		if of, ok := bundleMirror(k); ok {
			mirrors[of] = v
		}
	}
	sources, err := p.gemSources(gemrcs, credentials)
	if err != nil {
		return Preset{}, err
	}
	if len(sources) == 0 {
		sources = []string{rubyGems + "/"}
		if mirrors["all"] == "" && mirrors[rubyGems] == "" {
			for _, u := range []string{rubyGems, rubyGemsIndex} {
				if _, err := p.add(source{url: u, origin: "RubyGems' default", forms: gemForms(), redirects: true}); err != nil {
					return Preset{}, err
				}
			}
		}
	}
	config := map[string]string{}
	for _, of := range slices.Sorted(maps.Keys(mirrors)) {
		clean, err := p.add(source{url: mirrors[of], origin: "bundle config mirror." + of, forms: gemForms(), inject: credentials[bundleHostKey(mirrors[of])], redirects: true})
		if err != nil {
			p.note("%v; left out", err)
			continue
		}
		config[bundleMirrorKey(of)] = clean
	}
	for key, in := range credentials { // a source that only a Gemfile names
		if u := "https://" + bundleHost(key) + "/"; bundleHost(key) != "" {
			if _, to, err := parseSource(u, "bundle config"); err == nil && !p.opens(to) {
				if _, err := p.add(source{url: u, origin: "bundle config " + bundleHost(key), forms: slices.Concat(gemForms(), []string{"/**/info/*", "/**.gem", "/**/versions", "/**/*specs.4.8*", "/**/quick/Marshal.4.8/*"}), inject: in, redirects: true}); err != nil {
					p.note("%v; left out", err)
				}
			}
		}
	}
	gemrc, err := yaml.Marshal(map[string][]string{":sources": sources})
	if err != nil {
		return Preset{}, err
	}
	bundle, err := yaml.Marshal(config)
	if err != nil {
		return Preset{}, err
	}
	p.file(gemrcPath, gemrc)
	p.file(bundlePath, bundle)
	p.setenv("GEMRC", gemrcPath)
	p.setenv("BUNDLE_USER_CONFIG", bundlePath)
	return p, nil
}

// gemSources opens the sources of gemrc files; the first file that names some counts.
func (p *Preset) gemSources(files []configFile, credentials map[string]*Inject) (clean []string, err error) {
	for _, f := range files {
		sources, err := parseGemRC(f.data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.path, err)
		}
		for _, raw := range sources {
			in := credentials[bundleHostKey(raw)]
			if u, err := url.Parse(raw); err == nil && u.User != nil {
				in = injectConfig("gemrc", redactURL(raw), f.path, schemeBasic)
			}
			u, err := p.add(source{url: raw, origin: f.path, forms: gemForms(), inject: in, redirects: true})
			if err != nil {
				p.note("%v; left out", err)
				continue
			}
			clean = append(clean, u)
		}
		if len(clean) > 0 {
			return clean, nil
		}
	}
	return nil, nil
}

// parseGemRC returns the sources of a gemrc, whose keys are symbols of Ruby.
func parseGemRC(data []byte) ([]string, error) {
	var rc struct {
		Symbol []string `yaml:":sources"`
		Plain  []string `yaml:"sources"`
	}
	if err := yaml.Unmarshal(data, &rc); err != nil {
		return nil, errors.New("is no YAML that gem would read")
	}
	return slices.Concat(rc.Symbol, rc.Plain), nil
}

func gemrcCredential(key string, data []byte) (string, error) {
	sources, err := parseGemRC(data)
	if err != nil {
		return "", err
	}
	for _, raw := range sources {
		if u, err := url.Parse(raw); err == nil && u.User != nil && redactURL(raw) == key {
			return userPassword(u.User), nil
		}
	}
	return "", errNoCredential
}

// bundleConfig is the part of bundler's configuration that is about sources.
type bundleConfig struct {
	mirrors     map[string]string // "all", or a URL without a slash at its end → URL
	credentials map[string]string // key of the file → user:password
}

func parseBundle(data []byte) (bundleConfig, error) {
	var raw map[string]any
	if err := yaml.Unmarshal(data, &raw); err != nil {
		return bundleConfig{}, errors.New("is no YAML that bundler would read")
	}
	b := bundleConfig{map[string]string{}, map[string]string{}}
	for key, v := range raw {
		value, ok := v.(string)
		if !ok || value == "" {
			continue
		}
		if of, ok := bundleMirror(key); ok {
			b.mirrors[of] = value
		} else if bundleHost(key) != "" {
			b.credentials[key] = value
		}
	}
	return b, nil
}

// bundleMirror reads BUNDLE_MIRROR__ALL and BUNDLE_MIRROR__HTTPS://RUBYGEMS__ORG/.
func bundleMirror(key string) (of string, ok bool) {
	of, ok = strings.CutPrefix(key, "BUNDLE_MIRROR__")
	if !ok || strings.HasSuffix(of, "__FALLBACK_TIMEOUT") || strings.HasSuffix(of, ".FALLBACK_TIMEOUT/") {
		return "", false
	}
	return strings.TrimRight(strings.ToLower(bundleName(of)), "/"), true
}

func bundleMirrorKey(of string) string {
	if of == "all" {
		return "BUNDLE_MIRROR__ALL"
	}
	return "BUNDLE_MIRROR__" + strings.ToUpper(strings.NewReplacer("-", "___", ".", "__").Replace(of)) + "/"
}

// bundleName undoes how bundler writes names: three underscores are a hyphen, two a
// dot.
func bundleName(s string) string {
	return strings.NewReplacer("___", "-", "__", ".").Replace(s)
}

// bundleHost returns the host that a key of credentials is for: BUNDLE_GEMS__CORP__TEST.
func bundleHost(key string) string {
	name, ok := strings.CutPrefix(key, "BUNDLE_")
	if !ok || !strings.Contains(name, "__") || strings.HasPrefix(name, "BUILD__") || strings.HasPrefix(name, "LOCAL__") {
		return ""
	}
	host := strings.ToLower(bundleName(name))
	if _, rest, ok := strings.Cut(host, "://"); ok {
		host = rest
	}
	host, _, _ = strings.Cut(host, "/")
	if _, err := parseAuthority(host, 443); err != nil {
		return ""
	}
	return host
}

// bundleHostKey is the key of a URL's credentials.
func bundleHostKey(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return "BUNDLE_" + strings.ToUpper(strings.NewReplacer("-", "___", ".", "__").Replace(u.Host))
}

func bundleCredential(key string, data []byte) (string, error) {
	b, err := parseBundle(data)
	if err != nil {
		return "", err
	}
	value := b.credentials[key]
	if value == "" {
		return "", errNoCredential
	}
	if !strings.Contains(value, ":") {
		value += ":"
	}
	return value, nil
}
