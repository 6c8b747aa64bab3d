// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

// configured is a machine on which one file of a tool's configuration lies.
func configured(path, data string) Runner {
	return func(_ context.Context, argv []string) ([]byte, error) {
		switch {
		case argv[0] == "npm":
			return []byte(`{"registry":"https://npm.test/","userconfig":"/home/op/.npmrc"}`), nil
		case argv[0] == "sh" && strings.HasPrefix(argv[2], "for f in ") && strings.Contains(argv[2], path[strings.LastIndexByte(path, '/')+1:]):
			return []byte(path + "\x00" + strings.ReplaceAll(data, "\x00", "") + "\x00"), nil
		case argv[0] == "sh" || argv[0] == "env":
			return nil, nil
		default:
			return nil, errors.New("not found")
		}
	}
}

// FuzzConfig: whatever a configuration says, a preset opens single hosts for reading
// and hands on no credential of it.
func FuzzConfig(f *testing.F) {
	kinds := []struct{ preset, file string }{
		{"npm", "/home/op/.npmrc"},
		{"yarn", "/home/op/.yarnrc"},
		{"yarn", "/home/op/.yarnrc.yml"},
		{"cargo", "/home/op/.cargo/config.toml"},
		{"maven", "/home/op/.m2/settings.xml"},
		{"gradle", "/home/op/.gradle/init.gradle"},
		{"rubygems", "/home/op/.gemrc"},
		{"rubygems", "/home/op/.bundle/config"},
		{"nuget", "/home/op/.nuget/NuGet/NuGet.Config"},
		{"oci", "/home/op/.docker/config.json"},
		{"oci", "/etc/containers/registries.conf"},
		{"github", "/home/op/.config/gh/hosts.yml"},
		{"gitlab", "/home/op/.config/glab-cli/config.yml"},
		{"gitea", "/home/op/.config/tea/config.yml"},
	}
	for i, s := range []string{
		"//npm.test/:_authToken=npm_0123456789abcdef\n//npm.test/x/:_auth=Ym9iOnMzY3IzdC1iNjQ=\n", "\"@a:registry\" \"https://a.test/\"\nregistry https://u:hunter2hunter2@b.test\n",
		"npmRegistryServer: https://a.test\nnpmAuthIdent: bob:hunter2hunter2\n", "[registries.a]\nindex = \"sparse+https://a.test/\"\ntoken = \"cargo-token-0123456789\"\n",
		"<settings><servers><server><id>a</id><username>u</username><password>hunter2hunter2</password></server></servers><mirrors><mirror><id>a</id><mirrorOf>*</mirrorOf><url>https://a.test/m2</url></mirror></mirrors></settings>",
		"maven { url \"https://a.test/m2\" }\n", ":sources:\n- https://u:hunter2hunter2@gems.test/\n", "BUNDLE_GEMS__TEST: \"u:hunter2hunter2\"\nBUNDLE_MIRROR__ALL: https://m.test\n",
		"<configuration><packageSources><add key=\"a\" value=\"https://a.test/v3/index.json\"/></packageSources><packageSourceCredentials><a><add key=\"Username\" value=\"u\"/><add key=\"ClearTextPassword\" value=\"hunter2hunter2\"/></a></packageSourceCredentials></configuration>",
		`{"auths":{"a.test":{"auth":"dTpodW50ZXIyaHVudGVyMg=="}}}`, "[[registry]]\nprefix = \"*.a.test\"\nlocation = \"b.test/x\"\n", "a.test:\n  oauth_token: x\n", "hosts:\n  a.test: {}\n", "logins:\n- url: https://a.test\n",
	} {
		f.Add(uint8(i), s)
	}
	f.Fuzz(func(t *testing.T, kind uint8, data string) {
		k := kinds[int(kind)%len(kinds)]
		p, err := Discover(t.Context(), k.preset, configured(k.file, data))
		if err != nil {
			return
		}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range p.Files {
			text = append(text, b...)
		}
		for _, r := range p.Rules {
			if err := r.check(); err != nil {
				t.Fatalf("%s: %v", data, err)
			}
			switch {
			case r.wildcard() || !r.Terminates() || r.Private || r.Protocol != "" || len(r.Methods) == 0:
				t.Fatalf("%q opens %+v", data, r)
			case slices.Equal(r.Methods, []string{"GET", "HEAD"}):
			case slices.Equal(r.Methods, []string{"POST"}) && r.Inject == nil && !slices.ContainsFunc(r.Paths, func(p string) bool { return !strings.HasSuffix(p, "/git-upload-pack") }):
			default:
				t.Fatalf("%q opens %+v", data, r)
			}
			if r.Inject == nil {
				continue
			}
			format, key, file, ok := ConfigSource(r.Inject.ValueFrom)
			if !ok || file != k.file {
				t.Fatalf("%q: a credential from %q", data, r.Inject.ValueFrom)
			}
			value, err := ConfigCredential(format, key, []byte(strings.ReplaceAll(data, "\x00", "")), func(string) string { return "" })
			if err != nil {
				continue
			}
			if _, password, ok := strings.Cut(value, ":"); ok && r.Inject.Scheme == schemeBasic {
				value = password
			}
			if len(value) >= 12 && strings.Count(data, value) == 1 && strings.Contains(string(text), value) {
				t.Fatalf("%q: %q is handed on: %s", data, value, text)
			}
		}
	})
}

// FuzzQuery: what goes out of a query are keys that are known, and it is in one form.
func FuzzQuery(f *testing.F) {
	f.Add("github", "/a/b/info/refs", "service=git-upload-pack")
	f.Add("github", "/a/b/info/refs", "service=git-upload-pack&service=x&y=s3cr3t")
	f.Add("oci", "/v2/a/tags/list", "n=10&last=v1;x=%00")
	f.Add("npm", "/left-pad", "write=true")
	f.Fuzz(func(t *testing.T, preset, path, raw string) {
		kept, _ := keptQuery(preset, path, raw)
		again, less := keptQuery(preset, path, kept)
		if again != kept || less {
			t.Fatalf("%q becomes %q, and that %q", raw, kept, again)
		}
		if len(kept) > 3*(128*3+16) {
			t.Fatalf("%d bytes go out", len(kept))
		}
		for pair := range strings.SplitSeq(kept, "&") {
			key, _, _ := strings.Cut(pair, "=")
			if pair != "" && !slices.Contains([]string{"service", "page", "per_page", "limit", "ref", "sha", "n", "last", "ns"}, key) {
				t.Fatalf("%q goes out", pair)
			}
		}
	})
}

// FuzzChallenge: what is read of a registry's challenge stands in it.
func FuzzChallenge(f *testing.F) {
	f.Add(`Bearer realm="https://auth.test/token",service="reg",scope="repository:a:pull"`)
	f.Add(`Basic realm=x`)
	f.Add(`Bearer realm="a`)
	f.Fuzz(func(t *testing.T, h string) {
		c := parseChallenge([]string{h})
		if !strings.Contains(h, c.realm) || !strings.Contains(h, c.service) || c.scheme != "" && c.scheme != "bearer" && c.scheme != "basic" {
			t.Fatalf("%q: %+v", h, c)
		}
	})
}
