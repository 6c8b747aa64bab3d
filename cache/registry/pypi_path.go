// SPDX-License-Identifier: Apache-2.0

package registry

import "strings"

// MetadataSuffix is that of a file beside a wheel (PEP 658).
const MetadataSuffix = ".metadata"

// classifyPyPI knows "NAME/" of a simple index, and files by their names: where
// they lie is the index's choice, often on another host.
func classifyPyPI(seg []string) Request {
	last := seg[len(seg)-1]
	if len(seg) == 2 && last == "" || len(seg) == 1 {
		if name := NormalizePyPI(seg[0]); only(name, "-") && only(seg[0], "._-") && (last == "" || !strings.Contains(last, ".")) {
			return Request{Kind: Index, Name: name, path: name + "/"}
		}
	}
	name, version, ok := PyPIFile(strings.TrimSuffix(last, MetadataSuffix))
	if !ok {
		return Request{}
	}
	for _, s := range seg {
		if !only(s, "._+~!@-") {
			return Request{}
		}
	}
	return Request{Kind: File, Name: name, Version: version, File: last, path: join(seg...)}
}

// NormalizePyPI is the form of a name that PEP 503 compares.
func NormalizePyPI(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == '-' || r == '_' || r == '.' })
	return strings.Join(words, "-")
}

// PyPIFile takes name and version out of the name of a wheel (PEP 427) or of a
// source archive (PEP 625, and what was there before it).
func PyPIFile(file string) (name, version string, ok bool) {
	if stem, wheel := strings.CutSuffix(file, ".whl"); wheel {
		parts := strings.Split(stem, "-")
		if len(parts) != 5 && len(parts) != 6 {
			return "", "", false
		}
		name, version = parts[0], parts[1]
	} else {
		stem := ""
		for _, suffix := range []string{".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz"} {
			if stem, ok = strings.CutSuffix(file, suffix); ok {
				break
			}
		}
		i := strings.LastIndexByte(stem, '-')
		if !ok || i < 0 {
			return "", "", false
		}
		name, version = stem[:i], stem[i+1:]
	}
	name = NormalizePyPI(name)
	return name, version, only(name, "-") && only(version, ".+!_")
}
