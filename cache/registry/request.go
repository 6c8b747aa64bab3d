// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"net/url"
	"strings"
)

// Ecosystem is a family of registries; its text is that of the egress preset.
type Ecosystem string

// The ecosystems.
const (
	NPM    Ecosystem = "npm"
	Go     Ecosystem = "go"
	PyPI   Ecosystem = "pypi"
	Cargo  Ecosystem = "cargo"
	Debian Ecosystem = "debian"
)

// Known reports whether Classify knows the ecosystem.
func (e Ecosystem) Known() bool {
	switch e {
	case NPM, Go, PyPI, Cargo, Debian:
		return true
	default:
		return false
	}
}

// Kind is what a request asks for.
type Kind string

// The kinds. The zero Kind is Other.
const (
	Other    Kind = ""         // nothing that we know
	Index    Kind = "index"    // what there is of one package; changes
	Manifest Kind = "manifest" // what there is to say of one version
	File     Kind = "file"     // content of one version; never changes
	Service  Kind = "service"  // about the registry itself, no package: keys, configuration
	Sum      Kind = "sum"      // Go's checksum database
	Release  Kind = "release"  // Debian's lists of packages
)

// Request is what a package manager asks for. The zero value is Other.
type Request struct {
	Ecosystem Ecosystem
	Kind      Kind
	Name      string // as the registry spells it; PyPI: normalised (PEP 503)
	Version   string // of a File or Manifest; a Manifest may have a tag or a branch instead
	File      string // the last part of the path, or which of several documents

	path string
}

// Path is the request in its one form, below the registry's base and without a
// leading slash, escaped for a URL. It is empty for Other.
func (r Request) Path() string { return r.path }

// pathMost bounds a path. A module path has at most 255 characters or so, and a
// deb's about as much.
const pathMost = 1024

// Classify says what a path asks for. The path is that of the URL as it was
// sent (URL.EscapedPath), below the registry's base, without a leading slash.
func Classify(e Ecosystem, path string) Request {
	segments, ok := split(path)
	if !ok {
		return Request{Ecosystem: e}
	}
	var r Request
	switch e {
	case NPM:
		r = classifyNPM(segments)
	case Go:
		r = classifyGo(segments)
	case PyPI:
		r = classifyPyPI(segments)
	case Cargo:
		r = classifyCargo(segments)
	case Debian:
		r = classifyDebian(segments)
	}
	r.Ecosystem = e
	if r.Kind == Other {
		return Request{Ecosystem: e}
	}
	return r
}

// split unescapes each segment of a path, once. A segment may hold a slash only
// where npm has one, in the name of a scope. What a server could read as another
// path is refused.
func split(path string) ([]string, bool) {
	if path == "" || len(path) > pathMost {
		return nil, false
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		plain, err := url.PathUnescape(s)
		if err != nil || plain == "." || plain == ".." || plain == "" && i != len(segments)-1 {
			return nil, false
		}
		for j := range len(plain) {
			if c := plain[j]; c <= ' ' || c >= 0x7f || strings.IndexByte(`\?#%;"<>|{}^`+"`", c) >= 0 {
				return nil, false
			}
		}
		segments[i] = plain
	}
	return segments, true
}

// join escapes segments for a URL.
func join(segments ...string) string {
	var b strings.Builder
	for i, s := range segments {
		if i > 0 {
			b.WriteByte('/')
		}
		b.WriteString(escape(s))
	}
	return b.String()
}

// escape leaves '@', '!', '+', '~', ':' and the like as they are: package
// managers send them so, and some servers compare bytes.
func escape(s string) string { return strings.ReplaceAll(s, "/", "%2f") }

// only reports whether a text is not empty and made of letters, digits, and the
// characters of more.
func only(s, more string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && strings.IndexByte(more, c) < 0 {
			return false
		}
	}
	return s != ""
}
