// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/linux"
)

// Layered is a directory of a job's with a folder of the runner's below it, ready to be
// mounted into any number of sandboxes: they all see one file system. Close lets go of
// it; sandboxes that have it keep it.
type Layered struct{ fd int }

// NewLayered makes it. It wants layers by descriptor (Linux 6.13), copies of mounts that
// nobody has mounted yet (6.15), and as root a file system with id-mapped mounts below.
func NewLayered(s LayerSpec) (_ *Layered, err error) {
	lower, err := s.lower()
	if err != nil {
		return nil, err
	}
	defer closeAll(lower)
	upper, err := s.upper()
	if err != nil {
		return nil, err
	}
	defer closeAll(upper)
	work, err := unix.Open(s.Work, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: s.Work, Err: err}
	}
	defer closeAll(work)
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("fsopen overlay", err)
	}
	defer closeAll(fs)
	for _, d := range []struct {
		key string
		fd  int
	}{{"lowerdir+", lower}, {"upperdir", upper}, {"workdir", work}} {
		if err := unix.FsconfigSetFd(fs, d.key, d.fd); err != nil {
			return nil, fmt.Errorf("fsconfig overlay %s (by descriptor needs Linux 6.13): %w", d.key, err)
		}
	}
	if s.User {
		if err := unix.FsconfigSetFlag(fs, "userxattr"); err != nil {
			return nil, fmt.Errorf("fsconfig overlay userxattr: %w", err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, fmt.Errorf("fsconfig create overlay: %w", err)
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, int(mountAttr([]string{"nosuid", "nodev"})))
	if err != nil {
		return nil, os.NewSyscallError("fsmount overlay", err)
	}
	if fd, err = linux.HighFD(fd); err != nil {
		return nil, err
	}
	if err := copies(fd); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return &Layered{fd}, nil
}

// copies makes a copy of a detached mount, which every sandbox does that has it, before
// one relies on it.
func copies(fd int) error {
	try, err := unix.OpenTree(fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("open_tree of a detached mount (needs Linux 6.15): %w", err)
	}
	return unix.Close(try)
}

// lower opens the folder below, mapped so that its files are the job's.
func (s LayerSpec) lower() (int, error) {
	runner := Owner{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	users := &userNamespaces{owners: map[Owner]*pending{}}
	if runner != s.IDs.Owner() {
		p := begin(func() (int, error) { return ownerUserNS(runner, s.IDs) })
		users.owners[runner] = p
		defer p.close()
	}
	return makeBind(Handle{Name: s.Dir, Source: s.Lower, Flags: []string{"ro", "nosuid", "nodev"}, Owner: &runner, IDs: s.IDs}, users)
}

// upper opens the job's directory, and makes what is missing of the path to it. The job
// may have been there before.
func (s LayerSpec) upper() (int, error) {
	at, err := unix.Open(s.Home, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: s.Home, Err: err}
	}
	o := s.IDs.Owner()
	for _, name := range splitPath(s.Dir) {
		next, err := beneath(at, name, o)
		closeAll(at)
		if err != nil {
			return -1, &os.PathError{Op: "open", Path: path.Join(s.Home, s.Dir), Err: err}
		}
		at = next
	}
	return at, nil
}

// beneath opens a directory of a directory; it makes it for the owner if there is none.
func beneath(at int, name string, o Owner) (int, error) {
	how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV}
	fd, err := unix.Openat2(at, name, how)
	if !errors.Is(err, unix.ENOENT) {
		return fd, err
	}
	if err := unix.Mkdirat(at, name, 0o755); err != nil {
		return -1, err
	}
	if fd, err = unix.Openat2(at, name, how); err != nil {
		return -1, err
	}
	if err := unix.Fchownat(fd, "", int(o.UID), int(o.GID), unix.AT_EMPTY_PATH); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func splitPath(p string) []string {
	var out []string
	for dir := p; dir != "." && dir != "/"; dir = path.Dir(dir) {
		out = append([]string{path.Base(dir)}, out...)
	}
	return out
}

// Mount shows it at a path inside, of which the directory above is the job's. A job that
// has put something else there goes without it.
func (l *Layered) Mount(target string) Mount {
	return Mount{Source: "/proc/self/fd/" + strconv.Itoa(l.fd), Target: target, Write: true, Held: true}
}

// Close lets go of it.
func (l *Layered) Close() error { return unix.Close(l.fd) }
