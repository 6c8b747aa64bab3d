// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestClassify(t *testing.T) {
	tests := []struct {
		e    Ecosystem
		path string
		want Request // Kind Other: refused
		sent string  // empty: path
	}{
		{NPM, "left-pad", Request{Kind: Index, Name: "left-pad"}, ""},
		{NPM, "JSONStream", Request{Kind: Index, Name: "JSONStream"}, ""},
		{NPM, "@babel%2fcore", Request{Kind: Index, Name: "@babel/core"}, ""},
		{NPM, "@babel%2Fcore", Request{Kind: Index, Name: "@babel/core"}, "@babel%2fcore"},
		{NPM, "@babel/core", Request{Kind: Index, Name: "@babel/core"}, "@babel%2fcore"},
		{NPM, "left-pad/1.3.0", Request{Kind: Manifest, Name: "left-pad", Version: "1.3.0"}, ""},
		{NPM, "left-pad/latest", Request{Kind: Manifest, Name: "left-pad", Version: "latest"}, ""},
		{NPM, "@babel%2fcore/7.0.0", Request{Kind: Manifest, Name: "@babel/core", Version: "7.0.0"}, ""},
		{NPM, "@babel/core/7.0.0", Request{Kind: Manifest, Name: "@babel/core", Version: "7.0.0"}, "@babel%2fcore/7.0.0"},
		{NPM, "left-pad/-/left-pad-1.3.0.tgz", Request{Kind: File, Name: "left-pad", Version: "1.3.0", File: "left-pad-1.3.0.tgz"}, ""},
		{NPM, "@babel/core/-/core-7.0.0-beta.1.tgz", Request{Kind: File, Name: "@babel/core", Version: "7.0.0-beta.1", File: "core-7.0.0-beta.1.tgz"}, ""},
		{NPM, "@babel%2fcore/-/core-7.0.0.tgz", Request{Kind: File, Name: "@babel/core", Version: "7.0.0", File: "core-7.0.0.tgz"}, "@babel/core/-/core-7.0.0.tgz"},
		{NPM, "@babel/core/-/@babel/core-7.0.0.tgz", Request{Kind: File, Name: "@babel/core", Version: "7.0.0", File: "@babel/core-7.0.0.tgz"}, ""},
		{NPM, "x/-/x-1.0.0%2bbuild.tgz", Request{Kind: File, Name: "x", Version: "1.0.0+build", File: "x-1.0.0+build.tgz"}, "x/-/x-1.0.0+build.tgz"},
		{NPM, "download/@a/b/1.0.0/0123abc", Request{Kind: File, Name: "@a/b", Version: "1.0.0", File: "0123abc"}, ""},
		{NPM, "download/b/1.0.0/0123abc", Request{Kind: File, Name: "b", Version: "1.0.0", File: "0123abc"}, ""},
		{NPM, "download/-/download-8.0.0.tgz", Request{Kind: File, Name: "download", Version: "8.0.0", File: "download-8.0.0.tgz"}, ""},
		{NPM, "download/b/1.0.0/../0123abc", Request{}, ""},
		{NPM, "-/ping", Request{Kind: Service, File: "ping"}, ""},
		{NPM, "-/npm/v1/keys", Request{Kind: Service, File: "npm/v1/keys"}, ""},
		{NPM, "-/package/@a%2fb/dist-tags", Request{Kind: Index, Name: "@a/b", File: "dist-tags"}, ""},
		{NPM, "-/npm/v1/attestations/@a%2fb@1.0.0", Request{Kind: Manifest, Name: "@a/b", Version: "1.0.0", File: "attestations"}, ""},
		{NPM, "left-pad/-/right-pad-1.3.0.tgz", Request{}, ""},
		{NPM, "left-pad/-/../../evil", Request{}, ""},
		{NPM, "left-pad/%2e%2e/evil", Request{}, ""},
		{NPM, "left-pad/..%2fevil", Request{}, ""},
		{NPM, "left%252fpad", Request{}, ""},
		{NPM, "left-pad//1.3.0", Request{}, ""},
		{NPM, "left-pad%00", Request{}, ""},
		{NPM, "left-pad;x", Request{}, ""},
		{NPM, "left-pad%3fwrite=true", Request{}, ""},
		{NPM, "-/v1/search", Request{}, ""},
		{NPM, "-/npm/v1/security/advisories/bulk", Request{}, ""},
		{NPM, "-/user/org.couchdb.user:x", Request{}, ""},
		{NPM, "@scope", Request{}, ""},
		{NPM, "", Request{}, ""},

		{Go, "github.com/!azure/x/@v/list", Request{Kind: Index, Name: "github.com/Azure/x", File: "list"}, ""},
		{Go, "github.com/x/y/@latest", Request{Kind: Index, Name: "github.com/x/y", File: "latest"}, ""},
		{Go, "github.com/x/y/v2/@v/v2.0.1.info", Request{Kind: Manifest, Name: "github.com/x/y/v2", Version: "v2.0.1", File: "info"}, ""},
		{Go, "github.com/x/y/@v/master.info", Request{Kind: Manifest, Name: "github.com/x/y", Version: "master", File: "info"}, ""},
		{Go, "github.com/x/y/@v/v1.0.0.zip", Request{Kind: File, Name: "github.com/x/y", Version: "v1.0.0", File: "zip"}, ""},
		{Go, "github.com/x/y/@v/v2.0.0+incompatible.mod", Request{Kind: File, Name: "github.com/x/y", Version: "v2.0.0+incompatible", File: "mod"}, ""},
		{Go, "golang.org/toolchain/@v/v0.0.1-go1.26.0.linux-amd64.zip", Request{Kind: File, Name: "golang.org/toolchain", Version: "v0.0.1-go1.26.0.linux-amd64", File: "zip"}, ""},
		{Go, "github.com/x/y/@v/master.zip", Request{}, ""},
		{Go, "github.com/X/y/@v/list", Request{}, ""},
		{Go, "github.com/x/y/@v/v1.0.0.exe", Request{}, ""},
		{Go, "sumdb/sum.test/supported", Request{Kind: Sum, File: "supported"}, ""},
		{Go, "sumdb/sum.test/lookup/github.com/x/y@v1.0.0", Request{Kind: Sum, Name: "github.com/x/y", Version: "v1.0.0", File: "lookup"}, ""},
		{Go, "sumdb/sum.test/tile/8/0/x001/234.p/5", Request{Kind: Sum, File: "tile/8/0/x001/234.p/5"}, ""},
		{Go, "sumdb/sum.test/evil", Request{}, ""},

		{PyPI, "six/", Request{Kind: Index, Name: "six"}, ""},
		{PyPI, "Zope.Interface/", Request{Kind: Index, Name: "zope-interface"}, "zope-interface/"},
		{PyPI, "packages/d9/5a/e7c3/six-1.16.0-py2.py3-none-any.whl", Request{Kind: File, Name: "six", Version: "1.16.0", File: "six-1.16.0-py2.py3-none-any.whl"}, ""},
		{PyPI, "packages/aa/bb/six-1.16.0.tar.gz", Request{Kind: File, Name: "six", Version: "1.16.0", File: "six-1.16.0.tar.gz"}, ""},
		{PyPI, "x/six-1.16.0-py3-none-any.whl.metadata", Request{Kind: File, Name: "six", Version: "1.16.0", File: "six-1.16.0-py3-none-any.whl.metadata"}, ""},
		{PyPI, "pypi/six/json", Request{}, ""},
		{PyPI, "", Request{}, ""},

		{Cargo, "config.json", Request{Kind: Service, File: "config.json"}, ""},
		{Cargo, "se/rd/serde", Request{Kind: Index, Name: "serde"}, ""},
		{Cargo, "3/l/log", Request{Kind: Index, Name: "log"}, ""},
		{Cargo, "2/cc", Request{Kind: Index, Name: "cc"}, ""},
		{Cargo, "xx/yy/serde", Request{}, ""},
		{Cargo, "serde/1.0.0/download", Request{Kind: File, Name: "serde", Version: "1.0.0", File: "download"}, ""},
		{Cargo, "serde/serde-1.0.0.crate", Request{Kind: File, Name: "serde", Version: "1.0.0", File: "serde-1.0.0.crate"}, ""},

		{Debian, "pool/main/c/curl/curl_7.88.1-10+deb12u5_amd64.deb", Request{Kind: File, Name: "curl", Version: "7.88.1-10+deb12u5", File: "curl_7.88.1-10+deb12u5_amd64.deb"}, ""},
		{Debian, "dists/bookworm/InRelease", Request{Kind: Release, File: "InRelease"}, ""},
		{Debian, "dists/bookworm/main/binary-amd64/Packages.xz", Request{Kind: Release, File: "Packages.xz"}, ""},
		{Debian, "dists/bookworm/main/binary-amd64/by-hash/SHA256/" + strings.Repeat("a", 64), Request{Kind: File, File: "SHA256:" + strings.Repeat("a", 64)}, ""},
		{Debian, "pool/../../etc/passwd", Request{}, ""},

		{"maven", "x", Request{}, ""},
	}
	for _, tt := range tests {
		got := Classify(tt.e, tt.path)
		tt.want.Ecosystem = tt.e
		if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreUnexported(Request{})); diff != "" {
			t.Errorf("%s %q:\n%s", tt.e, tt.path, diff)
		}
		sent := tt.sent
		if sent == "" && tt.want.Kind != Other {
			sent = tt.path
		}
		if got.Path() != sent {
			t.Errorf("%s %q: goes on as %q, want %q", tt.e, tt.path, got.Path(), sent)
		}
	}
}

// What is classified has one form: classifying it again gives the same, and a
// server that unescapes it and cleans it sees the same path.
func FuzzClassify(f *testing.F) {
	for _, e := range []Ecosystem{NPM, Go, PyPI, Cargo, Debian} {
		for _, p := range []string{
			"left-pad", "@a%2fb/-/b-1.0.0.tgz", "a/../b", "github.com/!a/b/@v/v1.0.0.zip", "sumdb/x/lookup/a.b/c@v1.0.0",
			"packages/a/b-1-py3-none-any.whl", "se/rd/serde", "x/1.0.0/download", "pool/a_1_all.deb", "-/npm/v1/attestations/a@1",
		} {
			f.Add(string(e), p)
		}
	}
	f.Fuzz(func(t *testing.T, e, path string) {
		r := Classify(Ecosystem(e), path)
		if r.Kind == Other {
			if r.Path() != "" {
				t.Errorf("%q: refused, but has path %q", path, r.Path())
			}
			return
		}
		if again := Classify(Ecosystem(e), r.Path()); again != r {
			t.Errorf("%q: %+v, and again %+v", path, r, again)
		}
		u, err := url.Parse("https://x.test/" + r.Path())
		if err != nil || u.RawQuery != "" || u.Fragment != "" || u.Host != "x.test" {
			t.Fatalf("%q: %v, %v", r.Path(), u, err)
		}
		if clean := u.JoinPath().Path; strings.TrimSuffix(clean, "/") != strings.TrimSuffix(u.Path, "/") {
			t.Errorf("%q: cleaned to %q", u.Path, clean)
		}
		if r.Name != "" && !strings.Contains(strings.ToLower(u.Path), strings.ToLower(lastWord(r.Name))) && r.Ecosystem != Go && r.Ecosystem != PyPI {
			t.Errorf("%q: name %q is not in it", u.Path, r.Name)
		}
		if r.Kind == File && r.Version == "" && r.Ecosystem != Debian {
			t.Errorf("%q: a file without a version", path)
		}
	})
}

func lastWord(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// A name and a version that are put into the path that a package manager would
// ask come out again.
func FuzzRoundTrip(f *testing.F) {
	f.Add("left-pad", "1.3.0")
	f.Add("@babel/core", "7.0.0-beta.1+x")
	f.Add("github.com/Azure/x", "v1.0.0")
	f.Add("serde", "1.0.0")
	f.Fuzz(func(t *testing.T, name, version string) {
		if ValidNPMName(name) && only(version, ".+-") {
			path := name + "/-/" + lastWord(name) + "-" + version + ".tgz"
			r := Classify(NPM, path)
			if long := len(path) > pathMost; long != (r.Kind == Other) || !long && (r.Kind != File || r.Name != name || r.Version != version) {
				t.Errorf("npm %q %q: %+v", name, version, r)
			}
			if i := Classify(NPM, escape(name)); i.Kind != Index || i.Name != name {
				t.Errorf("npm %q: %+v", name, i)
			}
		}
		if p := GoPath(name, version, GoInfo); p != "" {
			if r := Classify(Go, p); r.Kind != Other && (r.Name != name || r.Version != version) {
				t.Errorf("go %q %q: %+v", name, version, r)
			}
		}
		if validCrate(name) {
			if r := Classify(Cargo, CargoIndexPath(name)); r.Kind == Index && r.Name != strings.ToLower(name) {
				t.Errorf("cargo %q: %+v", name, r)
			}
		}
	})
}
