// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/zviz/run/egress"
)

// toolConfig lists the operator's configuration that tools read, by preset.
func (x *Executor) toolConfig(preset string) []string {
	home := func(names ...string) (out []string) {
		for _, name := range names {
			out = append(out, filepath.Join(x.cfg.Home, name))
		}
		return out
	}
	// A variable may lead to another place; nothing but the named parts of it is shown.
	dir := func(variable, usual string, names ...string) (out []string) {
		at := x.environ(variable)
		if !filepath.IsAbs(at) {
			at = filepath.Join(x.cfg.Home, usual)
		}
		for _, name := range names {
			out = append(out, filepath.Join(at, name))
		}
		return out
	}
	file := func(variable string) []string {
		if at := x.environ(variable); filepath.IsAbs(at) {
			return []string{filepath.Clean(at)}
		}
		return nil
	}
	config := func(names ...string) []string { return dir("XDG_CONFIG_HOME", ".config", names...) }
	npm := slices.Concat(home(".npmrc"), []string{"/etc/npmrc", "/usr/etc/npmrc", "/usr/local/etc/npmrc"}, file("npm_config_userconfig"), file("NPM_CONFIG_USERCONFIG"), file("npm_config_globalconfig"))
	switch preset {
	case "npm":
		return npm
	case "yarn":
		return slices.Concat(npm, home(".yarnrc", ".yarnrc.yml"))
	case "pnpm":
		return slices.Concat(npm, config("pnpm/rc", "pnpm/auth.ini"))
	case "go":
		return config("go/env")
	case "pypi":
		return slices.Concat([]string{"/etc/pip.conf", "/etc/xdg/pip/pip.conf"}, config("pip/pip.conf"), home(".pip/pip.conf"), config("uv/uv.toml"), []string{"/etc/uv/uv.toml"})
	case "debian":
		return []string{"/etc/apt"}
	case "cargo":
		return dir("CARGO_HOME", ".cargo", "config.toml", "config", "credentials.toml", "credentials")
	case "maven":
		return slices.Concat(home(".m2/settings.xml"), dir("MAVEN_HOME", "/nonexistent", "conf/settings.xml"))
	case "gradle":
		return dir("GRADLE_USER_HOME", ".gradle", "init.gradle", "init.gradle.kts", "init.d")
	case "rubygems":
		return slices.Concat(home(".gemrc", ".bundle/config"), config("gem/gemrc"), []string{"/etc/gemrc"}, file("BUNDLE_USER_CONFIG"))
	case "nuget":
		return slices.Concat(home(".nuget/NuGet/NuGet.Config", ".nuget/config", ".config/NuGet/NuGet.Config"), []string{"/etc/opt/NuGet/Config"})
	case "oci":
		return slices.Concat(dir("DOCKER_CONFIG", ".docker", "config.json"), config("containers/auth.json", "containers/registries.conf"), file("REGISTRY_AUTH_FILE"),
			dir("XDG_RUNTIME_DIR", "/nonexistent", "containers/auth.json"), []string{"/etc/containers/registries.conf", "/etc/docker/daemon.json"})
	case "github":
		if x.environ("GH_CONFIG_DIR") != "" {
			return dir("GH_CONFIG_DIR", "", "hosts.yml")
		}
		return config("gh/hosts.yml")
	case "gitlab":
		if x.environ("GLAB_CONFIG_DIR") != "" {
			return dir("GLAB_CONFIG_DIR", "", "config.yml")
		}
		return config("glab-cli/config.yml")
	case "gitea":
		return config("tea/config.yml")
	default:
		return nil
	}
}

// askedTools are the programs that a preset's answer depends on.
func askedTools(preset string) []string {
	switch preset {
	case "npm":
		return []string{"npm", "node"}
	case "yarn":
		return []string{"npm", "node", "yarn"}
	case "pnpm":
		return []string{"npm", "node", "pnpm"}
	case "go":
		return []string{"go"}
	case "pypi":
		return []string{"pip", "pip3", "python3"}
	case "debian":
		return []string{"apt-get"}
	default:
		return nil // those read files only
	}
}

// toolEnv picks the variables by which an operator configures package tools. They
// stay in the sandbox that asks, where those that name a credential have no value; a
// job never gets any of them.
func (x *Executor) toolEnv() []string {
	var out []string
	for _, kv := range x.cfg.Environ {
		name, value, _ := strings.Cut(kv, "=")
		lower := strings.ToLower(name)
		// The mirrors of bundler have a URL as part of their name.
		known := slices.ContainsFunc([]string{"npm_config_", "pnpm_config_", "yarn_", "pip_", "uv_", "cargo_", "bundle_mirror__"}, func(p string) bool { return strings.HasPrefix(lower, p) }) ||
			slices.Contains([]string{
				"GOPROXY", "GOSUMDB", "GONOSUMDB", "GONOPROXY", "GOPRIVATE", "GONOSUMCHECK", "GOFLAGS", "GOENV", "GOVCS", "GOTOOLCHAIN", "GOINSECURE",
				"XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "MAVEN_HOME", "GRADLE_USER_HOME", "BUNDLE_USER_CONFIG", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE",
				"GH_CONFIG_DIR", "GLAB_CONFIG_DIR", "GH_HOST", "GITHUB_SERVER_URL", "GITLAB_HOST", "CI_SERVER_URL", "GITEA_SERVER_URL",
			}, name)
		switch {
		case !known || value == "":
		case secretName(lower):
			out = append(out, name+"="+egress.Placeholder)
		default:
			out = append(out, kv)
		}
	}
	slices.Sort(out)
	return out
}

// secretName reports whether a variable may hold a credential. Files of credentials
// are named by a path.
func secretName(lower string) bool {
	return lower != "registry_auth_file" && (strings.Contains(lower, "token") || strings.Contains(lower, "auth") || strings.Contains(lower, "pass"))
}
