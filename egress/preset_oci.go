// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// registriesPath is where podman, skopeo and buildah look for mirrors and short names
// (containers-registries.conf(5)).
const registriesPath = "/etc/containers/registries.conf"

// dockerHub is the host that a reference without a host means
// (github.com/distribution/reference, normalize.go, and the engine's registry/config.go).
const dockerHub = "https://registry-1.docker.io"

// ociForms are what pulling asks for (github.com/opencontainers/distribution-spec,
// end-1 to end-3, end-8, end-12).
func ociForms() []string {
	return []string{"/v2/", "/v2", "/v2/**/manifests/*", "/v2/**/blobs/*", "/v2/**/tags/list", "/v2/**/referrers/*"}
}

// discoverOCI reads the configuration of docker and of the containers tools. Helpers
// of credentials are not run: they would act in the operator's name.
func discoverOCI(ctx context.Context, run Runner) (Preset, error) {
	files, err := readConfig(ctx, run,
		`"${REGISTRY_AUTH_FILE:-/nonexistent}"`, `"${XDG_RUNTIME_DIR:-/nonexistent}/containers/auth.json"`, `"${XDG_CONFIG_HOME:-$HOME/.config}/containers/auth.json"`,
		`"${DOCKER_CONFIG:-$HOME/.docker}/config.json"`)
	if err != nil {
		return Preset{}, err
	}
	var p Preset
	credentials := map[string]*Inject{} // host, and a path of it
	for _, f := range files {
		c, err := parseDocker(f.data)
		if err != nil {
			return Preset{}, fmt.Errorf("%s: %w", f.path, err)
		}
		if c.Store != "" || len(c.Helpers) > 0 {
			p.note("%s: helpers of credentials are not run; a registry that needs one is asked without, or with inject of a policy file", f.path)
		}
		for key := range c.Auths {
			place := dockerPlace(key)
			if _, err := c.credential(key); err == nil && credentials[place] == nil {
				credentials[place] = injectConfig("docker", key, f.path, schemeBasic)
			}
		}
	}
	if err := p.ociMirrors(ctx, run); err != nil {
		return Preset{}, err
	}
	for _, place := range slices.Sorted(maps.Keys(credentials)) {
		host, repo, _ := strings.Cut(place, "/")
		forms := ociForms()
		if repo != "" { // a credential for a part of a registry (containers-auth.json(5))
			forms = nil
			for _, tail := range []string{"/**/manifests/*", "/**/blobs/*", "/**/tags/list", "/manifests/*", "/blobs/*", "/tags/list"} {
				forms = append(forms, "/v2/"+repo+tail)
			}
		}
		if _, err := p.add(source{url: "https://" + host, origin: "registry credentials of " + host, forms: forms, inject: credentials[place], redirects: true}); err != nil {
			p.note("%v; left out", err)
		}
	}
	if _, err := p.add(source{url: dockerHub, origin: "the default registry of image references", forms: ociForms(), redirects: true}); err != nil {
		return Preset{}, err
	}
	p.note("other registries of image references are not known before: --allow oci,HOST opens one without its tokens and redirects")
	return p, nil
}

// ociMirrors opens what registries.conf and the engine's daemon.json name.
func (p *Preset) ociMirrors(ctx context.Context, run Runner) error {
	files, err := readConfig(ctx, run, `"${XDG_CONFIG_HOME:-$HOME/.config}/containers/registries.conf"`, registriesPath, "/etc/docker/daemon.json")
	if err != nil {
		return err
	}
	open := func(u, origin string) {
		if !strings.Contains(u, "://") {
			u = "https://" + u
		}
		s, _, err := parseSource(u, origin)
		if err == nil {
			s.Path = "" // a path is of the repositories there
			_, err = p.add(source{url: s.String(), origin: origin, forms: ociForms(), redirects: true})
		}
		if err != nil {
			p.note("%v; left out", err)
		}
	}
	given := false
	for _, f := range files {
		if strings.HasSuffix(f.path, ".json") {
			var daemon struct {
				Mirrors []string `json:"registry-mirrors"`
			}
			if err := json.Unmarshal(f.data, &daemon); err != nil {
				return fmt.Errorf("%s: is no JSON that docker would read", f.path)
			}
			for _, u := range daemon.Mirrors {
				open(u, f.path)
			}
			continue
		}
		if given {
			continue // the user's file stands in the place of the machine's
		}
		c, err := parseRegistries(f.data)
		if err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
		for _, host := range c.places() {
			open(host, f.path)
		}
		p.file(registriesPath, f.data)
		given = true
	}
	return nil
}

// registriesConf is the part of registries.conf that names hosts.
type registriesConf struct {
	Search     []string `toml:"unqualified-search-registries"`
	Registries []struct {
		Prefix   string `toml:"prefix"`
		Location string `toml:"location"`
		Blocked  bool   `toml:"blocked"`
		Mirrors  []struct {
			Location string `toml:"location"`
		} `toml:"mirror"`
	} `toml:"registry"`
}

func parseRegistries(data []byte) (registriesConf, error) {
	var c registriesConf
	if err := toml.Unmarshal(data, &c); err != nil {
		return registriesConf{}, errors.New("is no registries.conf that containers tools would read")
	}
	return c, nil
}

func (c registriesConf) places() []string {
	var out []string
	for _, r := range c.Registries {
		if r.Blocked {
			continue
		}
		for _, m := range r.Mirrors {
			out = append(out, m.Location)
		}
		if r.Location != "" {
			out = append(out, r.Location)
		} else if !strings.HasPrefix(r.Prefix, "*") && r.Prefix != "" {
			out = append(out, r.Prefix)
		}
	}
	for _, host := range c.Search {
		if host != "docker.io" { // which is the default, under another name
			out = append(out, host)
		}
	}
	return out
}

// dockerConfig is the part of config.json and auth.json that is about registries.
type dockerConfig struct {
	Auths   map[string]dockerAuth `json:"auths"`
	Store   string                `json:"credsStore"`
	Helpers map[string]string     `json:"credHelpers"`
}

type dockerAuth struct {
	Auth     string `json:"auth"`
	Username string `json:"username"`
	Password string `json:"password"`
	Identity string `json:"identitytoken"`
}

func parseDocker(data []byte) (dockerConfig, error) {
	var c dockerConfig
	if err := json.Unmarshal(data, &c); err != nil {
		return dockerConfig{}, errors.New("is no JSON that docker would read")
	}
	return c, nil
}

func (c dockerConfig) credential(key string) (string, error) {
	a, ok := c.Auths[key]
	switch {
	case !ok:
		return "", errNoCredential
	case a.Identity != "":
		return "", errors.New("an identity token is exchanged by docker alone")
	case a.Auth != "":
		plain, err := decodeBasic(a.Auth)
		return strings.TrimRight(plain, "\x00"), err
	case a.Username != "" && a.Password != "":
		return a.Username + ":" + a.Password, nil
	default:
		return "", errNoCredential
	}
}

func dockerCredential(key string, data []byte) (string, error) {
	c, err := parseDocker(data)
	if err != nil {
		return "", err
	}
	return c.credential(key)
}

// dockerPlace is the host, and the repositories, of a key of auths: a host, a URL, or
// what the default registry was called first.
func dockerPlace(key string) string {
	place := key
	isURL := false
	if _, rest, ok := strings.Cut(key, "://"); ok {
		place, isURL = rest, true
	}
	host, repo, _ := strings.Cut(place, "/")
	switch host {
	case "index.docker.io", "docker.io", "registry-1.docker.io":
		host = strings.TrimPrefix(dockerHub, "https://")
	default:
	}
	repo = strings.Trim(repo, "/")
	if isURL || repo == "" || repo == "v1" || repo == "v2" {
		return host
	}
	return host + "/" + repo
}
