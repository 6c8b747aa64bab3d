// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestCanonicalPath(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want string // empty: refused
	}{
		{"plain", "/a/b", "/a/b"},
		{"root", "/", "/"},
		{"slash at the end", "/a/", "/a/"},
		{"escaped letter", "/%61/b", "/a/b"},
		{"escaped slash stays within its segment", "/@scope%2fname", "/@scope%2Fname"},
		{"backslash", `/a%5cb`, "/a%5Cb"},
		{"percent sign", "/100%25", "/100%25"},
		{"dot segment", "/a/../b", ""},
		{"dot", "/a/./b", ""},
		{"escaped dots", "/a/%2e%2E/b", ""},
		{"half escaped", "/a/.%2e/b", ""},
		{"dots behind an escaped slash", "/a%2f../b", ""},
		{"dots behind a backslash", "/a%5c..", ""},
		{"dots with a parameter", "/a/..;x=1/b", ""},
		{"escaped twice", "/a/%252e%252e/b", ""},
		{"slash escaped twice", "/a%252fb", ""},
		{"two slashes", "/a//b", ""},
		{"NUL", "/a%00b", ""},
		{"newline", "/a%0ab", ""},
		{"broken escape", "/a%zz", ""},
		{"no slash", "a/b", ""},
		{"star of OPTIONS", "*", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := canonicalPath(tt.in)
			if ok != (tt.want != "") {
				t.Fatalf("got %q, %v", got, ok)
			}
			if diff := cmp.Diff(tt.want, got); ok && diff != "" {
				t.Errorf("path (-want +got):\n%s", diff)
			}
		})
	}
}

// Some servers take what stands behind a semicolon for no part of the path.
func TestMatchPathWithParameters(t *testing.T) {
	for _, tt := range []struct {
		glob, path string
		want       bool
	}{
		{"/**.tgz", "/user;x.tgz", false},
		{"/**.tgz", "/x.tgz;v=1", false},
		{"/a/**", "/a/b;v=1/c", true},
		{"/a/*", "/a/b;v=1", true},
		{"/a/*", "/a/;v=1", true},
		{"/a/**", "/b;/a/x", false},
		{"/a/b", "/a/b;v=1", false},
	} {
		if got := (Rule{Paths: []string{tt.glob}}).matchPath(tt.path, true); got != tt.want {
			t.Errorf("%s, %s: %v", tt.glob, tt.path, got)
		}
	}
	if (Rule{Paths: []string{"/**"}, Except: []string{"/-/*"}}).matchPath("/-;a/whoami", true) {
		t.Error("an exception with a parameter")
	}
}

func TestMatchPath(t *testing.T) {
	tests := []struct {
		name string
		glob string
		path string
		want bool
	}{
		{"same", "/a/b", "/a/b", true},
		{"longer", "/a", "/a/b", false},
		{"star", "/acme/*/info/refs", "/acme/repo/info/refs", true},
		{"star within a segment", "/a/x*z", "/a/xyz", true},
		{"star, empty", "/a/x*", "/a/x", true},
		{"star does not cross", "/acme/*/info/refs", "/acme/a/b/info/refs", false},
		{"star does not take an escaped slash", "/acme/*", "/acme/a%2Fb", false},
		{"star does not take a backslash", "/acme/*", "/acme/a%5Cb", false},
		{"two stars take it", "/**", "/@scope%2Fname", true},
		{"two stars", "/deep/**", "/deep/a/b/c", true},
		{"two stars in the middle", "/a/**/z", "/a/b/c/z", true},
		{"two stars, no end", "/a/**/z", "/a/b/c/y", false},
		{"many stars", "/" + strings.Repeat("a*", 40) + "b", "/" + strings.Repeat("a", 4000), false},
		{"many deep stars", "/" + strings.Repeat("**a", 40) + "b", "/" + strings.Repeat("a", 4000), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := matchPath(tt.glob, tt.path); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// FuzzMatchPath: a glob matches what a regular expression of the same meaning
// matches, and what is matched leads to the same place for a server that resolves
// dots before it looks.
func FuzzMatchPath(f *testing.F) {
	for _, s := range [][2]string{
		{"/acme/*/info/refs", "/acme/a%2fb/info/refs"}, {"/a/**", "/a/../b"}, {"/**/x", "/a/%2e%2e/x"}, {"/a*b*c", "/abbbc"}, {"/*", "/%61"}, {"/x%25*", "/x%25"}, {"/a**", "/a/.#0"}, {"/a**", "/a/.?0"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, glob, sent string) {
		if CheckPath(glob) != nil || len(glob) > 200 || len(sent) > 500 {
			return
		}
		path, ok := canonicalPath(sent)
		if !ok {
			return
		}
		got := matchPath(glob, path)
		if want, ok := pathOracle(glob, path); ok && got != want {
			t.Fatalf("%q with %q: got %v, want %v", path, glob, got, want)
		}
		if !got {
			return
		}
		u, err := url.Parse("http://h.test" + sent)
		if err != nil {
			return
		}
		if resolved := u.JoinPath(); resolved.Path != u.Path {
			t.Fatalf("%q is matched by %q, but a server may read %q", sent, glob, resolved.Path)
		}
	})
}

// pathOracle asks a regular expression, in which one letter stands for each escape.
func pathOracle(glob, path string) (matches, ok bool) {
	fold := strings.NewReplacer("%2F", "\x01", "%5C", "\x02", "%25", "\x03")
	glob, path = fold.Replace(glob), fold.Replace(path)
	if strings.Contains(glob, "%") {
		return false, false // half an escape
	}
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for glob != "" {
		switch {
		case strings.HasPrefix(glob, "**"):
			b.WriteString(".*")
			glob = strings.TrimLeft(glob, "*")
		case glob[0] == '*':
			b.WriteString(`[^/\x01\x02]*`)
			glob = glob[1:]
		default:
			i := strings.IndexByte(glob, '*')
			if i < 0 {
				i = len(glob)
			}
			b.WriteString(regexp.QuoteMeta(glob[:i]))
			glob = glob[i:]
		}
	}
	re, err := regexp.Compile(b.String() + `\z`)
	if err != nil || !utf8.ValidString(glob+path) {
		return false, false
	}
	return re.MatchString(path), true
}
