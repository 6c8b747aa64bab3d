// SPDX-License-Identifier: Apache-2.0

package action

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // it is git's; git itself looks for known collisions when it takes a pack
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
)

// objects reads the objects of a repository from git cat-file --batch, and believes none
// whose hash is not its id.
type objects struct {
	in   io.Writer
	out  *bufio.Reader
	left int64 // bytes that all objects may still have
}

// objectHash is the hash of an object of git's, before its content.
func objectHash(idLength int, kind string, size int64) hash.Hash {
	var h hash.Hash
	if idLength == 64 {
		h = sha256.New()
	} else {
		h = sha1.New() //nolint:gosec // git's
	}
	fmt.Fprintf(h, "%s %d\x00", kind, size)
	return h
}

// copy writes the content of an object of a kind to w. With an error w may have a part.
func (o *objects) copy(id, kind string, most int64, w io.Writer) (size int64, err error) {
	if _, err := io.WriteString(o.in, id+"\n"); err != nil {
		return 0, fmt.Errorf("git cat-file: %w", err)
	}
	head, err := o.out.ReadString('\n')
	if err != nil {
		return 0, fmt.Errorf("git cat-file: %w", err)
	}
	f := strings.Fields(head)
	if len(f) == 2 && f[1] == "missing" {
		return 0, refuse("object %s is missing", id)
	}
	if len(f) != 3 || f[0] != id {
		return 0, fmt.Errorf("git cat-file says %q", clip(head))
	}
	if f[1] != kind {
		return 0, refuse("%s is a %s, not a %s", id, clip(f[1]), kind)
	}
	if size, err = strconv.ParseInt(f[2], 10, 64); err != nil || size < 0 {
		return 0, fmt.Errorf("git cat-file says %q", clip(head))
	}
	if o.left -= size; o.left < 0 || size > most {
		return 0, fmt.Errorf("%w: a %s of %d bytes", errTooLarge, kind, size)
	}
	h := objectHash(len(id), kind, size)
	if _, err := io.CopyN(io.MultiWriter(w, h), o.out, size); err != nil {
		return 0, err
	}
	if b, err := o.out.ReadByte(); err != nil || b != '\n' {
		return 0, errors.New("git cat-file: an object does not end where it should")
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != id {
		return 0, refuse("%s %s has the hash %s", kind, id, got)
	}
	return size, nil
}

// The most that commits, trees and links may have, in bytes.
const (
	mostCommit = 1 << 20
	mostTree   = 16 << 20
	mostLink   = 4096
)

// tree is the id of a commit's tree.
func (o *objects) tree(commit string) (string, error) {
	var b bytes.Buffer
	if _, err := o.copy(commit, "commit", mostCommit, &b); err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(b.String(), "\n")
	id, ok := strings.CutPrefix(line, "tree ")
	if !ok || !fullCommit(id) || len(id) != len(commit) {
		return "", refuse("commit %s names no tree", commit)
	}
	return id, nil
}

// entry is one of a tree.
type entry struct {
	mode string // as git writes it: 100644, 100755, 120000, 160000, 40000
	name string
	id   string
}

// entries reads a tree.
func (o *objects) entries(id string) ([]entry, error) {
	var b bytes.Buffer
	if _, err := o.copy(id, "tree", mostTree, &b); err != nil {
		return nil, err
	}
	return parseTree(b.Bytes(), len(id)/2)
}

// parseTree takes a tree apart: MODE, a space, a name, a null byte, and the id in binary.
func parseTree(b []byte, idBytes int) ([]entry, error) {
	var out []entry
	for len(b) > 0 {
		space := bytes.IndexByte(b, ' ')
		null := bytes.IndexByte(b, 0)
		if space < 1 || space > 8 || null < space || len(b) < null+1+idBytes {
			return nil, refuse("a tree cannot be read")
		}
		out = append(out, entry{mode: string(b[:space]), name: string(b[space+1 : null]), id: hex.EncodeToString(b[null+1 : null+1+idBytes])})
		b = b[null+1+idBytes:]
	}
	return out, nil
}
