// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The secrets of the configurations below: none may get into what a preset hands on.
const secret = "s3cr3t"

// b64 is the base64 of "bob:s3cr3t-b64".
const b64 = "Ym9iOnMzY3IzdC1iNjQ="

func TestDiscoverFromFiles(t *testing.T) {
	npm := map[string]string{"npm config": `{"registry":"https://npm.corp.test/repo/npm/","@corp:registry":"https://git.corp.test/api/v4/packages/npm/","userconfig":"HOME/.npmrc","globalconfig":"/nonexistent/npmrc"}`, "node -p": "https://node.test/download/v20.1.0/node-v20.1.0-headers.tar.gz\n"}
	tests := []struct {
		name    string
		preset  string
		outputs map[string]string
		home    map[string]string
		env     []string
		asks    map[string]string // "METHOD URL" → "allow", "credential" or the reason of a refusal
		values  map[string]string // host → what is put in
		files   map[string]string // inside: file → text that it holds
		jobEnv  map[string]string
		note    string
	}{
		{
			name: "npm with scopes and tokens", preset: "npm", outputs: npm,
			home: map[string]string{".npmrc": "//npm.corp.test/repo/npm/:_authToken=${NPM_TOKEN}\n//git.corp.test/api/v4/projects/7/packages/npm/:_authToken = \"s3cr3t-git\"\n//elsewhere.test/:_authToken=s3cr3t-elsewhere\n_authToken=s3cr3t-old\n"},
			asks: map[string]string{
				"GET https://npm.corp.test/repo/npm/left-pad":                                              "credential",
				"GET https://npm.corp.test/repo/npm/left-pad/-/left-pad-1.3.0.tgz":                         "credential",
				"GET https://npm.corp.test/repo/npm/@corp%2fx":                                             "credential",
				"GET https://npm.corp.test/other/repo/x.tgz":                                               "allow",
				"GET https://npm.corp.test/other/repo/x":                                                   "path",
				"GET https://npm.corp.test/repo/npm/-/v1/search":                                           "path",
				"GET https://npm.corp.test/repo/npm/-/whoami":                                              "path",
				"GET https://npm.corp.test/repo/npm/-/whoami;.tgz":                                         "path",
				"GET https://git.corp.test/api/v4/user;x.tgz":                                              "path",
				"GET https://git.corp.test/api/v4/user%3Bx.tgz":                                            "path",
				"GET https://npm.corp.test/repo/npm/-/all":                                                 "path",
				"GET https://npm.corp.test/repo/npm/-/npm/v1/keys":                                         "credential",
				"PUT https://npm.corp.test/repo/npm/left-pad":                                              "method",
				"POST https://npm.corp.test/repo/npm/-/npm/v1/security/advisories/bulk":                    "method",
				"GET https://git.corp.test/api/v4/packages/npm/@corp%2fx":                                  "allow",
				"GET https://git.corp.test/api/v4/projects/7/packages/npm/@corp/x/-/@corp/x-1.0.0.tgz":     "credential",
				"GET https://git.corp.test/api/v4/projects/7/repository/files/secret":                      "path",
				"GET https://git.corp.test/api/v4/user":                                                    "path",
				"GET https://elsewhere.test/x":                                                             "host",
				"GET https://node.test/download/v20.1.0/node-v20.1.0-headers.tar.gz":                       "allow",
				"GET https://node.test/download/v20.1.0/SHASUMS256.txt":                                    "allow",
				"GET https://node.test/download/v20.1.0/node-v20.1.0-linux-x64.tar.gz":                     "path",
				"GET https://node.test/download/v18.0.0/node-v18.0.0-headers.tar.gz":                       "path",
				"GET https://npm.corp.test/repo/npm/x/%2e%2e/%2e%2e/%2e%2e/api/v4/user/left-pad-1.3.0.tgz": "path",
			},
			values: map[string]string{"npm.corp.test": "s3cr3t-npm", "git.corp.test": "s3cr3t-git"},
			files:  map[string]string{npmrcPath: "@corp:registry=https://git.corp.test/api/v4/packages/npm/\n"},
			note:   "names no registry",
		},
		{
			name: "npm with a token of the whole host", preset: "npm",
			outputs: map[string]string{"npm config": `{"registry":"https://npm.corp.test/repo/npm/","@own:registry":"https://npm.corp.test/repo/own/","userconfig":"HOME/.npmrc"}`},
			home:    map[string]string{".npmrc": "//npm.corp.test/:_authToken=s3cr3t-npm\n//npm.corp.test/repo/own/:_authToken=s3cr3t-own\n"},
			asks: map[string]string{
				"GET https://npm.corp.test/repo/npm/left-pad":        "credential",
				"GET https://npm.corp.test/repo/npm/@corp%2fx":       "credential",
				"GET https://npm.corp.test/repo/npm/x/-/x-1.0.0.tgz": "credential",
				"GET https://npm.corp.test/repo/npm/-/whoami":        "path",
				"GET https://npm.corp.test/repo/own/@own%2fx":        "credential",
				"GET https://npm.corp.test/repo/other/left-pad":      "path",
				"PUT https://npm.corp.test/repo/npm/left-pad":        "method",
			},
		},
		{
			name: "npm on plain http", preset: "npm",
			outputs: map[string]string{"npm config": `{"registry":"http://mirror.corp.test:8081/npm/","userconfig":"HOME/.npmrc"}`},
			home:    map[string]string{".npmrc": "//mirror.corp.test:8081/npm/:_auth=" + b64 + "\n"},
			asks:    map[string]string{"GET http://mirror.corp.test:8081/npm/left-pad": "allow", "PUT http://mirror.corp.test:8081/npm/left-pad": "method"},
			note:    "http would show it",
		},
		{
			name: "npm with user and password", preset: "npm",
			outputs: map[string]string{"npm config": `{"registry":"https://npm.corp.test/","userconfig":"HOME/.npmrc"}`},
			home:    map[string]string{".npmrc": "//npm.corp.test/:username=bob\n//npm.corp.test/:_password=czNjcjN0LXB3\n"},
			asks:    map[string]string{"GET https://npm.corp.test/left-pad": "credential"},
			values:  map[string]string{"npm.corp.test": "bob:s3cr3t-pw"},
		},
		{
			name: "yarn, both kinds", preset: "yarn",
			outputs: map[string]string{"npm config": npm["npm config"], "sh -c": ""},
			asks:    map[string]string{},
			note:    "built-in registry is not known",
		},
		{
			name: "yarn with files", preset: "yarn", outputs: npm,
			home: map[string]string{
				".yarnrc":     "# comment\nregistry \"https://classic.corp.test/\"\n\"@classic:registry\" \"https://scope.corp.test\"\n",
				".yarnrc.yml": "npmRegistryServer: https://berry.corp.test/npm\nnpmAuthToken: s3cr3t-berry\nnpmScopes:\n  acme:\n    npmRegistryServer: https://acme.corp.test\n    npmAuthIdent: bob:s3cr3t-ident\nnpmRegistries:\n  //classic.corp.test:\n    npmAuthToken: ${NPM_TOKEN:-none}\n",
			},
			asks: map[string]string{
				"GET https://berry.corp.test/npm/left-pad":   "credential",
				"GET https://acme.corp.test/@acme%2fx":       "credential",
				"GET https://classic.corp.test/left-pad":     "credential",
				"GET https://scope.corp.test/@classic%2fx":   "allow",
				"GET https://npm.corp.test/repo/npm/express": "allow",
				"PUT https://berry.corp.test/npm/left-pad":   "method",
			},
			values: map[string]string{"berry.corp.test": "s3cr3t-berry", "acme.corp.test": "bob:s3cr3t-ident", "classic.corp.test": "s3cr3t-npm"},
			files: map[string]string{
				yarnClassic: "@classic:registry=https://scope.corp.test\n",
				yarnrcPath:  "  \"acme\":\n    npmRegistryServer: \"https://acme.corp.test\"\n",
			},
			jobEnv: map[string]string{"YARN_NPM_REGISTRY_SERVER": "https://berry.corp.test/npm", "YARN_HTTPS_CA_FILE_PATH": CABundlePath},
		},
		{
			name: "pnpm without npm", preset: "pnpm",
			home:   map[string]string{".npmrc": "registry=https://npm.corp.test/\n//npm.corp.test/:_authToken=s3cr3t-npmrc\n", ".config/pnpm/rc": "@acme:registry=https://acme.corp.test/\n", ".config/pnpm/auth.ini": "//acme.corp.test/:_authToken=s3cr3t-auth\n"},
			asks:   map[string]string{"GET https://npm.corp.test/left-pad": "credential", "GET https://acme.corp.test/@acme%2Fx": "credential", "GET https://acme.corp.test/-/v1/search": "path"},
			values: map[string]string{"npm.corp.test": "s3cr3t-npmrc", "acme.corp.test": "s3cr3t-auth"},
			files:  map[string]string{npmrcPath: "@acme:registry=https://acme.corp.test/\n"},
			jobEnv: map[string]string{"npm_config_registry": "https://npm.corp.test/", "pnpm_config_registry": "https://npm.corp.test/"},
		},
		{
			name: "pip with a password", preset: "pypi",
			outputs: map[string]string{"pip config": "global.index-url='https://bob:s3cr3t-pip%21@pypi.corp.test/api/pypi/all/simple'\nglobal.extra-index-url='https://env:s3cr3t-env@env.corp.test/simple'\n"},
			home:    map[string]string{".config/pip/pip.conf": "[global]\nindex-url = https://bob:s3cr3t-pip%21@pypi.corp.test/api/pypi/all/simple\n"},
			asks: map[string]string{
				"GET https://pypi.corp.test/api/pypi/all/simple/six/":           "credential",
				"GET https://pypi.corp.test/api/pypi/all/packages/six-1.tar.gz": "credential",
				"GET https://pypi.corp.test/api/security/token":                 "allow",
				"GET https://env.corp.test/simple/six/":                         "allow",
				"POST https://pypi.corp.test/api/pypi/all/":                     "method",
			},
			values: map[string]string{"pypi.corp.test": "bob:s3cr3t-pip!"},
			jobEnv: map[string]string{"PIP_INDEX_URL": "https://pypi.corp.test/api/pypi/all/simple"},
			note:   "not handed to the job",
		},
		{
			name: "go with a password", preset: "go",
			outputs: map[string]string{"go env": `{"GOPROXY":"https://bob:s3cr3t-go@go.corp.test/mod,direct","GOSUMDB":"off"}`},
			home:    map[string]string{".config/go/env": "GOPROXY=https://bob:s3cr3t-go@go.corp.test/mod,direct\n"},
			asks:    map[string]string{"GET https://go.corp.test/mod/x.test/y/@v/list": "credential", "GET https://go.corp.test/mod/admin": "path", "GET https://go.corp.test/other/@v/list": "path"},
			values:  map[string]string{"go.corp.test": "bob:s3cr3t-go"},
			jobEnv:  map[string]string{"GOPROXY": "https://go.corp.test/mod"},
		},
		{
			name: "cargo as it comes", preset: "cargo",
			asks: map[string]string{
				"GET https://index.crates.io/config.json":                  "allow",
				"GET https://index.crates.io/se/rd/serde":                  "allow",
				"GET https://static.crates.io/crates/serde/1.0.0/download": "allow",
				"GET https://static.crates.io/db-dump.tar.gz":              "path",
				"PUT https://index.crates.io/se/rd/serde":                  "method",
				"GET https://crates.io/api/v1/crates":                      "host",
			},
		},
		{
			name: "cargo with a mirror and a private registry", preset: "cargo",
			home: map[string]string{
				".cargo/config.toml":      "[source.crates-io]\nreplace-with = \"corp\"\n[source.corp]\nregistry = \"sparse+https://crates.corp.test/index/\"\n[registries.private-one]\nindex = \"sparse+https://private.corp.test/idx/\"\n[registries.env-one]\nindex = \"sparse+https://env.corp.test/\"\n[registries.old]\nindex = \"https://git.corp.test/index.git\"\n[http]\nproxy = \"http://p\"\n",
				".cargo/credentials.toml": "[registries.private-one]\ntoken = \"Bearer s3cr3t-cargo\"\n",
			},
			env: []string{"CARGO_REGISTRIES_ENV_ONE_TOKEN=" + Placeholder},
			asks: map[string]string{
				"GET https://crates.corp.test/index/config.json":                   "allow",
				"GET https://private.corp.test/idx/se/rd/serde":                    "credential",
				"GET https://private.corp.test/idx/api/v1/crates/x/1.0.0/download": "credential",
				"GET https://env.corp.test/config.json":                            "credential",
				"GET https://index.crates.io/config.json":                          "host",
				"GET https://git.corp.test/index.git/info/refs":                    "host",
			},
			values: map[string]string{"private.corp.test": "Bearer s3cr3t-cargo"},
			files:  map[string]string{cargoConfigPath: "[source.crates-io]\nreplace-with = 'corp'"},
			note:   "in git is left out",
		},
		{
			name: "maven as it comes", preset: "maven",
			asks:   map[string]string{"GET https://repo.maven.apache.org/maven2/junit/junit/4.13/junit-4.13.pom": "allow", "GET https://repo.maven.apache.org/other": "path", "PUT https://repo.maven.apache.org/maven2/x": "method"},
			jobEnv: map[string]string{"MAVEN_OPTS": "-Dmaven.conf=/etc/zviz/maven"},
		},
		{
			name: "maven with a mirror", preset: "maven",
			home: map[string]string{".m2/settings.xml": `<?xml version="1.0"?><settings xmlns="http://maven.apache.org/SETTINGS/1.0.0"><servers><server><id>corp</id><username>bob</username><password>s3cr3t-${env.MVN}</password></server><server><id>sealed</id><username>u</username><password>{COQLCE6DU6GtcS5P=}</password></server></servers>
<mirrors><mirror><id>corp</id><mirrorOf>*,!extra</mirrorOf><url>https://maven.corp.test/repo/all</url></mirror></mirrors>
<profiles><profile><id>p</id><repositories><repository><id>extra</id><url>https://extra.corp.test/m2</url></repository><repository><id>mirrored</id><url>https://bob:s3cr3t@mirrored.test/m2</url></repository></repositories></profile><profile><id>off</id><repositories><repository><id>off</id><url>https://off.test/</url></repository></repositories></profile></profiles><activeProfiles><activeProfile>p</activeProfile></activeProfiles></settings>`},
			asks: map[string]string{
				"GET https://maven.corp.test/repo/all/junit/junit/4.13/junit-4.13.pom": "credential",
				"GET https://maven.corp.test/repo/other/x":                             "path",
				"GET https://extra.corp.test/m2/x/1/x-1.jar":                           "allow",
				"GET https://mirrored.test/m2/x":                                       "host",
				"GET https://off.test/x":                                               "host",
				"GET https://repo.maven.apache.org/maven2/junit":                       "host",
			},
			values: map[string]string{"maven.corp.test": "bob:s3cr3t-mvn"},
			files:  map[string]string{mavenConfDir + "/settings.xml": "<mirrorOf>*,!extra</mirrorOf>"},
			note:   "encrypted for Maven alone",
		},
		{
			name: "gradle", preset: "gradle",
			home: map[string]string{".gradle/init.d/corp.gradle": "allprojects { repositories { maven { url \"https://gradle.corp.test/m2\"\n credentials { username = 'bob'; password = 's3cr3t' } } } }\n// url 'https://comment.test/'\n", ".gradle/init.gradle.kts": "maven { url = uri(\"https://kts.corp.test/m2\") }\n maven(\"https://short.corp.test/\")\n url = uri(\"https://${host}/m2\")\n"},
			asks: map[string]string{
				"GET https://gradle.corp.test/m2/x/1/x-1.jar":                       "allow",
				"GET https://kts.corp.test/m2/x":                                    "allow",
				"GET https://short.corp.test/x":                                     "allow",
				"GET https://comment.test/x":                                        "host",
				"GET https://plugins.gradle.org/m2/x/1/x-1.pom":                     "allow",
				"GET https://services.gradle.org/distributions/gradle-8.10-bin.zip": "allow",
				"POST https://plugins.gradle.org/api/v1/publish/versions/new/x":     "method",
			},
			note: "not handed to the job",
		},
		{
			name: "rubygems as it comes", preset: "rubygems",
			asks: map[string]string{
				"GET https://rubygems.org/gems/rake-13.0.0.gem": "allow",
				"GET https://index.rubygems.org/info/rake":      "allow",
				"GET https://rubygems.org/api/v1/search.json":   "path",
				"POST https://rubygems.org/api/v1/gems":         "method",
			},
			files:  map[string]string{gemrcPath: "https://rubygems.org/"},
			jobEnv: map[string]string{"GEMRC": gemrcPath, "BUNDLE_USER_CONFIG": bundlePath},
		},
		{
			name: "rubygems with a mirror", preset: "rubygems",
			home: map[string]string{
				".gemrc":         "---\n:sources:\n- https://bob:s3cr3t-gem@gems.corp.test/repo/\n:update_sources: true\n",
				".bundle/config": "---\nBUNDLE_MIRROR__HTTPS://RUBYGEMS__ORG/: \"https://mirror-one.corp.test/gems\"\nBUNDLE_MIRROR___ONE__CORP__TEST: \"bob:s3cr3t-wrong\"\nBUNDLE_PRIVATE__CORP__TEST: \"s3cr3t-only\"\nBUNDLE_BUILD__NOKOGIRI: \"--use-system-libraries\"\nBUNDLE_RETRY: \"3\"\n",
			},
			asks: map[string]string{
				"GET https://gems.corp.test/repo/info/rake":      "credential",
				"GET https://gems.corp.test/other":               "path",
				"GET https://mirror-one.corp.test/gems/versions": "allow",
				"GET https://private.corp.test/gems/x-1.gem":     "credential",
				"GET https://rubygems.org/info/rake":             "host",
			},
			values: map[string]string{"gems.corp.test": "bob:s3cr3t-gem", "private.corp.test": "s3cr3t-only:"},
			files:  map[string]string{gemrcPath: "https://gems.corp.test/repo/", bundlePath: "https://mirror-one.corp.test/gems"},
		},
		{
			name: "nuget as it comes", preset: "nuget",
			asks: map[string]string{
				"GET https://api.nuget.org/v3/index.json":                                          "allow",
				"GET https://api.nuget.org/v3-flatcontainer/newtonsoft.json/13.0.1/n.13.0.1.nupkg": "allow",
				"PUT https://api.nuget.org/v3/index.json":                                          "method",
				"GET https://www.nuget.org/api/v2/package":                                         "host",
			},
			files: map[string]string{nugetConfigPath: `value="https://api.nuget.org/v3/index.json"`},
		},
		{
			name: "nuget with a source", preset: "nuget",
			home: map[string]string{".nuget/NuGet/NuGet.Config": "\xef\xbb\xbf<?xml version=\"1.0\"?><configuration><packageSources><clear/><add key=\"corp feed\" value=\"https://nuget.corp.test/feed/v3/index.json\" protocolVersion=\"3\"/><add key=\"off\" value=\"https://off.test/v3/index.json\"/><add key=\"disk\" value=\"/srv/packages\"/><add key=\"sealed\" value=\"https://sealed.test/v3/index.json\"/></packageSources><disabledPackageSources><add key=\"off\" value=\"true\"/></disabledPackageSources><packageSourceCredentials><corp_x0020_feed><add key=\"Username\" value=\"bob\"/><add key=\"ClearTextPassword\" value=\"%NUGET_PW%\"/></corp_x0020_feed><sealed><add key=\"Username\" value=\"u\"/><add key=\"Password\" value=\"AQAA\"/></sealed></packageSourceCredentials></configuration>"},
			asks: map[string]string{
				"GET https://nuget.corp.test/feed/v3/index.json":         "credential",
				"GET https://nuget.corp.test/feed/v3/flat/x/1/x.1.nupkg": "credential",
				"GET https://nuget.corp.test/elsewhere/x.1.nupkg":        "allow",
				"GET https://nuget.corp.test/admin":                      "path",
				"GET https://off.test/v3/index.json":                     "host",
				"GET https://sealed.test/v3/index.json":                  "allow",
				"GET https://api.nuget.org/v3/index.json":                "host",
			},
			values: map[string]string{"nuget.corp.test": "bob:s3cr3t-nuget"},
			files:  map[string]string{nugetConfigPath: `key="corp feed"`},
			note:   "encrypted for NuGet",
		},
		{
			name: "images", preset: "oci",
			home: map[string]string{
				".docker/config.json":                `{"auths":{"https://index.docker.io/v1/":{"auth":"` + b64 + `"},"helped.test":{},"ghcr.test":{"auth":"` + b64 + `"}},"credHelpers":{"helped.test":"evil"}}`,
				".config/containers/auth.json":       `{"auths":{"quay.test/team/app":{"username":"bob","password":"s3cr3t-quay"},"idt.test":{"identitytoken":"s3cr3t-id"}}}`,
				".config/containers/registries.conf": "unqualified-search-registries = [\"docker.io\", \"search.test\"]\n[[registry]]\nprefix = \"docker.io\"\nlocation = \"docker.io\"\n[[registry.mirror]]\nlocation = \"mirror.test/hub\"\n[[registry]]\nlocation = \"blocked.test\"\nblocked = true\n",
			},
			asks: map[string]string{
				"GET https://registry-1.docker.io/v2/library/alpine/manifests/latest": "credential",
				"HEAD https://registry-1.docker.io/v2/":                               "credential",
				"GET https://registry-1.docker.io/v2/_catalog":                        "path",
				"POST https://registry-1.docker.io/v2/a/b/blobs/uploads/":             "method",
				"GET https://ghcr.test/v2/a/b/c/blobs/sha256:00":                      "credential",
				"GET https://quay.test/v2/team/app/manifests/1":                       "credential",
				"GET https://quay.test/v2/team/other/manifests/1":                     "path",
				"GET https://mirror.test/v2/hub/library/alpine/manifests/1":           "allow",
				"GET https://search.test/v2/x/manifests/1":                            "allow",
				"GET https://blocked.test/v2/x/manifests/1":                           "host",
				"GET https://helped.test/v2/":                                         "host",
				"GET https://idt.test/v2/":                                            "host",
			},
			values: map[string]string{"registry-1.docker.io": "bob:s3cr3t-b64", "quay.test": "bob:s3cr3t-quay"},
			files:  map[string]string{registriesPath: "mirror.test/hub"},
			note:   "helpers of credentials are not run",
		},
		{
			name: "github", preset: "github",
			home: map[string]string{".config/gh/hosts.yml": "github.com:\n  oauth_token: s3cr3t-gh\n  user: bob\nghe.corp.test:\n  oauth_token: s3cr3t-ghe\n"},
			asks: map[string]string{
				"GET https://github.com/acme/app/info/refs":                      "allow",
				"POST https://github.com/acme/app/git-upload-pack":               "allow",
				"POST https://github.com/acme/app/git-receive-pack":              "path",
				"PUT https://github.com/acme/app":                                "method",
				"GET https://github.com/acme/app/releases/download/v1/x.tar.gz":  "allow",
				"GET https://codeload.github.com/acme/app/tar.gz/refs/tags/v1":   "allow",
				"GET https://raw.githubusercontent.com/acme/app/main/install.sh": "allow",
				"GET https://gist.githubusercontent.com/x/y/raw":                 "host",
				"GET https://gist.github.com/x":                                  "host",
				"GET https://api.github.com/repos/acme/app/releases/latest":      "allow",
				"GET https://api.github.com/user":                                "path",
				"POST https://api.github.com/user/repos":                         "method",
				"POST https://api.github.com/graphql":                            "method",
				"GET https://ghe.corp.test/api/v3/repos/acme/app/tarball/main":   "allow",
				"GET https://ghe.corp.test/acme/app/info/refs":                   "allow",
			},
			note: "is not used",
		},
		{
			name: "gitlab", preset: "gitlab",
			home: map[string]string{".config/glab-cli/config.yml": "hosts:\n  git.corp.test:\n    token: s3cr3t-glab\n"},
			env:  []string{"CI_SERVER_URL=https://ci.corp.test/"},
			asks: map[string]string{
				"GET https://gitlab.com/a/b/c/app.git/info/refs":                        "allow",
				"POST https://git.corp.test/a/b/app.git/git-upload-pack":                "allow",
				"POST https://git.corp.test/a/b/app.git/git-receive-pack":               "path",
				"GET https://ci.corp.test/a/app/-/archive/main/app.tar.gz":              "allow",
				"GET https://git.corp.test/api/v4/projects/a%2Fapp/releases":            "path", // an escaped slash is no segment
				"GET https://git.corp.test/api/v4/projects/7/repository/archive.tar.gz": "allow",
				"GET https://git.corp.test/api/v4/user":                                 "path",
				"POST https://git.corp.test/api/v4/snippets":                            "path",
			},
		},
		{
			name: "gitea", preset: "gitea",
			home: map[string]string{".config/tea/config.yml": "logins:\n  - name: corp\n    url: https://tea.corp.test\n    token: s3cr3t-tea\n"},
			asks: map[string]string{
				"GET https://tea.corp.test/acme/app.git/info/refs":                 "allow",
				"POST https://tea.corp.test/acme/app.git/git-upload-pack":          "allow",
				"POST https://tea.corp.test/api/v1/user/repos":                     "path",
				"GET https://tea.corp.test/api/v1/repos/acme/app/archive/main.zip": "allow",
				"GET https://tea.corp.test/api/v1/user":                            "path",
			},
		},
	}
	lookup := func(name string) string {
		return map[string]string{"NPM_TOKEN": "s3cr3t-npm", "MVN": "mvn", "NUGET_PW": "s3cr3t-nuget"}[name]
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			home := t.TempDir()
			for name, text := range tt.home {
				file := filepath.Join(home, name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			outputs := map[string]string{}
			for k, v := range tt.outputs {
				outputs[k] = strings.ReplaceAll(v, "HOME", home)
			}
			p, err := Discover(t.Context(), tt.preset, answers(outputs, append([]string{"HOME=" + home}, tt.env...)...))
			if err != nil {
				t.Fatal(err)
			}
			all, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			for name, text := range p.Files { // JSON has them in base64
				all = append(append(all, name...), text...)
			}
			if strings.Contains(string(all), secret) || strings.Contains(string(all), b64) {
				t.Errorf("a credential is handed on: %s", all)
			}
			for ask, want := range tt.asks {
				method, u, _ := strings.Cut(ask, " ")
				a, err := Policy{}.Ask([]Preset{p}, nil, Question{Method: method, URL: u})
				if err != nil {
					t.Fatalf("%s: %v", ask, err)
				}
				got := a.Reason
				switch {
				case a.Injected:
					got = "credential"
				case a.Allowed:
					got = "allow"
				}
				if got != want {
					t.Errorf("%s: %s, want %s", ask, got, want)
				}
			}
			got := map[string]string{}
			for _, r := range p.Rules {
				if r.Inject == nil || tt.values[r.Host] == "" {
					continue
				}
				format, key, file, ok := ConfigSource(r.Inject.ValueFrom)
				if !ok {
					t.Fatalf("%s: no place of a configuration", r.Inject.ValueFrom)
				}
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if got[r.Host], err = ConfigCredential(format, key, data, lookup); err != nil {
					t.Errorf("%s: %v", r.Inject.ValueFrom, err)
				}
			}
			if tt.values == nil {
				tt.values = map[string]string{}
			}
			if diff := cmp.Diff(tt.values, got); diff != "" {
				t.Errorf("credentials (-want +got):\n%s", diff)
			}
			for name, text := range tt.files {
				if !strings.Contains(string(p.Files[name]), text) {
					t.Errorf("%s: %s\nwant in it: %s", name, p.Files[name], text)
				}
			}
			for key, want := range tt.jobEnv {
				if p.Env[key] != want {
					t.Errorf("%s=%s, want %s", key, p.Env[key], want)
				}
			}
			if !strings.Contains(strings.Join(p.Notes, "\n"), tt.note) {
				t.Errorf("notes %q, want %q in them", p.Notes, tt.note)
			}
			if _, _, err := newGateway(Config{Presets: []Preset{p}, Credential: func(string) (string, error) { return "user:password", nil }}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDiscoverBadFiles(t *testing.T) {
	for preset, file := range map[string][2]string{
		"yarn": {".yarnrc.yml", "a: [s3cr3t"}, "cargo": {".cargo/config.toml", "token = s3cr3t"}, "maven": {".m2/settings.xml", "<settings><s3cr3t>"},
		"rubygems": {".gemrc", ":sources: {s3cr3t"}, "nuget": {".nuget/NuGet/NuGet.Config", "<configuration s3cr3t"}, "oci": {".docker/config.json", `{"auths": "s3cr3t"}`},
		"github": {".config/gh/hosts.yml", "[s3cr3t"}, "gitlab": {".config/glab-cli/config.yml", "hosts: s3cr3t"}, "gitea": {".config/tea/config.yml", "logins: s3cr3t"},
	} {
		t.Run(preset, func(t *testing.T) {
			home := t.TempDir()
			path := filepath.Join(home, file[0])
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(file[1]), 0o600)); err != nil {
				t.Fatal(err)
			}
			_, err := Discover(t.Context(), preset, answers(map[string]string{"npm config": `{"registry":"https://npm.test/"}`}, "HOME="+home))
			if err == nil || !strings.Contains(err.Error(), file[0]) || strings.Contains(err.Error(), secret) {
				t.Errorf("error %v, want the file and nothing of what it says", err)
			}
		})
	}
}

// Of several credentials for a host the nearest one counts, to read and to publish.
func TestNearestCredential(t *testing.T) {
	home := t.TempDir()
	rc := "//npm.test/:_authToken=of-the-host\n//npm.test/repo/own/:_authToken=of-own\n//npm.test/repo/third/:_auth=Ym9iOng=\n//npm.test/repo/third/:_authToken=of-third\n"
	if err := os.WriteFile(filepath.Join(home, ".npmrc"), []byte(rc), 0o600); err != nil {
		t.Fatal(err)
	}
	config := `{"registry":"https://npm.test/repo/npm/","@own:registry":"https://npm.test/repo/own/","@third:registry":"https://npm.test/repo/third/","userconfig":"` + home + `/.npmrc"}`
	p, err := Discover(t.Context(), "npm", answers(map[string]string{"npm config": config}, "HOME="+home))
	if err != nil {
		t.Fatal(err)
	}
	value := func(in *Inject) string {
		t.Helper()
		if in == nil {
			return ""
		}
		_, key, _, _ := ConfigSource(in.ValueFrom)
		v, err := npmrcCredential(key, []byte(rc))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	publish := PublishRules([]Preset{p})
	for path, want := range map[string]string{"/repo/npm/": "of-the-host", "/repo/own/": "of-own", "/repo/third/": "of-third"} {
		if got := value(p.CredentialFor("https://npm.test" + path + "left")); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
		got := newJudge(Policy{Rules: publish}, &nameCounter{}, "").host("npm.test", 443).request("PUT", path+"left")
		if got.verdict != VerdictAllow || value(got.inject) != want {
			t.Errorf("PUT %s: %+v", path, got)
		}
	}
}

// What looks like a variable is one only where the tool takes it for one.
func TestVariablesInCredentials(t *testing.T) {
	lookup := func(name string) string { return map[string]string{"sure": "wrong", "TOKEN": "right"}[name] }
	docker := `{"auths":{"r.test":{"username":"bob","password":"100%sure%${TOKEN}"}}}`
	for _, tt := range []struct{ format, key, data, want string }{
		{"docker", "r.test", docker, "bob:100%sure%${TOKEN}"},
		{"cargo", "corp", "[registries.corp]\ntoken = \"a%sure%${TOKEN}\"\n", "a%sure%${TOKEN}"},
		{"bundle", "BUNDLE_GEMS__TEST", "BUNDLE_GEMS__TEST: \"bob:a%sure%${TOKEN}\"\n", "bob:a%sure%${TOKEN}"},
		{"url", "https://r.test/x", "https://bob:a%25sure%25@r.test/x", "bob:a%sure%"},
		{"npmrc", "//r.test/:_authToken", "//r.test/:_authToken=a%sure%${TOKEN}\n", "a%sure%right"},
		{"yarnrc", "npmRegistries.//r.test", "npmRegistries:\n  //r.test:\n    npmAuthToken: a%sure%${TOKEN}\n", "a%sure%right"},
		{"maven", "corp", "<settings><servers><server><id>corp</id><username>bob</username><password>%sure%${env.TOKEN}</password></server></servers></settings>", "bob:%sure%right"},
		{"nuget", "corp", `<configuration><packageSourceCredentials><corp><add key="Username" value="bob"/><add key="ClearTextPassword" value="%TOKEN%${TOKEN}"/></corp></packageSourceCredentials></configuration>`, "bob:right${TOKEN}"},
	} {
		if got, err := ConfigCredential(tt.format, tt.key, []byte(tt.data), lookup); err != nil || got != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.format, got, err, tt.want)
		}
	}
}
