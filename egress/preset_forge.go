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

// What the tools of a forge ask when nobody says where: gh (cli.github.com/manual,
// GH_HOST) and glab (gitlab.com/gitlab-org/cli, docs: GITLAB_HOST). Gitea has no such
// place.
const (
	githubHost = "github.com"
	gitlabHost = "gitlab.com"
)

// forge is how a kind of forge is read and what of it is opened: cloning and
// fetching, archives, releases and single files. Nothing that a request could leave
// there for others to read.
type forge struct {
	name  string
	paths []string            // on the forge's own host, GET and HEAD
	packs []string            // of git, POST
	more  map[string][]string // further hosts of the default one → paths
	api   func(host string) (string, []string)
}

func githubForge() forge {
	api := []string{
		"/repos/*/*", "/repos/*/*/tarball/**", "/repos/*/*/zipball/**", "/repos/*/*/tarball", "/repos/*/*/zipball", "/repos/*/*/releases/**", "/repos/*/*/releases",
		"/repos/*/*/tags", "/repos/*/*/commits/**", "/repos/*/*/git/ref/**", "/repos/*/*/git/refs/**", "/repos/*/*/git/matching-refs/**", "/repos/*/*/contents/**", "/repos/*/*/branches/**",
	}
	return forge{
		name:  "github",
		paths: []string{"/*/*/info/refs", "/*/*/archive/**", "/*/*/tarball/**", "/*/*/zipball/**", "/*/*/releases/download/**", "/*/*/releases/latest/**", "/*/*/releases/latest", "/*/*/raw/**"},
		packs: []string{"/*/*/git-upload-pack"},
		more: map[string][]string{
			"codeload.github.com":       {"/*/*/tar.gz/**", "/*/*/zip/**", "/*/*/legacy.tar.gz/**", "/*/*/legacy.zip/**"},
			"raw.githubusercontent.com": {"/*/*/**"},
		},
		api: func(host string) (string, []string) {
			if host == githubHost {
				return "api.github.com", api
			}
			var below []string
			for _, p := range api {
				below = append(below, "/api/v3"+p)
			}
			return host, below
		},
	}
}

func gitlabForge() forge {
	return forge{
		name:  "gitlab",
		paths: []string{"/**/info/refs", "/**/-/archive/**", "/**/-/releases/**", "/**/-/raw/**"},
		packs: []string{"/**/git-upload-pack"},
		api: func(host string) (string, []string) {
			return host, []string{"/api/v4/projects/*", "/api/v4/projects/*/repository/**", "/api/v4/projects/*/releases/**", "/api/v4/projects/*/releases", "/api/v4/projects/*/packages/generic/**"}
		},
	}
}

func giteaForge() forge {
	return forge{
		name:  "gitea",
		paths: []string{"/*/*/info/refs", "/*/*/archive/**", "/*/*/raw/**", "/*/*/media/**", "/*/*/releases/download/**", "/attachments/*"},
		packs: []string{"/*/*/git-upload-pack"},
		api: func(host string) (string, []string) {
			return host, []string{"/api/v1/version", "/api/v1/repos/*/*", "/api/v1/repos/*/*/archive/**", "/api/v1/repos/*/*/releases/**", "/api/v1/repos/*/*/releases", "/api/v1/repos/*/*/raw/**", "/api/v1/repos/*/*/contents/**", "/api/v1/repos/*/*/tags"}
		},
	}
}

// discoverForge opens the forges that the operator's tools know. No credential of
// theirs is used: it stands for everything that the operator may do there, and a
// preset is for reading what a job names.
func discoverForge(ctx context.Context, f forge, run Runner) (Preset, error) {
	hosts, err := f.hosts(ctx, run)
	if err != nil {
		return Preset{}, err
	}
	var p Preset
	for _, h := range hosts {
		if err := p.forge(f, h); err != nil {
			p.note("%v; left out", err)
		}
	}
	if len(p.Rules) == 0 {
		return Preset{}, errors.New("no forge is configured: log in with tea, set GITEA_SERVER_URL, or name the host with --allow")
	}
	p.note("the operator's own token for %s is not used: it reads everything that the operator may read; inject of a policy file names one that reads less", f.name)
	return p, nil
}

// forgeHost is a forge and who told of it.
type forgeHost struct{ host, origin string }

// hosts asks the forge's tool and git. Only git's settings that are about one of the
// forge's kind count: others do not say of which kind a host is.
func (f forge) hosts(ctx context.Context, run Runner) ([]forgeHost, error) {
	var out []forgeHost
	add := func(host, origin string) {
		if _, rest, ok := strings.Cut(host, "://"); ok {
			host, _, _ = strings.Cut(rest, "/")
		}
		if host != "" && !slices.ContainsFunc(out, func(h forgeHost) bool { return h.host == host }) {
			out = append(out, forgeHost{host, origin})
		}
	}
	variables, builtin, word := map[string][]string{
		"github": {"GH_HOST", "GITHUB_SERVER_URL"}, "gitlab": {"GITLAB_HOST", "CI_SERVER_URL"}, "gitea": {"GITEA_SERVER_URL"},
	}[f.name], map[string]string{"github": githubHost, "gitlab": gitlabHost}[f.name], map[string]string{
		"github": `"${GH_CONFIG_DIR:-${XDG_CONFIG_HOME:-$HOME/.config}/gh}/hosts.yml"`,
		"gitlab": `"${GLAB_CONFIG_DIR:-${XDG_CONFIG_HOME:-$HOME/.config}/glab-cli}/config.yml"`,
		"gitea":  `"${XDG_CONFIG_HOME:-$HOME/.config}/tea/config.yml"`,
	}[f.name]
	env := readVariables(ctx, run)
	for _, v := range variables {
		add(env[v], v+" of the environment")
	}
	files, err := readConfig(ctx, run, word)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		hosts, err := parseForge(f.name, file.data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.path, err)
		}
		for _, h := range hosts {
			add(h, file.path)
		}
	}
	add(builtin, "the default of its tool")
	return out, nil
}

// parseForge returns the hosts in the configuration of gh, glab or tea.
func parseForge(name string, data []byte) ([]string, error) {
	var out []string
	var err error
	switch name {
	case "github": // host: settings
		var c map[string]any
		err = yaml.Unmarshal(data, &c)
		out = slices.Sorted(maps.Keys(c))
	case "gitlab":
		var c struct {
			Hosts map[string]any `yaml:"hosts"`
		}
		err = yaml.Unmarshal(data, &c)
		out = slices.Sorted(maps.Keys(c.Hosts))
	default:
		var c struct {
			Logins []struct {
				URL string `yaml:"url"`
			} `yaml:"logins"`
		}
		err = yaml.Unmarshal(data, &c)
		for _, l := range c.Logins {
			u, e := url.Parse(l.URL)
			if e == nil && u.Scheme == "https" && u.Host != "" {
				out = append(out, u.Host)
			}
		}
	}
	if err != nil {
		return nil, errors.New("is no YAML that its tool would read")
	}
	return out, nil
}

// forge opens one host.
func (p *Preset) forge(f forge, h forgeHost) error {
	open := func(host string, paths []string) error {
		_, err := p.add(source{url: "https://" + host, origin: h.origin, forms: paths, redirects: true})
		return err
	}
	if err := open(h.host, f.paths); err != nil {
		return err
	}
	if host, paths := f.api(h.host); host != "" {
		if err := open(host, paths); err != nil {
			return err
		}
	}
	if h.host == githubHost {
		for _, host := range slices.Sorted(maps.Keys(f.more)) {
			if err := open(host, f.more[host]); err != nil {
				return err
			}
		}
	}
	to, err := parseAuthority(h.host, 443)
	if err != nil {
		return err
	}
	p.rule(Rule{Host: to.host, Ports: []uint16{to.port}, TLS: TLSTerminate, Methods: []string{"POST"}, Paths: f.packs, Origin: h.origin})
	return nil
}
