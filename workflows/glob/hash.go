// SPDX-License-Identifier: Apache-2.0

package glob

import (
	"context"
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
// first and by the bytes of the names. When ctx ends so does the walk, with its cause.
func (p *Patterns) Files(ctx context.Context, workspace fs.FS) ([]string, error) {
	w := walk{p: p, fsys: workspace, seen: map[string]bool{}}
	for _, start := range p.starts() {
		if err := w.visit(ctx, start); err != nil {
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
	p     *Patterns
	fsys  fs.FS
	files []string
	seen  map[string]bool
	bytes int           // of the names in files
	above []fs.FileInfo // the directories that it is in, by where they are
}

// maxNames is what names may take: with links a few directories have many.
const maxNames = 128 << 20

func (w *walk) visit(ctx context.Context, name string) error {
	if err := context.Cause(ctx); err != nil {
		return err
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
			return nil // a link that leads nowhere is no file
		}
	}
	if !st.IsDir() {
		if st.Mode().IsRegular() && name != "." && !w.seen[name] && w.p.match(segments, false) {
			if w.bytes += len(name); w.bytes > maxNames {
				return fmt.Errorf("the names of the files that are chosen have more than %d bytes", maxNames)
			}
			w.seen[name] = true
			w.files = append(w.files, name)
		}
		return nil
	}
	if !w.p.match(segments, true) && !w.p.reaches(segments) {
		return nil
	}
	if slices.ContainsFunc(w.above, func(a fs.FileInfo) bool { return os.SameFile(a, st) }) {
		return nil // a link to where it stands
	}
	w.above = append(w.above, st)
	defer func() { w.above = w.above[:len(w.above)-1] }()
	list, err := fs.ReadDir(w.fsys, name) // sorted by name
	if err != nil {
		return err
	}
	for _, d := range list {
		if err := w.visit(ctx, path.Join(name, d.Name())); err != nil {
			return err
		}
	}
	return nil
}

// Hash returns the SHA-256, in hexadecimal, of the digests of the chosen files; empty
// if there is none. When ctx ends so does the reading, with its cause.
func (p *Patterns) Hash(ctx context.Context, workspace fs.FS) (string, error) {
	files, err := p.Files(ctx, workspace)
	if err != nil || len(files) == 0 {
		return "", err
	}
	all := sha256.New()
	for _, name := range files {
		sum, err := digest(ctx, workspace, name)
		if err != nil {
			return "", err
		}
		all.Write(sum)
	}
	return hex.EncodeToString(all.Sum(nil)), nil
}

func digest(ctx context.Context, fsys fs.FS, name string) (_ []byte, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := sha256.New()
	for buffer := make([]byte, 64<<10); ; { // a file may be longer than anybody waits
		n, err := f.Read(buffer)
		h.Write(buffer[:n])
		switch {
		case errors.Is(err, io.EOF):
			return h.Sum(nil), nil
		case err != nil:
			return nil, err
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		}
	}
}
