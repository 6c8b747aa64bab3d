// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const (
	maxGitConfig = 1 << 20 // bytes of a configuration that are read
	maxGitPaths  = 64      // watched
)

// gitPaths returns what the configuration of git names in the workspace: hooks
// elsewhere (core.hooksPath), included files, monitors, filters. The configuration
// is read-only for the job; what it names is not.
func gitPaths(w workspace, home string) []watch {
	var out []watch
	add := func(key, name string) {
		if len(out) >= maxGitPaths || !filepath.IsLocal(name) || name == "." || name == ".git" || strings.HasPrefix(name, ".git/") {
			return
		}
		if !slices.ContainsFunc(out, func(o watch) bool { return o.path == name }) && note(name) == "" {
			out = append(out, watch{name, "run or obeyed by git: " + key + " of its configuration names it"})
		}
	}
	files := []string{"/etc/gitconfig"}
	if home != "" {
		files = append(files, filepath.Join(home, ".gitconfig"), filepath.Join(home, ".config/git/config"))
	}
	for _, file := range append(files, gitConfigs(w)...) {
		for key, values := range parseGitConfig(readSmall(file)) {
			base := w.top
			if strings.HasPrefix(key, "include") {
				base = filepath.Dir(file)
			}
			for _, v := range values {
				for word := range strings.FieldsFuncSeq(v, func(r rune) bool { return strings.ContainsRune(" \t\"'=;|&", r) }) {
					if !strings.Contains(word, "/") && key != "core.hookspath" && !strings.HasPrefix(key, "include") && key != "core.attributesfile" {
						continue // a program of PATH, or no program
					}
					if !path.IsAbs(word) {
						word = filepath.Join(base, word)
					}
					if rel, err := filepath.Rel(w.top, word); err == nil {
						add(key, rel)
					}
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b watch) int { return strings.Compare(a.path, b.path) })
	return out
}

// gitConfigs returns the configuration files of the workspace's repository.
func gitConfigs(w workspace) []string {
	if w.git == "" {
		return nil
	}
	dir := w.git
	if to, ok := strings.CutPrefix(readSmall(dir), "gitdir:"); ok { // a worktree or submodule
		if dir = strings.TrimSpace(to); !path.IsAbs(dir) {
			dir = filepath.Join(w.top, dir)
		}
	}
	out := []string{filepath.Join(dir, "config"), filepath.Join(dir, "config.worktree")}
	if common := strings.TrimSpace(readSmall(filepath.Join(dir, "commondir"))); common != "" {
		if !path.IsAbs(common) {
			common = filepath.Join(dir, common)
		}
		out = append(out, filepath.Join(common, "config"))
	}
	return out
}

// readSmall returns what a regular file holds, empty if it cannot be read.
func readSmall(name string) string {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return ""
	}
	b, err := io.ReadAll(io.LimitReader(f, maxGitConfig))
	if err != nil {
		return ""
	}
	return string(b)
}

// parseGitConfig reads a configuration of git (git-config(1), "Syntax") as far as
// is needed to find paths in it: values by key, section.key in lower case.
func parseGitConfig(text string) map[string][]string {
	out := map[string][]string{}
	section := ""
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\\\n", "")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			head, rest, _ := strings.Cut(line[1:], "]")
			name, _, _ := strings.Cut(head, " ")
			section = strings.ToLower(name)
			line = strings.TrimSpace(rest)
		}
		key, value, _ := strings.Cut(line, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		if section == "" || key == "" || key[0] == '#' || key[0] == ';' || len(key) > 64 {
			continue
		}
		out[section+"."+key] = append(out[section+"."+key], strings.TrimSpace(value))
	}
	return out
}
