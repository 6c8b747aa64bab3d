// SPDX-License-Identifier: Apache-2.0

package registry

import "strings"

// Documents of npm's registry that are no packument.
const (
	npmTags         = "dist-tags"
	npmAttestations = "attestations"
)

// classifyNPM knows "name", "@scope%2fname", "@scope/name", each with
// "/VERSION" or "/-/FILE.tgz" behind it, "download/…", and the few documents
// below "-/".
func classifyNPM(seg []string) Request {
	if seg[0] == "-" {
		return npmService(seg[1:])
	}
	if seg[0] == "download" && len(seg) > 3 {
		return npmDownload(seg[1:])
	}
	name, rest, ok := npmName(seg)
	if !ok {
		return Request{}
	}
	index := escape(name)
	switch {
	case len(rest) == 0:
		return Request{Kind: Index, Name: name, path: index}
	case len(rest) == 1 && only(rest[0], "._+~-"):
		return Request{Kind: Manifest, Name: name, Version: rest[0], path: join(name, rest[0])}
	case rest[0] != "-":
		return Request{}
	}
	// Some servers put the scope before the file's name once more.
	file := strings.Join(rest[1:], "/")
	base := file
	if scope, _, scoped := strings.Cut(name, "/"); scoped {
		base = strings.TrimPrefix(base, scope+"/")
	}
	version, ok := npmTarball(name, base)
	if !ok {
		return Request{}
	}
	return Request{Kind: File, Name: name, Version: version, File: file, path: name + "/-/" + file}
}

// npmDownload knows where GitHub's registry has its tarballs:
// "download/NAME/VERSION/HASH".
func npmDownload(seg []string) Request {
	name, rest, ok := npmName(seg)
	if !ok || len(rest) != 2 || !only(rest[0], ".+-") || !only(rest[1], "") {
		return Request{}
	}
	return Request{Kind: File, Name: name, Version: rest[0], File: rest[1], path: "download/" + name + "/" + rest[0] + "/" + rest[1]}
}

// npmTarball takes the version out of the name of a tarball.
func npmTarball(name, file string) (version string, ok bool) {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		name = name[i+1:]
	}
	version, ok = strings.CutPrefix(file, name+"-")
	if !ok {
		return "", false
	}
	version, ok = strings.CutSuffix(version, ".tgz")
	return version, ok && only(version, ".+-")
}

// npmName takes the name of a package from the front of a path.
func npmName(seg []string) (name string, rest []string, ok bool) {
	name, rest = seg[0], seg[1:]
	if strings.HasPrefix(name, "@") && !strings.Contains(name, "/") {
		if len(rest) == 0 {
			return "", nil, false
		}
		name, rest = name+"/"+rest[0], rest[1:]
	}
	return name, rest, ValidNPMName(name)
}

// ValidNPMName reports whether a text can be the name of a package. Old names
// have upper-case letters and a few signs more than new ones.
func ValidNPMName(name string) bool {
	base := name
	if scope, rest, scoped := strings.Cut(name, "/"); scoped {
		scope, ok := strings.CutPrefix(scope, "@")
		if !ok || !only(scope, "._~!'()*-") || scope[0] == '.' {
			return false
		}
		base = rest
	}
	return only(base, "._~!'()*-") && base[0] != '.' && base != "-" && len(name) <= 214 && base != "node_modules"
}

// npmService reads what stands below "-/".
func npmService(seg []string) Request {
	path := strings.Join(seg, "/")
	switch {
	case path == "ping" || path == "npm/v1/keys":
		return Request{Kind: Service, File: path, path: "-/" + path}
	case len(seg) >= 3 && seg[0] == "package" && seg[len(seg)-1] == npmTags:
		if name, rest, ok := npmName(seg[1 : len(seg)-1]); ok && len(rest) == 0 {
			return Request{Kind: Index, Name: name, File: npmTags, path: "-/package/" + escape(name) + "/" + npmTags}
		}
	case strings.HasPrefix(path, "npm/v1/attestations/"):
		spec := strings.TrimPrefix(path, "npm/v1/attestations/")
		if i := strings.LastIndexByte(spec, '@'); i > 0 && ValidNPMName(spec[:i]) && only(spec[i+1:], ".+-") {
			return Request{
				Kind: Manifest, Name: spec[:i], Version: spec[i+1:], File: npmAttestations,
				path: "-/npm/v1/attestations/" + escape(spec),
			}
		}
	}
	return Request{}
}
