// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/linux"
	"github.com/zviz/run/internal/tiny"
	"github.com/zviz/run/sandbox/landlock"
	"github.com/zviz/run/sandbox/pid1"
)

// prepared holds the descriptors of a program's handles, no low ones, -1
// where the start fills them in.
type prepared struct {
	fds []int
}

func (p *prepared) close() {
	for i, fd := range p.fds {
		if fd >= 0 {
			_ = unix.Close(fd)
			p.fds[i] = -1
		}
	}
}

// prepare makes the descriptors that need nothing but the host.
func prepare(prog Program, users *userNamespaces) (_ *prepared, err error) {
	p := &prepared{fds: make([]int, len(prog.Handles))}
	for i := range p.fds {
		p.fds[i] = -1
	}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	for i, h := range prog.Handles {
		var fd int
		switch h.Kind {
		case HandleTmpfs:
			fd, err = makeTmpfs(h)
		case HandleBind:
			fd, err = makeBind(h, users)
		case HandleOverlay:
			fd, err = p.makeOverlay(h)
		case HandleDevpts:
			// max: all instances together have kernel.pty.max (4096), less what is kept
			// for the host's own; without a bound one job could take it all.
			fd, err = makeFS("devpts", h, [][2]string{{"newinstance", ""}, {"ptmxmode", "0666"}, {"mode", "0620"}, {"max", "256"}})
		case HandleUserNS:
			fd, err = users.job.get()
			if err == nil {
				fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, linux.LowFDs)
			}
		case HandleNetNS:
			fd, err = unix.Open(h.Source, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		case HandleRules:
			fd, err = p.makeRules(prog, h)
		case HandlePID1:
			fd, err = makePID1(prog.Command, h.Owner)
		case HandleCommand:
			fd, err = tiny.Memory("zviz-command")
		case HandleSpare:
			fd, err = unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		default:
			continue // pipes, streams and the lock come with the start
		}
		if err == nil {
			p.fds[i], err = linux.HighFD(fd)
		}
		if err != nil {
			if le, ok := errors.AsType[*LayerError](err); ok {
				return nil, le
			}
			return nil, &LayerError{Layer: h.Layer, Stage: string(h.Kind), Path: h.Name, Err: err}
		}
	}
	return p, nil
}

func mountAttr(flags []string) uint64 {
	var a uint64
	for _, f := range flags {
		switch f {
		case "ro":
			a |= unix.MOUNT_ATTR_RDONLY
		case "nosuid":
			a |= unix.MOUNT_ATTR_NOSUID
		case "nodev":
			a |= unix.MOUNT_ATTR_NODEV
		case "noexec":
			a |= unix.MOUNT_ATTR_NOEXEC
		}
	}
	return a
}

// makeFS makes a detached mount of a new file system (fsopen(2), Linux 5.2).
func makeFS(kind string, h Handle, options [][2]string) (int, error) {
	fs, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("fsopen "+kind, err)
	}
	defer closeAll(fs)
	for _, o := range options {
		if o[1] == "" {
			err = unix.FsconfigSetFlag(fs, o[0])
		} else {
			err = unix.FsconfigSetString(fs, o[0], o[1])
		}
		if err != nil {
			return -1, fmt.Errorf("fsconfig %s %s=%s: %w", kind, o[0], o[1], err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, fmt.Errorf("fsconfig create %s: %w", kind, err)
	}
	// A tmpfs is filled before it becomes read-only.
	attr := mountAttr(h.Flags)
	if kind == "tmpfs" {
		attr &^= unix.MOUNT_ATTR_RDONLY
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, int(attr))
	if err != nil {
		return -1, os.NewSyscallError("fsmount "+kind, err)
	}
	return fd, nil
}

func makeTmpfs(h Handle) (int, error) {
	options := [][2]string{{"mode", fmt.Sprintf("%04o", h.Mode)}, {"size", h.Size}}
	if h.Inodes > 0 {
		options = append(options, [2]string{"nr_inodes", strconv.Itoa(h.Inodes)})
	}
	fd, err := makeFS("tmpfs", h, options)
	if err != nil {
		return -1, err
	}
	if err := fill(fd, h.Nodes); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	if h.Owner != nil {
		if err := giveAway(fd, h.Nodes, *h.Owner); err != nil {
			_ = unix.Close(fd)
			return -1, err
		}
	}
	if slices.Contains(h.Flags, "ro") {
		if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
			_ = unix.Close(fd)
			return -1, os.NewSyscallError("mount_setattr", err)
		}
	}
	return fd, nil
}

// umask is the runner's, which nothing changes; 0777 if it cannot be told
// (proc_pid_status(5), Linux 4.7). umask(2) would change it to tell it.
var umask = sync.OnceValue(func() uint32 { //nolint:gochecknoglobals // a constant of the process
	b, err := linux.ReadFile("/proc/self/status", 4096)
	if err != nil {
		return 0o777
	}
	_, rest, ok := strings.Cut(string(b), "\nUmask:\t")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseUint(line, 8, 32)
	if !ok || err != nil {
		return 0o777
	}
	return uint32(n)
})

// fill makes the nodes of a tmpfs that nobody else has seen.
func fill(fd int, nodes []Node) error {
	for _, n := range nodes {
		var err error
		switch n.Kind {
		case "dir":
			err = unix.Mkdirat(fd, n.Path, n.Mode)
		case "link":
			err = unix.Symlinkat(string(n.Data), fd, n.Path)
		default:
			err = writeNode(fd, n)
		}
		if err == nil && n.Kind != "link" && n.Mode&^0o777|n.Mode&umask() != 0 {
			err = unix.Fchmodat(fd, n.Path, n.Mode, 0)
		}
		if err != nil {
			return &os.PathError{Op: "make", Path: "/" + n.Path, Err: err}
		}
	}
	return nil
}

// giveAway makes a tmpfs and all that is in it the owner's.
func giveAway(fd int, nodes []Node, o Owner) error {
	for _, n := range append([]Node{{Path: "."}}, nodes...) {
		if err := unix.Fchownat(fd, n.Path, int(o.UID), int(o.GID), unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return &os.PathError{Op: "chown", Path: "/" + n.Path, Err: err}
		}
	}
	return nil
}

func writeNode(dir int, n Node) error {
	// A tmpfs with a file that somebody may write cannot become read-only (EBUSY), and
	// a child of another start would have a copy.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := unix.Openat(dir, n.Path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NOFOLLOW, n.Mode)
	if err != nil {
		return err
	}
	for b := n.Data; len(b) > 0; {
		w, err := unix.Write(fd, b)
		if err != nil {
			return errors.Join(err, unix.Close(fd))
		}
		b = b[w:]
	}
	return unix.Close(fd)
}

// makeBind clones a part of the host's tree. A writable source, or one of a
// path that a job wrote to, is opened without following any link.
func makeBind(h Handle, users *userNamespaces) (int, error) {
	how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC}
	if !slices.Contains(h.Flags, "recursive") && !h.Held {
		how.Resolve = unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS
	}
	src, err := unix.Openat2(unix.AT_FDCWD, h.Source, how)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: h.Source, Err: err}
	}
	defer closeAll(src)
	if strings.HasPrefix(h.Name, "/dev/") && strings.HasPrefix(h.Source, "/dev/") {
		if err := checkDevice(src, h.Source); err != nil {
			return -1, err
		}
	}
	tree := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH)
	set := uint(unix.AT_EMPTY_PATH)
	if slices.Contains(h.Flags, "recursive") {
		tree |= unix.AT_RECURSIVE
		set |= unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(src, "", tree)
	if err != nil {
		return -1, &os.PathError{Op: "open_tree", Path: h.Source, Err: err}
	}
	attr := &unix.MountAttr{Attr_set: mountAttr(h.Flags), Propagation: unix.MS_PRIVATE}
	if mapper := users.mapper(h); mapper != nil {
		ns, err := mapper.get()
		if err != nil {
			return -1, errors.Join(err, unix.Close(fd))
		}
		attr.Attr_set |= unix.MOUNT_ATTR_IDMAP
		attr.Userns_fd = uint64(ns)
	}
	if err := unix.MountSetattr(fd, "", set, attr); err != nil {
		_ = unix.Close(fd)
		if attr.Attr_set&unix.MOUNT_ATTR_IDMAP != 0 && errors.Is(err, unix.EINVAL) {
			what := "workspace"
			if h.Mapped {
				what = "root file system"
			}
			return -1, &LayerError{
				Layer: LayerMount, Stage: "mount_setattr", Path: h.Source, Err: fmt.Errorf("its file system has no id-mapped mounts: %w", err),
				Fix: "move the " + what + " to ext4, xfs, btrfs or tmpfs",
			}
		}
		return -1, &os.PathError{Op: "mount_setattr", Path: h.Source, Err: err}
	}
	return fd, nil
}

// deviceNumbers are those of Documentation/admin-guide/devices.txt.
func checkDevice(fd int, name string) error {
	want := map[string][2]uint32{
		"/dev/null": {1, 3}, "/dev/zero": {1, 5}, "/dev/full": {1, 7}, "/dev/random": {1, 8}, "/dev/urandom": {1, 9}, "/dev/tty": {5, 0},
	}[name]
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &os.PathError{Op: "stat", Path: name, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR || unix.Major(st.Rdev) != want[0] || unix.Minor(st.Rdev) != want[1] {
		return fmt.Errorf("%s is not the device that it should be", name)
	}
	return nil
}

// makeOverlay stacks prepared handles. Layers by descriptor need Linux 6.13.
func (p *prepared) makeOverlay(h Handle) (int, error) {
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("fsopen overlay", err)
	}
	defer closeAll(fs)
	for i, l := range h.Lower {
		fd := p.fds[l]
		if i == 0 && h.Sub != "" {
			if fd, err = unix.Openat(fd, h.Sub, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
				return -1, &os.PathError{Op: "open", Path: h.Sub, Err: err}
			}
			defer closeAll(fd)
		}
		if err := unix.FsconfigSetFd(fs, "lowerdir+", fd); err != nil {
			return -1, fmt.Errorf("fsconfig overlay lowerdir (by descriptor needs Linux 6.13): %w", err)
		}
	}
	for _, d := range [][2]string{{"upperdir", h.Upper}, {"workdir", h.Work}} {
		if d[1] == "" {
			continue
		}
		if err := unix.FsconfigSetString(fs, d[0], d[1]); err != nil {
			return -1, fmt.Errorf("fsconfig overlay %s: %w", d[0], err)
		}
	}
	if h.UserXattr {
		if err := unix.FsconfigSetFlag(fs, "userxattr"); err != nil {
			return -1, fmt.Errorf("fsconfig overlay userxattr: %w", err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, fmt.Errorf("fsconfig create overlay: %w", err)
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, int(mountAttr(h.Flags)))
	if err != nil {
		return -1, os.NewSyscallError("fsmount overlay", err)
	}
	return fd, nil
}

// makeRules opens each path through the detached mounts: a rule is tied to the
// inode that the job will meet.
func (p *prepared) makeRules(prog Program, h Handle) (int, error) {
	var rules []landlock.Rule
	var open []int
	defer func() {
		for _, fd := range open {
			_ = unix.Close(fd)
		}
	}()
	for _, r := range h.Rules {
		fd := p.fds[r.Handle]
		if r.Path != "." {
			var err error
			fd, err = unix.Openat2(fd, r.Path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS})
			if err != nil {
				return -1, &LayerError{Layer: LayerLandlock, Stage: "open", Path: path.Join(prog.Handles[r.Handle].Name, r.Path), Err: err}
			}
			open = append(open, fd)
		}
		rules = append(rules, landlock.Rule{FD: fd, Dir: r.Dir, Right: r.Right})
	}
	abi, err := landlock.ABI()
	if err != nil {
		return -1, err
	}
	return landlock.Create(abi, h.Scoped, rules)
}

// makePID1 makes the program of process 1. With an owner it is that one's: a file
// that nobody inside owns is one that root inside cannot read either, which keeps
// the process undumpable.
func makePID1(c pid1.Command, o *Owner) (int, error) {
	image, err := pid1.Waiting()
	if c.Args != nil {
		image, err = pid1.Image(c)
	}
	if err != nil {
		return -1, err
	}
	fd, err := tiny.File(pid1.Name, image)
	if err != nil || o == nil {
		return fd, err
	}
	if err := unix.Fchownat(fd, "", int(o.UID), int(o.GID), unix.AT_EMPTY_PATH); err != nil {
		_ = unix.Close(fd)
		return -1, os.NewSyscallError("fchownat", err)
	}
	return fd, nil
}
