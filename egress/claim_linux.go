// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// packageOf finds the package that a process works for: what the process says, or the
// nearest of those that started it. Who wants to hide clears its own environment, but
// not its parents'.
func packageOf(pid int, pids []int) Package {
	var p Package
	folders := map[string]bool{} // packages in whose folders the processes below the claim are
	for range ancestryMost {
		if !slices.Contains(pids, pid) {
			break
		}
		c := claims(pid)
		if p.Pkg != "" && c.Pkg != p.Pkg {
			break // the package manager, or a script that runs another one's
		}
		folder, ok := workingDir(pid)
		if in := packageFolder(folder); in != "" || !ok {
			folders[in] = true
		}
		if p.Pkg == "" && p.Script == "" {
			p = c
		}
		_, parent, ok := readStat(pid)
		if !ok {
			break
		}
		pid = parent
	}
	switch {
	case p == Package{}:
	case p.Pkg != "" && len(folders) == 1 && folders[nameOf(p.Pkg)]:
		p.PkgBy = EvidenceProven
	default:
		p.PkgBy = EvidenceClaimed
	}
	return p
}

// claims reads what one process's environment says of the package it works for. Of all
// that is in there, nothing but these names is taken.
func claims(pid int) Package {
	var p Package
	vars := map[string]string{
		"npm_package_name": "", "npm_package_version": "", "npm_lifecycle_event": "", // npm, yarn and pnpm
		"CARGO_PKG_NAME": "", "CARGO_PKG_VERSION": "", // build scripts of cargo
	}
	for kv := range bytes.SplitSeq(readSome(filepath.Join("/proc", strconv.Itoa(pid), "environ"), 256<<10), []byte{0}) {
		key, value, _ := bytes.Cut(kv, []byte{'='})
		if _, ok := vars[string(key)]; ok {
			vars[string(key)] = clip(strings.ToValidUTF8(string(value), "?"))
		}
	}
	name, version := vars["npm_package_name"], vars["npm_package_version"]
	p.Script = vars["npm_lifecycle_event"]
	if name == "" && p.Script == "" && vars["CARGO_PKG_NAME"] != "" {
		name, version, p.Script = vars["CARGO_PKG_NAME"], vars["CARGO_PKG_VERSION"], "build"
	}
	if p.Pkg = name; name != "" && version != "" {
		p.Pkg += "@" + version
	}
	return p
}

// nameOf is the name in name@version; a scope begins with "@".
func nameOf(pkg string) string {
	if i := strings.LastIndexByte(pkg, '@'); i > 0 {
		return pkg[:i]
	}
	return pkg
}

func workingDir(pid int) (dir string, ok bool) {
	dir, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "cwd"))
	return dir, err == nil
}

// packageFolder is the name of the package in whose folder a directory is, as package
// managers of Node lay them out; empty if it is in none.
func packageFolder(dir string) string {
	_, rest, ok := cutLast(dir+"/", "/node_modules/")
	if !ok {
		return ""
	}
	name, rest, _ := strings.Cut(rest, "/")
	if strings.HasPrefix(name, "@") {
		base, _, _ := strings.Cut(rest, "/")
		name += "/" + base
	}
	return name
}

// cutLast is strings.Cut at the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
