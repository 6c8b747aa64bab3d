// SPDX-License-Identifier: Apache-2.0

package action

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// list is what is in a tree, as the file beside it keeps it:
//
//	zviz-actions 1 BYTES SHA256-OF-THE-REST
//	KIND ID SIZE PATH\0…
//
// Kind is d, f, x (executable) or l.
type list struct {
	body  bytes.Buffer
	bytes int64
	count int
}

const listMagic = "zviz-actions 1"

func (l *list) entries() int { return l.count }

func (l *list) add(kind byte, id string, size int64, name string) {
	fmt.Fprintf(&l.body, "%c %s %d %s\x00", kind, id, size, name)
	l.bytes += size
	l.count++
}

// encode is the file.
func (l *list) encode() []byte {
	sum := sha256.Sum256(l.body.Bytes())
	return append(fmt.Appendf(nil, "%s %d %x\n", listMagic, l.bytes, sum), l.body.Bytes()...)
}

var errList = errors.New("its list is damaged")

// listHead reads the first line: how large the tree is.
func listHead(b []byte) (size int64, sum string, rest []byte, err error) {
	line, rest, ok := bytes.Cut(b, []byte("\n"))
	f := strings.Fields(string(line))
	if !ok || len(f) != 4 || f[0]+" "+f[1] != listMagic {
		return 0, "", nil, errList
	}
	size, err = strconv.ParseInt(f[2], 10, 64)
	if err != nil || size < 0 {
		return 0, "", nil, errList
	}
	return size, f[3], rest, nil
}

// check compares a folder with its list: each file is hashed.
func check(b []byte, root *os.Root) error {
	_, want, rest, err := listHead(b)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(rest); hex.EncodeToString(sum[:]) != want {
		return errList
	}
	for record := range bytes.SplitSeq(rest, []byte{0}) {
		if len(record) == 0 {
			continue
		}
		f := strings.SplitN(string(record), " ", 4)
		if len(f) != 4 {
			return errList
		}
		size, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			return errList
		}
		if err := checkEntry(root, f[0], f[1], size, f[3]); err != nil {
			return fmt.Errorf("%s: %w", f[3], err)
		}
	}
	return nil
}

var errChanged = errors.New("is not what was fetched")

func checkEntry(root *os.Root, kind, id string, size int64, name string) error {
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	mode := info.Mode()
	switch {
	case kind == "d" && mode.IsDir():
		return nil
	case kind == "l" && mode&os.ModeSymlink != 0:
		target, err := root.Readlink(name)
		if err != nil {
			return err
		}
		h := objectHash(len(id), "blob", size)
		_, _ = io.WriteString(h, target)
		return same(h.Sum(nil), id)
	case (kind == "f" && mode.Perm() == 0o444 || kind == "x" && mode.Perm() == 0o555) && mode.IsRegular() && info.Size() == size:
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // it was only read
		h := objectHash(len(id), "blob", size)
		if _, err := io.Copy(h, f); err != nil {
			return err
		}
		return same(h.Sum(nil), id)
	default:
		return errChanged
	}
}

func same(sum []byte, id string) error {
	if hex.EncodeToString(sum) != id {
		return errChanged
	}
	return nil
}
