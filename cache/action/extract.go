// SPDX-License-Identifier: Apache-2.0

package action

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// The most that a tree may have.
const (
	mostFiles = 200_000
	deepest   = 100
)

// extraction writes a tree into a folder.
type extraction struct {
	objects *objects
	root    *os.Root
	list    list
	left    []string // links that were left out
}

// tree writes the tree of an id below dir.
func (x *extraction) tree(id, dir string, depth int) error {
	if depth > deepest {
		return refuse("folders are in each other %d deep", depth)
	}
	entries, err := x.objects.entries(id)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := x.entry(e, dir, depth); err != nil {
			return err
		}
	}
	return nil
}

func (x *extraction) entry(e entry, dir string, depth int) error {
	if wrongName(e.name) {
		return refuse("a file has the name %q in %q", clip(e.name), clip(dir))
	}
	if x.list.entries() >= mostFiles {
		return fmt.Errorf("%w: more than %d files", errTooLarge, mostFiles)
	}
	name := path.Join(dir, e.name)
	switch e.mode {
	case "40000", "040000":
		if err := x.mkdir(name); err != nil {
			return err
		}
		x.list.add('d', strings.Repeat("0", len(e.id)), 0, name)
		return x.tree(e.id, name, depth+1)
	case "160000": // a submodule: an empty folder, as in an archive
		x.list.add('d', strings.Repeat("0", len(e.id)), 0, name)
		return x.mkdir(name)
	case "120000":
		return x.link(e, name)
	case "100644", "100664", "100600", "100755":
		return x.file(e, name)
	default:
		return refuse("%q has the mode %s", clip(name), clip(e.mode))
	}
}

func (x *extraction) mkdir(name string) error {
	return twice(x.root.Mkdir(name, 0o755), name)
}

// twice names what a tree must not have: two entries of a name, of which git would take
// the last.
func twice(err error, name string) error {
	if errors.Is(err, os.ErrExist) {
		return refuse("%q is there twice", clip(name))
	}
	return err
}

func (x *extraction) file(e entry, name string) (err error) {
	kind, mode := byte('f'), os.FileMode(0o444)
	if e.mode == "100755" {
		kind, mode = 'x', 0o555
	}
	f, err := x.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return twice(err, name)
	}
	size, err := x.objects.copy(e.id, "blob", 1<<62, f)
	x.list.add(kind, e.id, size, name)
	return errors.Join(err, f.Chmod(mode), f.Close())
}

// link makes a link that stays inside, and leaves out another.
func (x *extraction) link(e entry, name string) error {
	var b bytes.Buffer
	size, err := x.objects.copy(e.id, "blob", mostLink, &b)
	if err != nil {
		return err
	}
	if !staysInside(path.Dir(name), b.String()) {
		x.left = append(x.left, name)
		return nil
	}
	x.list.add('l', e.id, size, name)
	return twice(x.root.Symlink(b.String(), name), name)
}

// wrongName knows names that lead elsewhere or that git itself would take for its own.
func wrongName(s string) bool {
	return s == "" || s == "." || s == ".." || strings.EqualFold(s, ".git") || strings.ContainsAny(s, "/\x00") || len(s) > 255
}

// staysInside says whether a link in dir leads to something below the top. Folders on the
// way may be links too, and the parent of where they lead is another one than it looks:
// so all .. must come first, where the folders are those of the tree itself.
func staysInside(dir, target string) bool {
	if target == "" || path.IsAbs(target) || strings.ContainsRune(target, 0) {
		return false
	}
	up, depth := 0, 0
	if dir != "." {
		depth = strings.Count(dir, "/") + 1
	}
	down := false
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
		case "..":
			if up++; down || up > depth {
				return false
			}
		default:
			down = true
		}
	}
	return true
}

// extract writes a commit into the folder. What it returns says what is in there.
func extract(in io.Writer, o *objects, commit string, root *os.Root) (*extraction, error) {
	o.in = in
	id, err := o.tree(commit)
	if err != nil {
		return nil, err
	}
	x := &extraction{objects: o, root: root}
	return x, x.tree(id, ".", 0)
}
