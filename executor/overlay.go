// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/pmezard/go-difflib/difflib"
	"golang.org/x/sys/unix"

	"github.com/zviz/run/sandbox"
)

const (
	maxChanges  = 100_000 // listed; a job can make millions of files
	maxDiffFile = 1 << 20 // bytes of a file that is shown as a diff
)

// overlayChanges compares an overlay's upper directory with the workspace below
// it, and writes a unified diff of text files to w if there is one.
//
// The upper directory is the job's: every name in it is foreign, nothing is
// followed. A character device 0:0 stands for a removed file (overlayfs,
// "whiteouts and opaque directories").
func overlayChanges(spec sandbox.Spec, ws workspace, w io.Writer) ([]Change, error) {
	changes := []Change{}
	upper, err := os.OpenRoot(filepath.Join(spec.StateDir, "upper"))
	if err != nil {
		return changes, err
	}
	defer func() { _ = upper.Close() }()
	lower, err := os.OpenRoot(ws.top)
	if err != nil {
		return changes, err
	}
	defer func() { _ = lower.Close() }()
	err = fs.WalkDir(upper.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // unreadable, or gone: nothing to list
		}
		if name == "." {
			return nil
		}
		if len(changes) >= maxChanges {
			return errStop
		}
		st, err := upper.Lstat(name)
		if err != nil {
			return nil //nolint:nilerr // gone
		}
		old, oldErr := lower.Lstat(name)
		c := Change{Op: "M", Path: name, Size: st.Size(), Note: note(name)}
		switch {
		case whiteout(st) && oldErr != nil:
			return nil //nolint:nilerr // made and removed again
		case whiteout(st):
			c.Op, c.Size = "D", 0
		case oldErr != nil:
			c.Op = "A"
		case st.IsDir() && old.IsDir():
			return nil
		}
		if st.IsDir() {
			c.Size = 0
		}
		changes = append(changes, c)
		if w != nil {
			diff(w, lower, upper, c)
		}
		return nil
	})
	if err == errStop { //nolint:errorlint // our own
		err = nil
	}
	sortChanges(changes)
	return changes, err
}

func whiteout(st fs.FileInfo) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && st.Mode()&fs.ModeCharDevice != 0 && unix.Major(uint64(sys.Rdev)) == 0 && unix.Minor(uint64(sys.Rdev)) == 0 //nolint:unconvert // its type differs by system
}

// diff writes one file's changes; files that are not text are left out.
func diff(w io.Writer, lower, upper *os.Root, c Change) {
	before, ok := readText(lower, c.Path)
	if !ok && c.Op != "A" {
		return
	}
	after, ok := readText(upper, c.Path)
	if !ok && c.Op != "D" {
		return
	}
	from, to := "a/"+c.Path, "b/"+c.Path
	if c.Op == "A" {
		from = "/dev/null"
	}
	if c.Op == "D" {
		to, after = "/dev/null", ""
	}
	text, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: lines(before), B: lines(after), FromFile: quoteName(from), ToFile: quoteName(to), Context: 3,
	})
	if err == nil {
		_, _ = io.WriteString(w, text)
	}
}

// lines keeps the line ends; a last line without one gets the usual remark.
func lines(s string) []string {
	if s == "" {
		return nil
	}
	l := strings.SplitAfter(s, "\n")
	if l[len(l)-1] == "" {
		return l[:len(l)-1]
	}
	l[len(l)-1] += "\n\\ No newline at end of file\n"
	return l
}

func readText(root *os.Root, name string) (string, bool) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", false
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() || st.Size() > maxDiffFile {
		return "", false
	}
	b, err := io.ReadAll(io.LimitReader(f, maxDiffFile))
	if err != nil || !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		return "", false
	}
	return string(b), true
}

// quoteName keeps a name with control characters from forging lines.
func quoteName(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Sprintf("%q", s)
	}
	return s
}
