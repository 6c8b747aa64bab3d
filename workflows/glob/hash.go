// SPDX-License-Identifier: Apache-2.0

package glob

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// Files returns the regular files of the workspace, given as a file system, that the
// patterns choose: slash-separated paths below it, in the order of hashFiles, depth
// first and by the bytes of the names. Links to directories are followed only with
// FollowLinks, and not into a directory that the way leads through already.
func (p *Patterns) Files(workspace fs.FS) ([]string, error) {
	w := walk{p: p, fsys: workspace, seen: map[string]bool{}}
	for _, start := range p.starts() {
		if err := w.visit(start, nil); err != nil {
			return nil, err
		}
	}
	return w.files, nil
}

// starts are where to look: what stands before the first wildcard of each pattern,
// less those that lie below another one, as paths below the workspace.
func (p *Patterns) starts() []string {
	var all [][]string
	for _, one := range p.list {
		if one.negate || one.implicit {
			continue
		}
		var s []string
		for _, seg := range one.segments {
			literal, ok := literalOf(seg)
			if !ok {
				break
			}
			s = append(s, literal)
		}
		all = append(all, s)
	}
	begins := func(a, b []string) bool { return len(a) <= len(b) && slices.Equal(a, b[:len(a)]) }
	var out []string
	for i, s := range all {
		covered := false
		for j, other := range all {
			covered = covered || i != j && begins(other, s) && (len(other) < len(s) || j < i)
		}
		switch {
		case covered:
		case begins(p.root, s):
			out = append(out, path.Join(append([]string{"."}, s[len(p.root):]...)...))
		case begins(s, p.root):
			out = append(out, ".") // a wildcard above the workspace
		}
	}
	return out
}

type walk struct {
	p      *Patterns
	fsys   fs.FS
	files  []string
	seen   map[string]bool
	visits int
}

// mostVisits bounds what links make of a tree: there are as many ways through n directories
// that lead to each other as orders of them.
const mostVisits = 200_000

// visit looks at a file or directory; through are the directories on the way to it.
func (w *walk) visit(name string, through []fs.FileInfo) error {
	if w.visits++; w.p.FollowLinks && w.visits > mostVisits {
		return fmt.Errorf("links lead to more than %d files", mostVisits)
	}
	st, err := fs.Lstat(w.fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	segments := slices.Clone(w.p.root)
	if name != "." {
		segments = append(segments, strings.Split(name, "/")...)
	}
	if st.Mode()&fs.ModeSymlink != 0 {
		// A file's content counts, wherever it is.
		if st, err = fs.Stat(w.fsys, name); err != nil || st.IsDir() && !w.p.FollowLinks {
			return nil //nolint:nilerr // a link that leads nowhere is no file
		}
	}
	if slices.ContainsFunc(through, func(d fs.FileInfo) bool { return w.p.FollowLinks && os.SameFile(d, st) }) {
		return nil
	}
	if !st.IsDir() {
		if st.Mode().IsRegular() && name != "." && !w.seen[name] && w.p.match(segments, false) {
			w.seen[name] = true
			w.files = append(w.files, name)
		}
		return nil
	}
	if !w.p.match(segments, true) && !w.p.reaches(segments) {
		return nil
	}
	list, err := fs.ReadDir(w.fsys, name) // sorted by name
	if err != nil {
		return err
	}
	through = append(slices.Clip(through), st)
	for _, d := range list {
		if err := w.visit(path.Join(name, d.Name()), through); err != nil {
			return err
		}
	}
	return nil
}

// Hash returns the SHA-256, in hexadecimal, of the digests of the chosen files; empty
// if there is none.
func (p *Patterns) Hash(workspace fs.FS) (string, error) {
	files, err := p.Files(workspace)
	if err != nil || len(files) == 0 {
		return "", err
	}
	all := sha256.New()
	for _, name := range files {
		sum, err := digest(workspace, name)
		if err != nil {
			return "", err
		}
		all.Write(sum)
	}
	return hex.EncodeToString(all.Sum(nil)), nil
}

func digest(fsys fs.FS, name string) (_ []byte, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}
