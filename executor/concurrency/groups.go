// SPDX-License-Identifier: Apache-2.0

package concurrency

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	gateName  = "lock"  // who reads or changes a folder holds it
	askSuffix = ".stop" // of the file that asks a number to end
)

// Groups are the concurrency groups of a state folder.
type Groups struct{ dir string }

// Open uses the folder dir, which it makes, 0700. Nobody else may write to it.
func Open(dir string) (*Groups, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return nil, err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !st.IsDir() || !ok || int(sys.Uid) != os.Geteuid() {
		return nil, fmt.Errorf("%s is not a folder of ours", dir)
	}
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a folder
		return nil, err
	}
	return &Groups{dir}, nil
}

// folder is the group's. The name of a group is a text of a workflow and no file name.
func (g *Groups) folder(w Want) string {
	sum := sha256.Sum256([]byte(w.Repository + "\x00" + w.folded()))
	return filepath.Join(g.dir, hex.EncodeToString(sum[:]))
}

// members are the numbers in a group's folder, the lowest first, without those whose
// process is dead: their files are removed. The gate is held.
func members(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []uint64
	for _, e := range entries {
		n, err := strconv.ParseUint(e.Name(), 10, 64)
		if err != nil {
			continue
		}
		if f, free := tryLock(filepath.Join(dir, e.Name()), 0); free {
			remove(dir, n)
			_ = f.Close()
			continue
		}
		list = append(list, n)
	}
	slices.Sort(list)
	if len(list) == 0 {
		_ = os.RemoveAll(dir) // an ask to a dead one may be left
	}
	return list, nil
}

// sweep removes what killed runs left in groups that nobody asks for any more. The gate
// is held.
func (g *Groups) sweep() {
	entries, err := os.ReadDir(g.dir)
	if err != nil {
		return // who needs the folder hears of it
	}
	for _, e := range entries {
		if e.IsDir() {
			_, _ = members(filepath.Join(g.dir, e.Name()))
		}
	}
}

func remove(dir string, n uint64) {
	name := fileOf(dir, n)
	_, _ = os.Remove(name), os.Remove(name+askSuffix) // without its lock it counts for nothing
}

func fileOf(dir string, n uint64) string { return filepath.Join(dir, strconv.FormatUint(n, 10)) }

// holderOf is the process of a number, for people; 0 if it is not known.
func holderOf(dir string, n uint64) int {
	text, err := os.ReadFile(fileOf(dir, n))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}
