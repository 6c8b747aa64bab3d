// SPDX-License-Identifier: Apache-2.0

package run

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// Repository is where a workflow is run: a folder of the operator's, in git or not. What
// is not known is empty.
type Repository struct {
	Dir    string // the work tree
	Git    string // its own part of the repository: Dir/.git, or .git/worktrees/NAME
	Common string // what all work trees share; Git if there is one only

	Name   string // owner/repo, of the remote origin; local/FOLDER without one
	Server string // https://github.com
	Ref    string // refs/heads/main; of a detached HEAD empty
	Commit string // that HEAD names
}

const (
	maxGitFile = 1 << 20 // bytes of HEAD, of a ref, of the configuration
	maxPacked  = 64 << 20
)

// FindRepository reads what is to be known about the repository in whose work tree dir
// lies. It reads files and starts nothing: a git of the host would obey the
// configuration, which whoever made the folder wrote.
//
// Sources: gitrepository-layout(5), git-config(1) "SYNTAX". Refs in reftables are not
// read; the commit is then empty.
func FindRepository(dir string) (Repository, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Repository{}, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return Repository{}, err
	}
	r := Repository{Dir: dir, Server: "https://github.com", Name: "local/" + folderName(dir)}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Lstat(filepath.Join(d, ".git")); err == nil {
			r.Dir, r.Name = d, "local/"+folderName(d)
			break
		}
		if d == filepath.Dir(d) {
			return r, nil
		}
	}
	if err := r.locate(); err != nil {
		return Repository{}, err
	}
	if err := r.head(); err != nil {
		return Repository{}, err
	}
	config, err := readSmallFile(filepath.Join(r.Common, "config"), maxGitFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Repository{}, err
	}
	if server, name, ok := parseRemote(originURL(config)); ok {
		r.Server, r.Name = server, name
	}
	return r, nil
}

// Below is a folder of the repository as one that is none itself, as far as its files
// count: a checkout copies them. What the repository says of itself stays.
func (r Repository) Below(dir string) Repository {
	r.Dir, r.Git, r.Common = dir, "", ""
	return r
}

// folderName is the name of a folder as that of a repository.
func folderName(dir string) string {
	name := strings.Map(func(c rune) rune {
		if c == '-' || c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			return c
		}
		return '-'
	}, filepath.Base(dir))
	if strings.Trim(name, ".") == "" || name == "-" {
		return "repository"
	}
	return name
}

// locate finds the parts of the repository. What it finds is shown to the checkout, so
// that nothing in a hostile folder may lead elsewhere: a .git outside of the folder
// counts only if the repository there names the folder as one of its work trees, which
// whoever made the folder could not write (gitrepository-layout(5), "worktrees").
func (r *Repository) locate() error {
	dot := filepath.Join(r.Dir, ".git")
	fail := func(why string) error {
		return &fs.PathError{Op: "open", Path: dot, Err: errors.New(why)}
	}
	st, err := os.Lstat(dot)
	if err != nil {
		return err
	}
	if st.IsDir() {
		if _, err := os.Lstat(filepath.Join(dot, "commondir")); err == nil {
			return fail("a repository of its own names another one (commondir)")
		}
		r.Git, r.Common = dot, dot
		return nil
	}
	text, err := readSmallFile(dot, maxGitFile)
	if err != nil {
		return err
	}
	target, ok := strings.CutPrefix(firstLine(text), "gitdir: ")
	if !ok || !st.Mode().IsRegular() {
		return fail("neither a folder nor a file that names one")
	}
	if r.Git, err = filepath.EvalSymlinks(rooted(r.Dir, target)); err != nil {
		return err
	}
	r.Common = filepath.Dir(filepath.Dir(r.Git))
	back, err := readSmallFile(filepath.Join(r.Git, "gitdir"), maxGitFile)
	if err != nil || filepath.Clean(rooted(r.Git, firstLine(back))) != dot || filepath.Base(filepath.Dir(r.Git)) != "worktrees" || r.inside(r.Git) {
		return fail("the repository that it names does not know this folder as a work tree of its own")
	}
	return nil
}

// inside reports whether a path lies in the work tree.
func (r *Repository) inside(name string) bool {
	rel, err := filepath.Rel(r.Dir, name)
	return err == nil && filepath.IsLocal(rel)
}

func rooted(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// head reads the ref and the commit of HEAD.
func (r *Repository) head() error {
	text, err := readSmallFile(filepath.Join(r.Git, "HEAD"), maxGitFile)
	if err != nil {
		return err
	}
	ref, symbolic := strings.CutPrefix(firstLine(text), "ref: ")
	if !symbolic {
		r.Commit = objectName(firstLine(text))
		return nil
	}
	if path.Clean("/"+ref) != "/"+ref || !strings.HasPrefix(ref, "refs/") || strings.HasSuffix(ref, "/.invalid") {
		return nil // a reftable has a HEAD of that form
	}
	r.Ref = ref
	if text, err = readSmallFile(filepath.Join(r.Common, filepath.FromSlash(ref)), maxGitFile); err == nil {
		r.Commit = objectName(firstLine(text))
		return nil
	}
	packed, err := readSmallFile(filepath.Join(r.Common, "packed-refs"), maxPacked)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was committed yet
	}
	if err != nil {
		return err
	}
	for line := range bytes.Lines(packed) {
		if id, name, ok := strings.Cut(strings.TrimSpace(string(line)), " "); ok && name == ref {
			r.Commit = objectName(id)
		}
	}
	return nil
}

// objectName is the text if it can name an object: SHA-1 or SHA-256.
func objectName(s string) string {
	if (len(s) != 40 && len(s) != 64) || strings.Trim(s, "0123456789abcdef") != "" {
		return ""
	}
	return s
}

func firstLine(text []byte) string {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return strings.TrimSpace(string(line))
}

// readSmallFile reads a regular file; nobody is waited for.
func readSmallFile(name string, most int64) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("not a regular file")}
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = &fs.PathError{Op: "read", Path: name, Err: errors.New("too large")}
	}
	return data, err
}

// originURL finds the url of the remote origin in a configuration of git.
func originURL(config []byte) string {
	section, found := "", ""
	lines := bufio.NewScanner(bytes.NewReader(config))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			section = strings.ToLower(strings.Join(strings.Fields(strings.Trim(line, "[]")), " "))
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if ok && section == `remote "origin"` && strings.EqualFold(strings.TrimSpace(key), "url") && found == "" {
			found = strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return found
}

// parseRemote takes the address of a repository apart: https://host/owner/repo.git,
// git@host:owner/repo, ssh://git@host/owner/repo. Credentials in it are dropped.
func parseRemote(remote string) (server, name string, ok bool) {
	u, err := url.Parse(remote)
	if err != nil || u.Host == "" {
		host, rest, found := strings.Cut(remote, ":")
		if !found || strings.Contains(host, "/") || strings.HasPrefix(rest, "//") {
			return "", "", false
		}
		if i := strings.LastIndex(host, "@"); i >= 0 {
			host = host[i+1:]
		}
		u = &url.URL{Scheme: "ssh", Host: host, Path: "/" + strings.TrimPrefix(rest, "/")}
	}
	parts := strings.Split(strings.Trim(strings.TrimSuffix(u.Path, ".git"), "/"), "/")
	if len(parts) < 2 {
		return "", "", false
	}
	for _, p := range parts {
		if p == "" || folderName(p) != p {
			return "", "", false
		}
	}
	host := u.Host
	scheme := u.Scheme
	if scheme != "http" && scheme != "https" {
		scheme, host = "https", u.Hostname() // a port of ssh is none of the web
	}
	if host == "" {
		return "", "", false
	}
	base := len(parts) - 2
	return strings.TrimSuffix(scheme+"://"+host+"/"+strings.Join(parts[:base], "/"), "/"), parts[base] + "/" + parts[base+1], true
}
