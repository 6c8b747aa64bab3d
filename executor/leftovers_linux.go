// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/linux"
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

// newLeftovers prepares a walk that ends with ctx. Since is in Unix nanoseconds.
func newLeftovers(ctx context.Context, since int64) *leftovers {
	return &leftovers{
		since: since, max: maxWalk, maxDepth: maxWalkDepth, broken: ctx.Done(), nested: nested(), workers: make(chan struct{}, walkers-1),
		buffers: sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }},
	}
}

// settle makes what a job left in these places harmless and lists it: set-user-ID
// and set-group-ID bits are taken off, and named pipes, sockets, links that lead
// out, repositories, files that tools obey and huge sparse files are reported.
// Nothing is followed, and everything is done relative to held descriptors.
// Readable is where links may lead to.
func (l *leftovers) settle(workspace string, places []place, readable []string) {
	for _, p := range places {
		t := &tree{leftovers: l, top: string(p.Source), uid: p.UID, readable: readable}
		for _, s := range p.Skip {
			t.skip = append(t.skip, string(s))
		}
		if t.top != workspace && !p.File {
			t.prefix = t.top + "/" // a further mount of the operator's
		}
		t.settle(p)
		l.running.Wait()
	}
	sortChanges(l.changes)
	if l.unlisted > 0 {
		l.stop(fmt.Sprintf("%d more that would be listed", l.unlisted))
	}
}

func (t *tree) settle(p place) {
	whole := t.top
	name, flags := "", unix.AT_EMPTY_PATH
	if p.File {
		t.top, name = path.Split(whole)
		t.top, flags = path.Clean(t.top), unix.AT_SYMLINK_NOFOLLOW
	}
	fd, err := openBeneath(unix.AT_FDCWD, t.top, unix.O_DIRECTORY)
	if err != nil {
		t.stop(t.top + ": " + err.Error())
		return
	}
	defer func() { t.running.Wait(); _ = unix.Close(fd) }()
	var st unix.Stat_t
	switch err := unix.Fstatat(fd, name, &st, flags); {
	case err != nil || st.Ino != p.Inode:
		t.stop(whole + " is not what it was")
	case p.File:
		t.prefix = t.top + "/"
		t.file(fd, name)
	default:
		(&folder{tree: t, fd: fd}).walk()
	}
}

const statMask = unix.STATX_TYPE | unix.STATX_MODE | unix.STATX_UID | unix.STATX_CTIME | unix.STATX_SIZE | unix.STATX_BLOCKS

// walk looks at what is in the folder, and reports whether the job changed
// something in it.
func (f *folder) walk() (touched bool) {
	var seen repository
	for {
		// Of a huge directory no more than a buffer's names are held at a time.
		dirs, fresh, more := f.read(&seen)
		if !more {
			break
		}
		touched = fresh || touched
		for _, name := range dirs {
			touched = f.descend(name, &seen) || touched
		}
		if f.over() {
			return touched
		}
	}
	if f.depth > 0 && f.name == ".git" && f.parent.parent == nil {
		return touched // the workspace's own: its parts are watched one by one
	}
	if f.name == ".git" || seen.complete() {
		if seen.fresh || f.changed() {
			f.list("M", cmp.Or(f.path(), "."), 0, noteGit)
		}
	}
	return touched
}

// read looks at one buffer of entries.
func (f *folder) read(seen *repository) (dirs []string, touched, more bool) {
	buf := f.buffers.Get().(*[]byte)
	defer f.buffers.Put(buf)
	got, err := linux.ReadDirents(f.fd, *buf)
	if err != nil {
		f.stop(cmp.Or(f.path(), ".") + ": " + err.Error())
	}
	if len(got) == 0 {
		return nil, false, false
	}
	dirs, touched = f.look(got, seen)
	return dirs, touched, true
}

// look looks at the entries of one buffer and returns the directories among
// them.
func (f *folder) look(got []byte, seen *repository) (dirs []string, touched bool) {
	n := int64(0)
	for len(got) > 0 {
		var d linux.Dirent
		d, got = linux.NextDirent(got)
		name := d.Text()
		if string(name) == "." || string(name) == ".." {
			continue
		}
		n++
		seen.add(name)
		if d.Kind == unix.DT_DIR {
			dirs = append(dirs, string(name))
			continue
		}
		var st unix.Statx_t
		if err := linux.StatAt(f.fd, d, statMask, &st); err != nil {
			continue // gone
		}
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			dirs = append(dirs, string(name))
			continue
		}
		// Only the owner of a file sets these bits, and only a change sets its time.
		if f.fresh(&st) && st.Uid == f.uid {
			touched = true
			f.leaf(string(name), &st, seen)
		}
	}
	f.entries.Add(n)
	return dirs, touched
}

// over reports whether the walk has to end.
func (f *folder) over() bool {
	if f.entries.Load() > f.max {
		f.stop(fmt.Sprintf("more than %d entries", f.max))
		return true
	}
	if f.ended() {
		f.stop("interrupted")
		return true
	}
	return false
}

// descend walks a directory, on another goroutine if one is free and nobody here
// has to know what it finds.
func (f *folder) descend(name string, seen *repository) (touched bool) {
	if len(f.skip) > 0 && slices.Contains(f.skip, f.join(name)) || f.ended() {
		return false
	}
	if f.depth+1 >= f.maxDepth {
		f.stop(fmt.Sprintf("directories more than %d deep", f.maxDepth))
		return false
	}
	fd, err := openBeneath(f.fd, name, unix.O_DIRECTORY)
	if err != nil {
		// Another mount (EXDEV) was not shown to the job.
		if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EXDEV) {
			f.stop(f.join(name) + ": " + err.Error())
		}
		return false
	}
	child := &folder{tree: f.tree, parent: f, name: name, fd: fd, depth: f.depth + 1}
	child.installed = f.installed || f.name == "node_modules" && name != ".bin"
	note := trustedNote(f, name, true)
	child.trusted = f.trusted || note != ""
	obeyed := name == "hooks" || name == "info"
	if !child.trusted && !obeyed {
		select {
		case f.workers <- struct{}{}:
			f.running.Go(func() {
				defer func() { <-f.workers }()
				child.walk()
				_ = unix.Close(fd)
			})
			return false
		default:
		}
	}
	defer func() { _ = unix.Close(fd) }()
	touched = child.walk()
	if obeyed && (touched || child.changed()) {
		seen.fresh = true
	}
	if note != "" && (touched || child.changed()) {
		f.list("M", child.path(), 0, note)
	}
	return touched && child.trusted
}

// changed reports whether the job changed the folder's own list of names.
func (f *folder) changed() bool {
	var st unix.Statx_t
	return unix.Statx(f.fd, "", unix.AT_EMPTY_PATH, statMask, &st) == nil && f.fresh(&st)
}

// file looks at a single file that was the job's to write.
func (t *tree) file(dir int, name string) {
	var st unix.Statx_t
	f := &folder{tree: t, fd: dir}
	if err := unix.Statx(dir, name, unix.AT_SYMLINK_NOFOLLOW, statMask, &st); err == nil && f.fresh(&st) && st.Uid == t.uid {
		f.leaf(name, &st, &repository{})
	}
	t.entries.Add(1)
}

// leaf looks at one name that is new or changed and no directory.
func (f *folder) leaf(name string, st *unix.Statx_t, seen *repository) {
	size := int64(st.Size)
	switch name {
	case "config", "config.worktree", "commondir", "HEAD":
		seen.fresh = true
	case ".git":
		if k := st.Mode & unix.S_IFMT; k == unix.S_IFREG || k == unix.S_IFLNK {
			f.list("M", f.join(name), 0, noteGit)
		}
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		if st.Mode&(unix.S_ISUID|unix.S_ISGID) != 0 {
			note := noteSetID
			if err := stripSetID(f.fd, name); err != nil {
				note = noteKept
			}
			f.list("M", f.join(name), size, note)
		}
		if size >= sparseBytes && int64(st.Blocks)*512 < size/2 {
			f.list("M", f.join(name), size, noteSparse)
		}
	case unix.S_IFIFO:
		f.list("A", f.join(name), 0, notePipe)
		return
	case unix.S_IFSOCK:
		f.list("A", f.join(name), 0, noteSocket)
		return
	case unix.S_IFLNK:
		if f.leadsOut(name) {
			f.list("A", f.join(name), size, noteLink)
		}
	}
	if note := trustedNote(f, name, false); note != "" {
		f.list("M", f.join(name), size, note)
	}
}

func (l *leftovers) fresh(st *unix.Statx_t) bool {
	return st.Ctime.Sec*1e9+int64(st.Ctime.Nsec) >= l.since
}

// leadsOut tells a link whose text leads out of the workspace, but for those to
// what everybody sees: the system's own programs.
func (f *folder) leadsOut(name string) bool {
	buf := make([]byte, 4096)
	n, err := unix.Readlinkat(f.fd, name, buf)
	if err != nil {
		return false
	}
	to := string(buf[:n])
	if !path.IsAbs(to) {
		to = path.Join(f.top, f.path(), to)
	}
	to = path.Clean(to)
	within := func(d string) bool { return to == d || contains(d, to) }
	return !within(f.top) && !slices.ContainsFunc(f.readable, func(d string) bool { return !strings.HasPrefix(d, "/etc") && within(d) })
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

// changeTime is when a file was last changed in any way. Nobody can set it.
func changeTime(st fs.FileInfo) int64 {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return sys.Ctim.Nano()
	}
	return 0
}
