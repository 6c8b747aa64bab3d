// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"strings"

	"golang.org/x/mod/module"
)

// The documents of a module.
const (
	GoList   = "list"
	GoLatest = "latest"
	GoInfo   = "info"
	GoMod    = "mod"
	GoZip    = "zip"
)

// classifyGo knows the module proxy protocol (go.dev/ref/mod#goproxy-protocol)
// and the checksum database behind a proxy.
func classifyGo(seg []string) Request {
	path := strings.Join(seg, "/")
	if seg[0] == "sumdb" {
		return goSum(seg, path)
	}
	escaped, rest, versioned := strings.Cut(path, "/@v/")
	if !versioned {
		var latest bool
		if escaped, latest = strings.CutSuffix(path, "/@latest"); !latest {
			return Request{}
		}
	}
	name, err := module.UnescapePath(escaped)
	if err != nil {
		return Request{}
	}
	if !versioned {
		return Request{Kind: Index, Name: name, File: GoLatest, path: path}
	}
	if rest == GoList {
		return Request{Kind: Index, Name: name, File: GoList, path: path}
	}
	i := strings.LastIndexByte(rest, '.')
	if i < 0 {
		return Request{}
	}
	version, err := module.UnescapeVersion(rest[:i])
	if err != nil {
		return Request{}
	}
	r := Request{Name: name, Version: version, File: rest[i+1:], path: path}
	switch canonical := module.CanonicalVersion(version) == version && module.Check(name, version) == nil; {
	case r.File == GoInfo:
		r.Kind = Manifest // of a branch too
	case canonical && (r.File == GoMod || r.File == GoZip):
		r.Kind = File
	default:
		return Request{}
	}
	return r
}

// goSum reads "sumdb/NAME/supported", "/latest", "/lookup/MODULE@VERSION" and
// "/tile/…".
func goSum(seg []string, path string) Request {
	if len(seg) < 3 || !only(seg[1], ".-") {
		return Request{}
	}
	rest := strings.Join(seg[2:], "/")
	spec, lookup := strings.CutPrefix(rest, "lookup/")
	if !lookup {
		if rest == "supported" || rest == "latest" || strings.HasPrefix(rest, "tile/") && only(rest, "/.") {
			return Request{Kind: Sum, File: rest, path: path}
		}
		return Request{}
	}
	i := strings.LastIndexByte(spec, '@')
	if i < 0 {
		return Request{}
	}
	name, err := module.UnescapePath(spec[:i])
	version, errVersion := module.UnescapeVersion(spec[i+1:])
	if err != nil || errVersion != nil {
		return Request{}
	}
	return Request{Kind: Sum, Name: name, Version: version, File: "lookup", path: path}
}

// GoPath returns the path of a document of a module version, empty if it can
// have none.
func GoPath(name, version, document string) string {
	escaped, err := module.EscapePath(name)
	escapedVersion, errVersion := module.EscapeVersion(version)
	if err != nil || errVersion != nil {
		return ""
	}
	return escaped + "/@v/" + escapedVersion + "." + document
}

// GoSumPath returns the path of a lookup in a checksum database.
func GoSumPath(name, version string) string {
	escaped, err := module.EscapePath(name)
	escapedVersion, errVersion := module.EscapeVersion(version)
	if err != nil || errVersion != nil {
		return ""
	}
	return "lookup/" + escaped + "@" + escapedVersion
}
