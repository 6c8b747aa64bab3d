// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/sandbox"
)

// writable returns what a job can write to and what stays.
func writable(mounts []sandbox.Mount) ([]place, error) {
	var out []place
	for _, m := range mounts {
		if !m.Write || m.Overlay || m.Owner == nil {
			continue
		}
		var st unix.Stat_t
		if err := unix.Lstat(m.Source, &st); err != nil {
			return nil, &os.PathError{Op: "stat", Path: m.Source, Err: err}
		}
		p := place{Source: []byte(m.Source), Inode: st.Ino, UID: m.Owner.UID, File: m.File}
		for _, r := range m.ReadOnly {
			p.Skip = append(p.Skip, []byte(strings.TrimPrefix(r, m.Target+"/")))
		}
		out = append(out, p)
	}
	return out, nil
}

// settle makes what a job left in these places harmless and lists it: set-user-ID
// and set-group-ID bits are taken off, and named pipes, sockets, links that lead
// out, repositories and huge sparse files are reported. Nothing is followed, and
// everything is done relative to held descriptors. Since is in Unix nanoseconds;
// readable is where links may lead to.
func settle(workspace string, places []place, readable []string, since int64) *leftovers {
	l := &leftovers{since: since, max: maxWalk, maxDepth: maxWalkDepth, readable: readable}
	for _, p := range places {
		l.top, l.uid, l.prefix, l.skip = string(p.Source), p.UID, "", nil
		for _, s := range p.Skip {
			l.skip = append(l.skip, string(s))
		}
		dir := l.top
		if p.File {
			dir = path.Dir(l.top)
		} else if l.top != workspace {
			l.prefix = l.top + "/" // a further mount of the operator's
		}
		fd, err := openBeneath(unix.AT_FDCWD, dir, unix.O_DIRECTORY)
		if err != nil {
			l.stop(l.top + ": " + err.Error())
			continue
		}
		var st unix.Stat_t
		name, flags := "", unix.AT_EMPTY_PATH
		if p.File {
			name, flags = path.Base(l.top), unix.AT_SYMLINK_NOFOLLOW
		}
		switch err := unix.Fstatat(fd, name, &st, flags); {
		case err != nil || st.Ino != p.Inode:
			l.stop(l.top + " is not what it was")
		case p.File:
			l.entry(fd, name, l.top, unix.DT_REG, 0)
		default:
			l.walk(fd, "", 0)
		}
		_ = unix.Close(fd)
	}
	sortChanges(l.changes)
	if l.unlisted > 0 {
		l.stop(fmt.Sprintf("%d more that would be listed", l.unlisted))
	}
	return l
}

// walk looks at what is in the directory fd, whose path below top is dir.
func (l *leftovers) walk(fd int, dir string, depth int) {
	buf := make([]byte, 32<<10)
	var dirs []string
	var seen bareRepository
	for {
		n, err := unix.Getdents(fd, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			l.stop(cmp.Or(dir, ".") + ": " + err.Error())
			break
		}
		if n == 0 {
			break
		}
		for rest := buf[:n]; len(rest) > 0; {
			// linux_dirent64 of getdents(2): inode 8, offset 8, length 2, type 1, name.
			size := int(binary.NativeEndian.Uint16(rest[16:]))
			kind := rest[18]
			name, _, _ := strings.Cut(string(rest[19:size]), "\x00")
			rest = rest[size:]
			if name == "." || name == ".." {
				continue
			}
			if l.entries++; l.entries > l.max {
				l.stop(fmt.Sprintf("more than %d entries", l.max))
				return
			}
			seen.add(name)
			if l.entry(fd, name, path.Join(dir, name), kind, depth) {
				dirs = append(dirs, name)
			}
		}
	}
	if seen.complete() && path.Base(dir) != ".git" {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil && l.fresh(&st) {
			l.list("M", cmp.Or(dir, "."), 0, noteGit)
		}
	}
	for _, name := range dirs {
		sub := path.Join(dir, name)
		if slices.Contains(l.skip, sub) {
			continue
		}
		if depth+1 >= l.maxDepth {
			l.stop(fmt.Sprintf("directories more than %d deep", l.maxDepth))
			return
		}
		child, err := openBeneath(fd, name, unix.O_DIRECTORY)
		if err != nil {
			// Another mount (EXDEV) was not shown to the job.
			if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EXDEV) {
				l.stop(sub + ": " + err.Error())
			}
			continue
		}
		l.walk(child, sub, depth+1)
		_ = unix.Close(child)
		if l.entries > l.max {
			return
		}
	}
}

// entry looks at one name and reports whether it is a directory.
func (l *leftovers) entry(dir int, name, rel string, kind byte, depth int) bool {
	git := name == ".git" && depth > 0
	if kind == unix.DT_DIR && !git {
		return true
	}
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return false // gone
	}
	isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	// Only the owner of a file sets these bits, and only a change sets its time.
	if !l.fresh(&st) || st.Uid != l.uid {
		return isDir
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		if st.Mode&(unix.S_ISUID|unix.S_ISGID) != 0 {
			note := noteSetID
			if err := stripSetID(dir, name); err != nil {
				note = noteKept
			}
			l.list("M", rel, st.Size, note)
		}
		if st.Size >= sparseBytes && st.Blocks*512 < st.Size/2 {
			l.list("M", rel, st.Size, noteSparse)
		}
	case unix.S_IFIFO:
		l.list("A", rel, 0, notePipe)
	case unix.S_IFSOCK:
		l.list("A", rel, 0, noteSocket)
	case unix.S_IFLNK:
		if l.leadsOut(dir, name, rel) {
			l.list("A", rel, st.Size, noteLink)
		}
	}
	if git && (isDir || st.Mode&unix.S_IFMT == unix.S_IFREG) {
		l.list("M", rel, 0, noteGit)
	}
	return isDir
}

func (l *leftovers) fresh(st *unix.Stat_t) bool { return st.Ctim.Nano() >= l.since }

// leadsOut tells a link whose text leads out of the workspace, but for those to
// what everybody sees: the system's own programs.
func (l *leftovers) leadsOut(dir int, name, rel string) bool {
	buf := make([]byte, 4096)
	n, err := unix.Readlinkat(dir, name, buf)
	if err != nil {
		return false
	}
	to := string(buf[:n])
	if !path.IsAbs(to) {
		to = path.Join(l.top, path.Dir(rel), to)
	}
	to = path.Clean(to)
	within := func(d string) bool { return to == d || contains(d, to) }
	return !within(l.top) && !slices.ContainsFunc(l.readable, func(d string) bool { return !strings.HasPrefix(d, "/etc") && within(d) })
}

// openBeneath opens a name of a directory for reading, neither through a link nor
// in another mount.
func openBeneath(dir int, name string, flags uint64) (int, error) {
	how := &unix.OpenHow{Flags: flags | unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS}
	if dir != unix.AT_FDCWD {
		how.Resolve |= unix.RESOLVE_BENEATH | unix.RESOLVE_NO_XDEV
	}
	return unix.Openat2(dir, name, how)
}

// stripSetID takes the set-ID bits off a regular file. It opens for reading
// without waiting: by now the name may be another file's.
func stripSetID(dir int, name string) error {
	fd, err := openBeneath(dir, name, unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return err
	}
	return f.Chmod(st.Mode() &^ (fs.ModeSetuid | fs.ModeSetgid))
}
