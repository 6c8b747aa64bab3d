// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// copyLimit is the size in bytes up to which a file is copied into the root.
const copyLimit = 16 << 10

// HostRoot surveys the given absolute paths of the host for a root that shows
// them read-only. A path that is not there is left out; one below another is
// part of it. Links become links.
func HostRoot(paths []string) (Root, error) {
	r := Root{Kind: RootHost}
	sorted := slices.Clone(paths)
	slices.Sort(sorted)
	for _, p := range slices.Compact(sorted) {
		if slices.ContainsFunc(r.Entries, func(e Entry) bool { return e.Dir && strings.HasPrefix(p, e.Target+"/") }) {
			continue
		}
		e, err := entry(p, p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Root{}, err
		}
		if e.Target != "" {
			r.Entries = append(r.Entries, e)
		}
	}
	return r, nil
}

// FolderRoot surveys a folder that holds a root file system. What the sandbox
// itself makes (proc, sys, dev, tmp, run) is not taken from it.
func FolderRoot(dir string) (Root, error) {
	st, err := os.Lstat(dir)
	if err != nil {
		return Root{}, err
	}
	if !st.IsDir() {
		return Root{}, fmt.Errorf("rootfs %s: not a directory", dir)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return Root{}, err
	}
	r := Root{Kind: RootFolder, Path: dir}
	for _, d := range list {
		switch d.Name() {
		case "proc", "sys", "dev", "tmp", "run", "var":
			continue
		}
		e, err := entry(filepath.Join(dir, d.Name()), "/"+d.Name())
		if err != nil {
			return Root{}, err
		}
		if e.Target != "" {
			r.Entries = append(r.Entries, e)
		}
	}
	// Of var only what is not ours: /var/tmp leads to /tmp.
	sub, err := os.ReadDir(filepath.Join(dir, "var"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Root{}, err
	}
	for _, d := range sub {
		if d.Name() == "tmp" || d.Name() == "run" {
			continue
		}
		e, err := entry(filepath.Join(dir, "var", d.Name()), "/var/"+d.Name())
		if err != nil {
			return Root{}, err
		}
		if e.Target != "" {
			r.Entries = append(r.Entries, e)
		}
	}
	return r, nil
}

// entry looks at one path; sockets, pipes and devices give no entry.
func entry(source, target string) (Entry, error) {
	st, err := os.Lstat(source)
	if err != nil {
		return Entry{}, err
	}
	switch {
	case st.Mode()&fs.ModeSymlink != 0:
		link, err := os.Readlink(source)
		return Entry{Target: target, Link: link}, err
	case st.IsDir():
		return Entry{Target: target, Source: source, Dir: true}, nil
	case st.Mode().IsRegular():
		e := Entry{Target: target, Source: source}
		// A copy costs less than a mount. A file that not everybody may read is
		// mounted, so that its owner and mode still count.
		if st.Size() <= copyLimit && st.Mode().Perm()&0o444 == 0o444 && st.Mode().Perm()&0o111 == 0 {
			if e.Data, err = readSmall(source); err != nil {
				return Entry{}, err
			}
			if e.Data == nil {
				e.Data = []byte{}
			}
			e.Source = ""
		}
		return e, nil
	default:
		return Entry{}, nil
	}
}
