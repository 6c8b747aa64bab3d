// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// watched are files and directories of a workspace that other programs of the
// host run or obey later. They are not protected; the report lists those that a
// run made or changed.
func watched() []struct{ path, note string } {
	return []struct{ path, note string }{
		{"node_modules/.bin", "run by npx and npm scripts"},
		{".npmrc", "read by npm"},
		{".yarnrc", "read by yarn"},
		{".yarnrc.yml", "read by yarn"},
		{".yarn/releases", "run by yarn"},
		{".pnp.cjs", "run by node"},
		{".pnpmfile.cjs", "run by pnpm"},
		{".envrc", "run by direnv"},
		{".tool-versions", "read by asdf and mise"},
		{"mise.toml", "read by mise"},
		{"Makefile", "run by make"},
		{"GNUmakefile", "run by make"},
		{"justfile", "run by just"},
		{".vscode", "obeyed by editors"},
		{".idea", "obeyed by editors"},
		{".devcontainer", "run by editors"},
		{".husky", "run by git"},
		{".pre-commit-config.yaml", "run by pre-commit"},
		{".cargo/config.toml", "obeyed by cargo"},
		{"pip.conf", "read by pip"},
		{".git/hooks", "git hooks"},
		{".git/config", "obeyed by git"},
		{".git/commondir", "obeyed by git"},
		{".git/config.worktree", "obeyed by git"},
		{".git/info/attributes", "obeyed by git"},
		{".gitattributes", "obeyed by git"},
		{".gitmodules", "obeyed by git"},
	}
}

const (
	hashLimit = 1 << 20 // bytes of a watched file that are looked at
	listLimit = 4096    // entries of a watched directory
)

// state of the watched files: a digest by path, and a size.
type watchState map[string]struct {
	digest string
	size   int64
}

// snapshot looks at the watched files of a workspace without following any link.
func snapshot(w workspace) watchState {
	s := watchState{}
	root, err := os.OpenRoot(w.top)
	if err != nil {
		return s
	}
	defer func() { _ = root.Close() }()
	for _, f := range watched() {
		st, err := root.Lstat(f.path)
		if err != nil {
			continue
		}
		h := sha256.New()
		_, _ = io.WriteString(h, st.Mode().Type().String())
		size := st.Size()
		switch {
		case st.IsDir():
			size = 0
			dir, err := root.Open(f.path)
			if err != nil {
				continue
			}
			list, _ := dir.ReadDir(listLimit)
			_ = dir.Close()
			for _, d := range list {
				hashEntry(h, root, path.Join(f.path, d.Name()))
			}
		default:
			hashEntry(h, root, f.path)
		}
		e := s[f.path]
		e.digest, e.size = hex.EncodeToString(h.Sum(nil)), size
		s[f.path] = e
	}
	return s
}

func hashEntry(h io.Writer, root *os.Root, name string) {
	st, err := root.Lstat(name)
	if err != nil {
		return
	}
	_, _ = io.WriteString(h, name+st.Mode().String())
	switch {
	case st.Mode()&fs.ModeSymlink != 0:
		if l, err := root.Readlink(name); err == nil {
			_, _ = io.WriteString(h, l)
		}
	case st.Mode().IsRegular():
		// O_NONBLOCK: between the look and the open it may have become a pipe.
		f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
		if err != nil {
			return
		}
		_, _ = io.Copy(h, io.LimitReader(f, hashLimit))
		_ = f.Close()
	}
}

// compare lists what is new or different in after.
func (s watchState) compare(after watchState) []Change {
	out := []Change{}
	for _, f := range watched() {
		a, now := after[f.path]
		b, then := s[f.path]
		var op string
		switch {
		case now && !then:
			op = "A"
		case now && a.digest != b.digest:
			op = "M"
		case then && !now:
			op = "D"
		default:
			continue
		}
		out = append(out, Change{Op: op, Path: f.path, Size: a.size, Note: f.note})
	}
	return out
}

// note says which watched file a path belongs to.
func note(name string) string {
	for _, f := range watched() {
		if name == f.path || strings.HasPrefix(name, f.path+"/") {
			return f.note
		}
	}
	return ""
}

// errStop ends a walk early.
var errStop = errors.New("stop")

func sortChanges(cs []Change) {
	slices.SortFunc(cs, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
}
