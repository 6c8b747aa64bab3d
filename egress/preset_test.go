// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// answers says what a tool would have said. What reads files is run.
func answers(outputs map[string]string, env ...string) Runner {
	return func(ctx context.Context, argv []string) ([]byte, error) {
		if out, ok := outputs[strings.Join(argv[:min(2, len(argv))], " ")]; ok {
			return []byte(out), nil
		}
		if argv[0] == "sh" && strings.HasPrefix(argv[2], "for f in ") || argv[0] == "env" {
			cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
			cmd.Dir, cmd.Env = "/", append([]string{"PATH=/usr/bin:/bin"}, env...)
			return cmd.Output()
		}
		return nil, errors.New("not found: " + argv[0])
	}
}

func registryRule(preset, origin, host string, port uint16, paths ...string) Rule {
	return Rule{Host: host, Ports: []uint16{port}, TLS: TLSTerminate, Methods: []string{"GET", "HEAD"}, Paths: paths, Preset: preset, Origin: origin}
}

func npmRule(origin, host string, port uint16, base string) Rule {
	r := registryRule("npm", origin, host, port, below(base, npmForms())...)
	r.Except = []string{base + "/-/*"}
	return r
}

// below writes the globs of an ecosystem below a path.
func below(base string, forms []string) []string {
	out := make([]string, 0, len(forms))
	for _, f := range forms {
		out = append(out, base+f)
	}
	return out
}

func TestDiscover(t *testing.T) {
	tests := []struct {
		name    string
		preset  string
		outputs map[string]string
		rules   []Rule
		env     map[string]string // those that the test is about; "" means absent
		files   map[string]string
		note    string
	}{
		{
			name: "npm", preset: "npm",
			outputs: map[string]string{"npm config": `{"registry":"https://user:secret@npm.corp.test/api/npm/","@acme:registry":"https://acme.test:8443","@bad:registry":"ftp://x.test","replace-registry-host":"always","audit":true,"fetch-retries":2}`},
			rules: []Rule{
				npmRule("npm config registry", "npm.corp.test", 443, "/api/npm"),
				registryRule("npm", "npm config registry", "npm.corp.test", 443, "/**.tgz"),
				npmRule("npm config @acme:registry", "acme.test", 8443, ""),
			},
			env: map[string]string{
				"npm_config_registry": "https://npm.corp.test/api/npm/", "npm_config_audit": "false", "npm_config_globalconfig": npmrcPath,
				"COREPACK_NPM_REGISTRY": "https://npm.corp.test/api/npm", "npm_config_replace_registry_host": "always",
			},
			files: map[string]string{npmrcPath: "@acme:registry=https://acme.test:8443\n"},
			note:  "credentials",
		},
		{
			name: "go", preset: "go",
			outputs: map[string]string{"go env": `{"GOPROXY":"https://proxy.corp.test/go/|https://second.test,direct","GOSUMDB":"sum.corp.test+1a2b+AAAA","GONOSUMDB":"*.corp.test","GONOPROXY":""}`},
			rules: []Rule{
				registryRule("go", "go env GOPROXY", "proxy.corp.test", 443, below("/go", goProxyForms())...),
				registryRule("go", "go env GOPROXY", "second.test", 443, goProxyForms()...),
				registryRule("go", "go env GOSUMDB", "sum.corp.test", 443, sumDBForms()...),
			},
			env: map[string]string{
				"GOPROXY": "https://proxy.corp.test/go/|https://second.test", "GOSUMDB": "sum.corp.test+1a2b+AAAA",
				"GONOSUMDB": "*.corp.test", "GONOPROXY": "none", "GOFLAGS": "",
			},
			note: "without direct",
		},
		{
			name: "go with a database elsewhere", preset: "go",
			outputs: map[string]string{"go env": `{"GOPROXY":"http://proxy.corp.test,off,https://never.test","GOSUMDB":"sum.corp.test https://u:p@mirror.test/sum"}`},
			rules: []Rule{
				registryRule("go", "go env GOPROXY", "proxy.corp.test", 80, goProxyForms()...),
				registryRule("go", "go env GOSUMDB", "mirror.test", 443, below("/sum", sumDBForms())...),
			},
			env: map[string]string{"GOPROXY": "http://proxy.corp.test", "GOSUMDB": "sum.corp.test https://mirror.test/sum"},
		},
		{
			name: "debian", preset: "debian",
			outputs: map[string]string{
				"apt-get indextargets":                  "http://deb.corp.test/debian/\nhttp://deb.corp.test/debian/\nhttps://u:p@sec.corp.test/security\nfile:/srv/debs\nmirror+http://list.corp.test/m.txt\n",
				"sh -c":                                 "/etc/apt/sources.list.d/a.sources\n/etc/apt/sources.list.d/a.disabled\n/etc/shadow\n/etc/apt/keyrings/../../shadow.gpg\n/etc/apt/keyrings/k.asc\n",
				"cat /etc/apt/sources.list.d/a.sources": "Types: deb\nURIs: https://u:p@sec.corp.test/security\n",
				"cat /etc/apt/keyrings/k.asc":           "key",
				"apt-config dump":                       "",
			},
			rules: []Rule{
				registryRule("debian", "apt sources", "deb.corp.test", 80, "/debian/**"),
				registryRule("debian", "apt sources", "sec.corp.test", 443, "/security/**"),
				registryRule("debian", "apt sources", "list.corp.test", 80, "/m.txt/**"),
			},
			files: map[string]string{
				"/etc/apt/sources.list.d/a.sources": "Types: deb\nURIs: https://sec.corp.test/security\n",
				"/etc/apt/keyrings/k.asc":           "key",
			},
			note: "list of mirrors",
		},
		{
			name: "pip", preset: "pypi",
			outputs: map[string]string{
				"pip config": ":env:.find-links='/opt/wheels'\nglobal.extra-index-url='\\nhttps://a.test/simple\\nhttps://b.test/simple'\nglobal.index-url='https://u:p@pypi.corp.test/simple'\ninstall.index-url='https://install.corp.test/simple'\n",
				"sh -c":      "\n\nname=https://uv.corp.test/simple\n\n",
			},
			rules: []Rule{
				registryRule("pypi", "pip config index-url", "install.corp.test", 443),
				registryRule("pypi", "pip config extra-index-url", "a.test", 443),
				registryRule("pypi", "pip config extra-index-url", "b.test", 443),
				registryRule("pypi", "UV_* of the environment", "uv.corp.test", 443),
			},
			env: map[string]string{
				"PIP_INDEX_URL": "https://install.corp.test/simple", "PIP_EXTRA_INDEX_URL": "https://a.test/simple https://b.test/simple",
				"UV_DEFAULT_INDEX": "https://install.corp.test/simple", "UV_EXTRA_INDEX_URL": "https://uv.corp.test/simple https://a.test/simple https://b.test/simple",
			},
			note: "find-links",
		},
		{
			name: "pip by environment", preset: "pypi",
			outputs: map[string]string{"pip config": ":env:.index-url='https://env.corp.test/simple'\ninstall.index-url='https://install.corp.test/simple'\n", "sh -c": "\n\n\n\n"},
			rules:   []Rule{registryRule("pypi", "pip config index-url", "env.corp.test", 443)},
			env:     map[string]string{"PIP_INDEX_URL": "https://env.corp.test/simple"},
		},
		{
			name: "pip as it comes", preset: "pypi",
			outputs: map[string]string{"pip config": "", "sh -c": "\n\n\n\n", "python3 -c": "https://index.test/simple files.index.test\n"},
			rules:   []Rule{registryRule("pypi", "pip's default", "index.test", 443), registryRule("pypi", "pip's default", "files.index.test", 443)},
			env:     map[string]string{"PIP_INDEX_URL": "https://index.test/simple", "UV_DEFAULT_INDEX": "https://index.test/simple"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Discover(t.Context(), tt.preset, answers(tt.outputs))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.rules, p.Rules); diff != "" {
				t.Errorf("rules (-want +got):\n%s", diff)
			}
			for key, want := range tt.env {
				if diff := cmp.Diff(want, p.Env[key]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", key, diff)
				}
			}
			files := map[string]string{}
			for name, b := range p.Files {
				files[name] = string(b)
			}
			if tt.files == nil {
				tt.files = map[string]string{}
			}
			if diff := cmp.Diff(tt.files, files); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if !strings.Contains(strings.Join(p.Notes, "\n"), tt.note) {
				t.Errorf("notes %q, want %q in them", p.Notes, tt.note)
			}
			for key, value := range p.Env {
				if strings.Contains(value, "secret") || strings.Contains(value, "u:p") {
					t.Errorf("%s holds credentials", key)
				}
			}
			if _, _, err := newGateway(Config{Presets: []Preset{p}}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDiscoverErrors(t *testing.T) {
	tests := []struct {
		name    string
		preset  string
		outputs map[string]string
		say     string
	}{
		{"unknown", "apples", nil, "unknown"},
		{"no tool", "npm", nil, "not found: npm"},
		{"no JSON", "npm", map[string]string{"npm config": "oops"}, "npm config list"},
		{"no registry", "npm", map[string]string{"npm config": "{}"}, "no URL"},
		{"no proxy", "go", map[string]string{"go env": `{"GOPROXY":"direct"}`}, "names no module proxy"},
		{"no source", "debian", map[string]string{"apt-get indextargets": "file:/x\n"}, "no source"},
		{"address", "npm", map[string]string{"npm config": `{"registry":"https://198.51.100.7/"}`}, "address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Discover(t.Context(), tt.preset, answers(tt.outputs))
			if err == nil || !strings.Contains(err.Error(), tt.say) {
				t.Errorf("error %v, want %q in it", err, tt.say)
			}
		})
	}
}

func TestPresetOf(t *testing.T) {
	tests := []struct{ name, argv0, want string }{
		{"npm", "npm", "npm"},
		{"path", "/usr/local/bin/npx", "npm"},
		{"yarn", "yarn", "yarn"},
		{"pnpm", "/opt/bin/pnpm", "pnpm"},
		{"corepack", "corepack", "npm"},
		{"cargo", "cargo", "cargo"},
		{"maven", "mvn", "maven"},
		{"maven's wrapper", "./mvnw", "maven"},
		{"gradle's wrapper", "./gradlew", "gradle"},
		{"gem", "gem", "rubygems"},
		{"bundler", "bundle", "rubygems"},
		{"dotnet", "dotnet", "nuget"},
		{"docker", "docker", "oci"},
		{"skopeo", "skopeo", "oci"},
		{"crane", "crane", "oci"},
		{"gh", "gh", "github"},
		{"glab", "glab", "gitlab"},
		{"tea", "tea", "gitea"},
		{"rustc", "rustc", ""},
		{"java", "java", ""},
		{"go", "go", "go"},
		{"pip", "pip3.11", "pypi"},
		{"not pip", "pip3.x", ""},
		{"uv", "uv", "pypi"},
		{"apt", "apt-get", "debian"},
		{"shell", "sh", ""},
		{"make", "make", ""},
		{"git", "git", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := PresetOf(tt.argv0)
			if diff := cmp.Diff(tt.want, got); diff != "" || ok != (tt.want != "") {
				t.Errorf("preset (-want +got):\n%s", diff)
			}
		})
	}
}
