// SPDX-License-Identifier: Apache-2.0

package lockfile

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/internal/testenv"
)

var (
	b64   = strings.Repeat("A", 86) + "=="
	hex64 = strings.Repeat("a", 64)
	h1    = strings.Repeat("A", 43) + "="
)

func TestParse(t *testing.T) {
	tests := []struct {
		name, file, content string
		want                []string // ECOSYSTEM NAME@VERSION DIGESTS
	}{
		{
			"npm 3", "package-lock.json", `{"lockfileVersion":3,"packages":{
			"":{"name":"me","version":"1.0.0"},
			"node_modules/a":{"version":"1.0.0","resolved":"https://r.test/a/-/a-1.0.0.tgz","integrity":"sha512-` + b64 + `"},
			"node_modules/a/node_modules/@s/b":{"version":"2.0.0"},
			"node_modules/alias":{"name":"real","version":"3.0.0"},
			"node_modules/brought":{"version":"1.0.0","inBundle":true},
			"node_modules/ws":{"resolved":"packages/ws","link":true},
			"node_modules/git":{"version":"1.0.0","resolved":"git+ssh://git@x.test/y.git#abc"},
			"packages/ws":{"version":"1.0.0"}}}`,
			[]string{"npm @s/b@2.0.0 0", "npm a@1.0.0 1", "npm real@3.0.0 0"},
		},
		{
			"npm 1", "npm-shrinkwrap.json", `{"lockfileVersion":1,"dependencies":{
			"a":{"version":"1.0.0","integrity":"sha512-` + b64 + `","dependencies":{"b":{"version":"2.0.0"},"brought":{"version":"1.0.0","bundled":true}}},
			"alias":{"version":"npm:@x/real@3.0.0"},"file":{"version":"file:../x"}}}`,
			[]string{"npm @x/real@3.0.0 0", "npm a@1.0.0 1", "npm b@2.0.0 0"},
		},
		{"npm 2", "package-lock.json", `{"lockfileVersion":2,"packages":{"node_modules/a":{"version":"1.0.0"}},"dependencies":{"evil":{"version":"6.6.6"}}}`, []string{"npm a@1.0.0 0"}},
		{
			"pnpm 9", "pnpm-lock.yaml", "lockfileVersion: '9.0'\npackages:\n  '@s/a@1.0.0':\n    resolution: {integrity: sha512-" + b64 + "}\n  b@2.0.0(c@1.0.0):\n    resolution: {integrity: sha512-" + b64 + "}\n  d@https://x.test/d.tgz:\n    resolution: {tarball: https://x.test/d.tgz}\n    version: 1.0.0\nsnapshots:\n  evil@6.6.6: {}\n",
			[]string{"npm @s/a@1.0.0 1", "npm b@2.0.0 1", "npm d@1.0.0 0"},
		},
		{"pnpm 6", "pnpm-lock.yaml", "lockfileVersion: '6.0'\npackages:\n  /@s/a@1.0.0(x@1):\n    resolution: {integrity: sha512-" + b64 + "}\n", []string{"npm @s/a@1.0.0 1"}},
		{"pnpm 5", "pnpm-lock.yaml", "lockfileVersion: 5.4\npackages:\n  /@s/a/1.0.0_x@1:\n    resolution: {integrity: sha512-" + b64 + "}\n  /b/2.0.0:\n    resolution: {integrity: sha512-" + b64 + "}\n", []string{"npm @s/a@1.0.0 1", "npm b@2.0.0 1"}},
		{
			"yarn classic", "yarn.lock", "# yarn lockfile v1\n\n\n\"@s/a@^1.0.0\", \"@s/a@~1.0.0\":\n  version \"1.0.0\"\n  resolved \"https://r.test/@s/a/-/a-1.0.0.tgz#abc\"\n  integrity sha512-" + b64 + "\n  dependencies:\n    version \"6.6.6\"\n\nb@2:\n  version \"2.0.0\"\n\n\"alias@npm:real@^3.0.0\":\n  version \"3.0.0\"\n\ngit@git+ssh://x.test/y:\n  version \"1.0.0\"\n  resolved \"git+ssh://x.test/y#abc\"\n",
			[]string{"npm @s/a@1.0.0 1", "npm b@2.0.0 0", "npm real@3.0.0 0"},
		},
		{
			"yarn berry", "yarn.lock", "__metadata:\n  version: 8\n\n\"@s/a@npm:^1.0.0\":\n  version: 1.0.0\n  resolution: \"@s/a@npm:1.0.0\"\n  checksum: 10c0/abc\n\n\"me@workspace:.\":\n  version: 0.0.0-use.local\n  resolution: \"me@workspace:.\"\n\n\"b@npm:2\":\n  version: 2.0.0\n  resolution: \"b@npm:2.0.0::__archiveUrl=x\"\n",
			[]string{"npm @s/a@1.0.0 0", "npm b@2.0.0 0"},
		},
		{
			"go.sum", "go.sum", "a.b/c v1.0.0 h1:" + h1 + "\na.b/c v1.0.0/go.mod h1:" + h1 + "\na.b/d v1.0.0/go.mod h1:" + h1 + "\n",
			[]string{"go a.b/c@v1.0.0 1", "go a.b/c@v1.0.0 1", "go a.b/d@v1.0.0 1"},
		},
		{
			"cargo", "Cargo.lock", "version = 4\n[[package]]\nname = \"me\"\nversion = \"0.1.0\"\n[[package]]\nname = \"serde\"\nversion = \"1.0.0\"\nsource = \"registry+https://x.test/index\"\nchecksum = \"" + hex64 + "\"\n[[package]]\nname = \"g\"\nversion = \"1.0.0\"\nsource = \"git+https://x.test/g#abc\"\n",
			[]string{"cargo serde@1.0.0 1"},
		},
		{"cargo 1", "Cargo.lock", "[[package]]\nname = \"serde\"\nversion = \"1.0.0\"\nsource = \"registry+https://x.test/index\"\n[metadata]\n\"checksum serde 1.0.0 (registry+https://x.test/index)\" = \"" + hex64 + "\"\n", []string{"cargo serde@1.0.0 1"}},
		{
			"requirements", "requirements-dev.txt", "# comment\n--index-url https://x.test/simple\nSix[extra]==1.16.0 ; python_version >= \"3\" \\\n    --hash=sha256:" + hex64 + " \\\n    --hash=sha256:" + strings.Repeat("b", 64) + " # via x\n\nzope.interface==5.0 --hash=sha256:" + hex64 + "\n",
			[]string{"pypi six@1.16.0 2", "pypi zope-interface@5.0 1"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all, err := Parse(filepath.Join("x", tt.file), strings.NewReader(tt.content))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range all {
				got = append(got, fmt.Sprintf("%s %s@%s %d", l.Ecosystem, l.Name, l.Version, len(l.Digests)))
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct{ file, content, want string }{
		{"composer.lock", "{}", "no lockfile that we know"},
		{"package-lock.json", "{", "unexpected end"},
		{"package-lock.json", `{"lockfileVersion":9}`, "lockfileVersion 9"},
		{"package-lock.json", `{"lockfileVersion":3}`, "no packages"},
		{"pnpm-lock.yaml", "lockfileVersion: 99", "99"},
		{"pnpm-lock.yaml", "a: [", ""},
		{"yarn.lock", "what is this\n", "yarn.lock:1:"},
		{"yarn.lock", "\n  version \"1\"\n", "yarn.lock:2:"},
		{"go.sum", "nonsense\n", "no line"},
		{"Cargo.lock", "x: 1", "line as cargo writes it"},
		{"Cargo.lock", "[[package]]\nname = 'a'\n", "want a text"},
		{"Cargo.lock", "x = \"\"\"\n[[package]]\n", "several lines"},
		{"Cargo.lock", "x = [\n[\n", "item of a list"},
		{"Cargo.lock", "metadata" + strings.Repeat(".a", 1_000_000) + "\n", "line as cargo writes it"},
		{"Cargo.lock", "x = [\n" + strings.Repeat("[\n", 8_000_000), "item of a list"}, // was all of the stack
		{"requirements.txt", "six==1.0\n", "requirements.txt:1:"},
		{"requirements.txt", "\nsix>=1.0 --hash=sha256:" + hex64, "requirements.txt:2:"},
		{"requirements.txt", "-r other.txt", "not locked"},
		{"requirements.txt", "six==1.* --hash=sha256:" + hex64, "NAME==VERSION"},
		{"requirements.txt", "six==1.0 --hash=md5:abc", "algorithm"},
	} {
		all, err := Parse(tt.file, strings.NewReader(tt.content))
		if err == nil {
			t.Errorf("%s %q: %v", tt.file, tt.content, all)
		} else if !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), tt.file) {
			t.Errorf("%s: %v", tt.file, err)
		}
	}
}

// What npm itself writes, of a package in a folder: nothing that is not of a
// registry is in the set.
func TestRealNPM(t *testing.T) {
	npm := testenv.NeedTool(t, "npm")
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "dep"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "dep", "package.json"), []byte(`{"name":"dep","version":"1.0.0"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"name":"me","version":"1.0.0","dependencies":{"dep":"file:dep"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(npm, "install", "--offline", "--no-audit", "--no-fund")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f, err := os.Open(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if all, err := Parse(f.Name(), f); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}

// No panic, and every package that is named has a name and a version that a
// request could have.
func FuzzParse(f *testing.F) {
	f.Add("package-lock.json", []byte(`{"lockfileVersion":3,"packages":{"node_modules/a":{"version":"1"}}}`))
	f.Add("pnpm-lock.yaml", []byte("lockfileVersion: 9\npackages: {a@1: {resolution: {}}}"))
	f.Add("yarn.lock", []byte("a@1:\n  version \"1\"\n"))
	f.Add("yarn.lock", []byte("__metadata: {}\na: {resolution: 'a@npm:1'}\n"))
	f.Add("go.sum", []byte("a.b/c v1.0.0 h1:"+h1))
	f.Add("Cargo.lock", []byte("[[package]]\nname='a'\nversion='1'\nsource='registry+x'"))
	f.Add("requirements.txt", []byte("a==1 --hash=sha256:"+hex64))
	f.Fuzz(func(t *testing.T, file string, b []byte) {
		all, err := Parse(file, strings.NewReader(string(b)))
		if err != nil {
			return
		}
		lock := registry.NewLock(all...)
		for _, l := range all {
			if l.Version == "" {
				t.Errorf("%+v: a version is missing, which would allow all", l)
			}
			if !lock.Has(l.Ecosystem, l.Name, l.Version) || lock.Has(l.Ecosystem, l.Name, l.Version+"x") && !slices.ContainsFunc(all, func(o registry.Locked) bool { return o.Version == l.Version+"x" }) {
				t.Errorf("%+v: the set says otherwise", l)
			}
		}
	})
}
