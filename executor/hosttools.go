// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// systemPaths is the allowlist of the host root: programs, libraries, and the
// parts of /etc that programs need to run and that hold no secret. /etc/passwd,
// hosts, resolv.conf, nsswitch.conf and the certificates are synthesized.
func systemPaths() []string {
	paths := []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store"}
	for name := range strings.FieldsSeq(`alternatives bash.bashrc bash_completion.d bindresvport.blacklist ca-certificates
		ca-certificates.conf debian_version dpkg environment fonts gai.conf ghc gss host.conf inputrc issue java
		java-8-openjdk java-11-openjdk java-17-openjdk java-21-openjdk java-25-openjdk
		ld.so.cache ld.so.conf ld.so.conf.d libaudit.conf locale.alias locale.gen localtime login.defs lsb-release
		magic magic.mime mailcap maven mime.types networks nsswitch.conf openal opt os-release pam.conf perl profile
		profile.d protocols python python2.7 python3 python3.9 python3.10 python3.11 python3.12 python3.13 python3.14
		redhat-release rpc services shells skel ssl/openssl.cnf terminfo timezone tmpfiles.d ucf.conf vim wgetrc
		xattr.conf xdg`) {
		paths = append(paths, "/etc/"+name)
	}
	return slices.DeleteFunc(paths, func(p string) bool { return p == "/etc/nsswitch.conf" || p == "/etc/environment" })
}

// credentialFiles are configuration below systemPaths in which operators keep
// tokens. Jobs see them empty; what they need of them comes from the presets.
func credentialFiles() []string {
	return slices.DeleteFunc([]string{
		"/usr/etc/npmrc", "/usr/local/etc/npmrc", "/usr/etc/pip.conf", "/usr/local/etc/pip.conf", "/usr/local/etc/gitconfig", "/usr/etc/gitconfig",
		"/usr/local/etc/netrc", "/usr/local/etc/wgetrc", "/usr/local/share/.npmrc",
	}, func(f string) bool { return !regular(f) })
}

func regular(name string) bool {
	st, err := os.Lstat(name)
	return err == nil && st.Mode().IsRegular()
}

// tools are the parts of the host outside of systemPaths that the operator's PATH
// leads to.
type tools struct {
	path []string          // PATH inside: absolute, there, and not the job's to write
	bind []string          // shown read-only
	env  map[string]string // where a manager finds its versions, since HOME is another one
}

// manager is a tool manager that keeps programs below HOME. Only the named parts
// are shown: none of them holds credentials.
type manager struct {
	root  string   // below HOME
	parts []string // below root
	env   string   // variable that names root, empty if none is needed
}

func managers() []manager {
	return []manager{
		{".nvm", []string{"versions"}, "NVM_DIR"},
		{".volta", []string{"bin", "tools"}, "VOLTA_HOME"},
		{".local/share/mise", []string{"installs", "shims", "plugins"}, "MISE_DATA_DIR"},
		{".asdf", []string{"bin", "lib", "libexec", "installs", "shims", "plugins", "completions", "asdf.sh"}, "ASDF_DATA_DIR"},
		{".pyenv", []string{"bin", "libexec", "versions", "shims", "plugins", "pyenv.d", "completions", "version"}, "PYENV_ROOT"},
		{".rbenv", []string{"bin", "libexec", "versions", "shims", "plugins", "rbenv.d", "version"}, "RBENV_ROOT"},
		{".cargo", []string{"bin"}, ""},
		{".rustup", []string{"toolchains", "settings.toml", "update-hashes"}, "RUSTUP_HOME"},
		{".bun", []string{"bin"}, ""},
		{".deno", []string{"bin"}, ""},
		{".sdkman", []string{"candidates"}, "SDKMAN_DIR"},
		{"go", []string{"bin"}, ""},
		{"sdk", []string{""}, ""}, // golang.org/dl
	}
}

// ownPlaces are folders of the job's own in which this machine's are not shown. What
// lies in a folder that everybody may write to is nobody's tool anyway.
func ownPlaces() []string { return []string{"/tmp", "/dev", "/proc", "/sys", "/run"} }

// findTools reads PATH. Left out are relative entries, those in the workspace or in a
// place of the job's own, and those that are not there.
func findTools(path, home, top string) tools {
	t := tools{env: map[string]string{}}
	for dir := range strings.SplitSeq(path, ":") {
		if !filepath.IsAbs(dir) || dir == "/" {
			continue
		}
		dir = filepath.Clean(dir)
		if dir == top || contains(top, dir) || slices.Contains(t.path, dir) || slices.ContainsFunc(ownPlaces(), func(p string) bool { return below(p, dir) }) {
			continue
		}
		if st, err := os.Stat(dir); err != nil || !st.IsDir() {
			continue
		}
		t.path = append(t.path, dir)
		switch {
		case below("/usr", dir), dir == "/bin", dir == "/sbin":
		case home != "" && below(home, dir):
			t.home(dir, home)
		case below("/opt", dir):
			// /opt/NAME/…: a package of its own
			first, _, _ := strings.Cut(strings.TrimPrefix(dir, "/opt/"), "/")
			t.bind = append(t.bind, "/opt/"+first)
		default:
			t.bind = append(t.bind, dir)
		}
	}
	return t
}

// HostPath are the directories of the operator's PATH in which a job finds this machine's
// programs. home is the operator's.
func HostPath(path, home string) []string { return findTools(path, home, "").path }

func below(dir, path string) bool { return path == dir || contains(dir, path) }

// home shows a directory of PATH below HOME, with what its manager needs.
func (t *tools) home(dir, home string) {
	if dir == home {
		return // it would show everything; the entry stays in PATH and is empty
	}
	for _, m := range managers() {
		root := filepath.Join(home, m.root)
		if !below(root, dir) {
			continue
		}
		names := []manager{m}
		if m.root == ".cargo" { // its programs are rustup's proxies
			names = append(names, managers()[slices.IndexFunc(managers(), func(m manager) bool { return m.root == ".rustup" })])
		}
		for _, n := range names {
			root := filepath.Join(home, n.root)
			for _, p := range n.parts {
				if full := filepath.Join(root, p); full != home && exists(full) {
					t.bind = append(t.bind, full)
				}
			}
			if n.env != "" && exists(root) {
				t.env[n.env] = root
			}
		}
		return
	}
	t.bind = append(t.bind, dir)
	// A Go tree: its bin needs the rest of it.
	if parent := filepath.Dir(dir); filepath.Base(dir) == "bin" && parent != home && exists(filepath.Join(parent, "VERSION")) && exists(filepath.Join(parent, "pkg", "tool")) {
		t.bind = append(t.bind, parent)
	}
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
