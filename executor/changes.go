// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
)

// watch is a file or directory of a workspace that other programs of the host run
// or obey later.
type watch struct{ path, note string }

// watched is what is looked at in every workspace: what a tool of the host runs or
// trusts by itself when somebody enters the folder, opens it, or calls the tool
// for something else. Sources, tests and scripts, which are run because somebody
// asks for them, are not in it. Nothing of it is protected; the report lists what
// a run made or changed.
func watched() []watch {
	return []watch{
		{"node_modules/.bin", "run by npx and npm scripts"},
		{".npmrc", "read by npm"},
		{".yarnrc", "read by yarn"},
		{".yarnrc.yml", "read by yarn"},
		{".yarn/releases", "run by yarn"},
		{".yarn/plugins", "run by yarn"},
		{".pnp.cjs", "run by node"},
		{".pnpmfile.cjs", "run by pnpm"},
		{"bunfig.toml", "obeyed by bun"},
		{RepositoryPolicyName, "obeyed by zviz-runner: what commands here may reach"},
		{".envrc", "run by direnv"},
		{".env", "run by shells with autoenv or dotenv"},
		{".autoenv.zsh", "run by shells with autoenv"},
		{".tool-versions", "read by asdf and mise"},
		{"mise.toml", "read by mise"},
		{".mise.toml", "read by mise"},
		{".config/mise.toml", "read by mise"},
		{"Makefile", "run by make"},
		{"GNUmakefile", "run by make"},
		{"makefile", "run by make"},
		{"justfile", "run by just"},
		{".vscode", "obeyed by editors"},
		{".idea", "obeyed by editors"},
		{".zed", "obeyed by editors"},
		{".cursor", "obeyed by editors"},
		{".mcp.json", "obeyed by editors"},
		{".devcontainer", "run by editors"},
		{".devcontainer.json", "run by editors"},
		{".exrc", "run by vi"},
		{".nvimrc", "run by nvim"},
		{".nvim.lua", "run by nvim"},
		{".dir-locals.el", "obeyed by emacs"},
		{".gdbinit", "run by gdb"},
		{".lldbinit", "run by lldb"},
		{".husky", "run by git"},
		{"lefthook.yml", "run by git"},
		{".pre-commit-config.yaml", "run by pre-commit"},
		{".cargo/config.toml", "obeyed by cargo"},
		{".cargo/config", "obeyed by cargo"},
		{"rust-toolchain.toml", "obeyed by rustup"},
		{".bundle/config", "obeyed by bundler"},
		{".mvn", "obeyed by maven"},
		{"gradle/wrapper", "run by gradlew"},
		{".bazelrc", "obeyed by bazel"},
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

// nested are those of watched that also count below the top: tools read them in
// the directory that somebody enters. What lies in node_modules is left out, since
// nobody does, but for the .bin of each node_modules.
func nested() map[string]string {
	m := map[string]string{}
	for _, w := range watched() {
		switch w.path {
		case ".npmrc", ".yarnrc", ".yarnrc.yml", ".pnpmfile.cjs", "bunfig.toml", ".envrc", ".env", ".autoenv.zsh", ".tool-versions", "mise.toml",
			".mise.toml", ".vscode", ".idea", ".zed", ".cursor", ".mcp.json", ".devcontainer", ".exrc", ".nvimrc", ".nvim.lua", ".dir-locals.el",
			".gdbinit", ".lldbinit", "rust-toolchain.toml":
			m[w.path] = w.note
		}
	}
	return m
}

// fixOf says what to do about something that a report lists.
func fixOf(note string) string {
	switch note {
	case "", noteSetID:
		return ""
	case noteKept:
		return "take it off before anybody runs it: chmod ug-s"
	case notePipe, noteSocket:
		return "remove it"
	case noteLink:
		return "look where it leads before you follow it, or remove it"
	case noteGit:
		return "look at its config and hooks before you run git there, or remove it"
	case noteSparse:
		return "remove it, or copy it with tools that keep holes"
	default:
		return "read it before you use that tool here; to keep no changes: --ephemeral"
	}
}

const (
	hashLimit = 1 << 20 // bytes of a watched file that are looked at
	listLimit = 4096    // entries of a watched directory, with those below
)

// state of the watched files: a digest by path, and a size.
type watchState map[string]struct {
	digest string
	size   int64
}

// snapshot looks at the watched files of a workspace without following any link.
func snapshot(w workspace, list []watch) watchState {
	s := watchState{}
	root, err := os.OpenRoot(w.top)
	if err != nil {
		return s
	}
	defer func() { _ = root.Close() }()
	for _, f := range list {
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
			left := listLimit
			_ = fs.WalkDir(root.FS(), f.path, func(name string, _ fs.DirEntry, err error) error {
				if left--; left < 0 {
					return errStop
				}
				if err == nil {
					hashEntry(h, root, name)
				}
				return nil // unreadable, or gone
			})
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
		if n, _ := io.Copy(h, io.LimitReader(f, hashLimit)); n == hashLimit {
			// What is behind is told by what nobody can set back.
			_, _ = fmt.Fprint(h, st.Size(), changeTime(st))
		}
		_ = f.Close()
	}
}

// compare lists what is new or different in after.
func (s watchState) compare(after watchState, list []watch) []Change {
	out := []Change{}
	for _, f := range list {
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
		c := Change{Op: op, Path: f.path, Size: a.size, Note: f.note}
		if op != "D" {
			c.Fix = fixOf(f.note)
		}
		out = append(out, c)
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

// trustedNote says why a name below the top matters to tools; empty if it does not.
func trustedNote(f *folder, name string, dir bool) string {
	if f.parent == nil || f.installed {
		return "" // the top is watched by content
	}
	if dir && name == ".bin" && f.name == "node_modules" && f.depth > 1 {
		return "run by npx and npm scripts"
	}
	if name[0] != '.' && name != "mise.toml" && name != "bunfig.toml" && name != "rust-toolchain.toml" {
		return ""
	}
	return f.nested[name]
}

func sortChanges(cs []Change) {
	slices.SortFunc(cs, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
}
