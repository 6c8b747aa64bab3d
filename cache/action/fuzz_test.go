// SPDX-License-Identifier: Apache-2.0

package action

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLinks: of links that are taken none leads out, whatever other links are on the way.
func FuzzLinks(f *testing.F) {
	f.Add("a", "..", "a/b", "../../one")
	f.Add(".", "a/..", ".", "one/..")
	f.Add("a/b", "../../two", ".", "a/b/one/../..")
	f.Add(".", ".", ".", "one/../..")
	f.Add("a/b/c", "../../../two", ".", "..")
	f.Fuzz(func(t *testing.T, dir1, to1, dir2, to2 string) {
		root, err := os.OpenRoot(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		if err := root.MkdirAll("a/b/c", 0o755); err != nil {
			t.Fatal(err)
		}
		var made []string
		for i, l := range [][2]string{{dir1, to1}, {dir2, to2}} {
			if l[0] != "." && l[0] != "a" && l[0] != "a/b" && l[0] != "a/b/c" || !staysInside(l[0], l[1]) {
				continue
			}
			name := path.Join(l[0], []string{"one", "two"}[i])
			if err := root.Symlink(l[1], name); err != nil {
				continue // too long for a link
			}
			made = append(made, name)
		}
		for _, name := range made {
			// The kernel's own answer; Stat of the root would refuse what leads out.
			full, err := filepath.EvalSymlinks(filepath.Join(root.Name(), name))
			if err != nil {
				continue // it leads nowhere
			}
			top, err := filepath.EvalSymlinks(root.Name())
			if err != nil {
				t.Fatal(err)
			}
			if full != top && !strings.HasPrefix(full, top+"/") {
				t.Fatalf("%s of %q leads to %s", name, [][2]string{{dir1, to1}, {dir2, to2}}, full)
			}
			if _, err := root.Stat(name); err != nil {
				t.Fatalf("%s of %q: %v", name, [][2]string{{dir1, to1}, {dir2, to2}}, err)
			}
		}
	})
}

// FuzzTree: a tree that is read is the same when it is written again.
func FuzzTree(f *testing.F) {
	f.Add([]byte("100644 a\x0012345678901234567890"))
	f.Add([]byte("40000 ..\x0012345678901234567890120000 b\x0012345678901234567890"))
	f.Add([]byte("1 \x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := parseTree(b, 20)
		if err != nil {
			return
		}
		var again bytes.Buffer
		for _, e := range entries {
			id, err := hex.DecodeString(e.id)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&again, "%s %s\x00%s", e.mode, e.name, id)
		}
		if !bytes.Equal(again.Bytes(), b) {
			t.Fatalf("%q from %q", again.Bytes(), b)
		}
	})
}

// carrier answers as git cat-file --batch would, with objects that need not be what they
// are asked for as.
type carrier struct {
	objects map[string][]byte
	asked   bytes.Buffer
	out     bytes.Buffer
	lies    bool
}

func (c *carrier) Write(p []byte) (int, error) {
	c.asked.Write(p)
	for {
		at := bytes.IndexByte(c.asked.Bytes(), '\n')
		if at < 0 {
			return len(p), nil
		}
		line := string(c.asked.Next(at + 1))
		id := strings.TrimSpace(line)
		o, ok := c.objects[id]
		if !ok {
			fmt.Fprintf(&c.out, "%s missing\n", id)
			continue
		}
		kind, content, _ := bytes.Cut(o, []byte{0})
		kind, _, _ = bytes.Cut(kind, []byte{' '})
		if c.lies && len(content) > 0 {
			content = bytes.Clone(content)
			content[len(content)-1]++
		}
		fmt.Fprintf(&c.out, "%s %s %d\n%s\n", id, kind, len(content), content)
	}
}

func (c *carrier) Read(p []byte) (int, error) { return c.out.Read(p) }

func (c *carrier) add(kind string, content []byte) string {
	h := objectHash(40, kind, int64(len(content)))
	h.Write(content)
	id := hex.EncodeToString(h.Sum(nil))
	c.objects[id] = fmt.Appendf(nil, "%s %d\x00%s", kind, len(content), content)
	return id
}

// FuzzExtract: trees of any content make no file outside of their folder, nothing that is
// not in the list, and pass the check of the list.
func FuzzExtract(f *testing.F) {
	f.Add([]byte("100644 a\x01120000 l\x01100755 b\x01"), "a", false)
	f.Add([]byte("120000 a\x01100644 ../b\x01"), "../../x", false)
	f.Add([]byte("40000 a\x02100644 b\x01"), ".", false)
	f.Add([]byte("160000 a\x01120000 b\x01"), "/etc", false)
	f.Add([]byte("100644 a\x01"), "content", true)
	f.Add([]byte("40000 \xdb\x02"), "0", false)
	f.Fuzz(func(t *testing.T, tree []byte, blob string, lies bool) {
		c := &carrier{objects: map[string][]byte{}}
		blobID := c.add("blob", []byte(blob))
		inner := c.add("tree", fmt.Appendf(nil, "100644 inner\x00%s120000 link\x00%s", raw(blobID), raw(blobID)))
		// In place of ids, which nothing would find, \x01 is the blob's and \x02 the tree's.
		tree = bytes.ReplaceAll(tree, []byte{1}, append([]byte{0}, raw(blobID)...))
		tree = bytes.ReplaceAll(tree, []byte{2}, append([]byte{0}, raw(inner)...))
		commit := c.add("commit", fmt.Appendf(nil, "tree %s\n\nx\n", c.add("tree", tree)))
		c.lies = lies
		top := t.TempDir()
		if err := os.Mkdir(filepath.Join(top, "files"), 0o755); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(filepath.Join(top, "files"))
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		x, err := extract(c, &objects{out: bufio.NewReader(c), left: 1 << 20}, commit, root)
		if beside, _ := os.ReadDir(top); len(beside) != 1 {
			t.Fatalf("beside the folder: %v", beside)
		}
		if err != nil {
			return
		}
		if lies {
			t.Fatal("a carrier that lies was believed")
		}
		if err := check(x.list.encode(), root); err != nil {
			t.Fatal(err)
		}
		n := 0
		// Not by root.FS, in which a name that is no UTF-8 is none (fs.ValidPath).
		_ = filepath.WalkDir(root.Name(), func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				t.Fatal(err)
			}
			n++
			if d.Type()&fs.ModeSymlink != 0 {
				rel, err := filepath.Rel(root.Name(), name)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := root.Stat(rel); err != nil && strings.Contains(err.Error(), "escapes") {
					t.Fatalf("%s leads out", name)
				}
			}
			return nil
		})
		if n != x.list.entries()+1 {
			t.Fatalf("%d files, %d in the list", n, x.list.entries())
		}
	})
}

func raw(id string) []byte {
	b, err := hex.DecodeString(id)
	if err != nil {
		panic(err)
	}
	return b
}

var _ io.ReadWriter = (*carrier)(nil)
