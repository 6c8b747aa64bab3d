// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// rootRows are rows of a root file system that somebody hostile made, and of what
// is mounted into it.
func rootRows() []Attempt {
	ours := []string{"/dev is ours"}
	return []Attempt{
		{
			ID: "fs-18", What: "/dev/null of the image is a link to core_pattern", Want: ours, Control: ByTest,
			run: writesThrough("/dev/null"),
		},
		{
			ID: "fs-19", What: "/dev/console and /dev/pts/0 of the image are links into /proc", Want: ours, Control: ByTest,
			run: writesThrough("/dev/console", "/dev/pts/0"),
		},
		{
			ID: "fs-20", What: "/dev of the image is a link out of it", Want: ours, Control: ByTest,
			run: func([]string) (string, error) {
				if st, err := os.Lstat("/dev"); err != nil || !st.IsDir() {
					return "/dev is the image's", err
				}
				return writesThrough("/dev/null")(nil)
			},
		},
		{
			ID: "fs-21", What: "/proc of the image is a link to /etc, /sys a file", Want: []string{"/proc is ours"}, Control: ByTest,
			run: func([]string) (string, error) {
				var etc, proc unix.Statfs_t
				if unix.Statfs("/etc", &etc) == nil && etc.Type == unix.PROC_SUPER_MAGIC {
					return "proc is mounted on /etc", nil
				}
				for _, dir := range []string{"/proc", "/sys"} {
					if st, err := os.Lstat(dir); err != nil || !st.IsDir() {
						return dir + " is the image's", err
					}
				}
				if err := unix.Statfs("/proc", &proc); err != nil || proc.Type != unix.PROC_SUPER_MAGIC {
					return "/proc is no proc", err
				}
				return "", found("/proc is ours")
			},
		},
		{
			ID: "fs-22", What: "a directory becomes a link while a mount is made in it", Want: []string{"mount lands inside the root"}, Control: ByTest,
			run: withPath(findsMount),
		},
		{
			ID: "proc-10", What: "take the foreground of an inherited terminal", Want: []string{"no host terminal"}, Control: ByTest,
			run: takesTerminal,
		},
		{
			// What a job does not reach it cannot leave for: a group of its own.
			ID: "proc-04-cgroup", What: "make a control group and move to it", Want: []string{"ENOENT", "EROFS"}, Control: AsRoot,
			run: leavesGroup,
		},
		{
			ID: "proc-07-segment", What: "find the System V segment of a job that runs", Want: []string{"ENOSYS"}, WantCI: []string{"ENOENT"}, Control: ByTest,
			run: func([]string) (string, error) {
				return "its segment", inChild(call{unix.SYS_SHMGET, segmentKey, 0, 0})
			},
		},
		{
			ID: "ws-08-immutable", What: "make a file that cannot be removed (chattr +i)", Want: []string{"ENOTTY"}, Control: AsRoot,
			run: makesImmutable,
		},
	}
}

// segmentKey is that of the segment that proc-07-sysv makes.
const segmentKey = 0x7a766a01

// writesThrough writes to what should be devices; through a link it reaches what
// the link leads to. A path that is not there is none of an image's.
func writesThrough(paths ...string) func([]string) (string, error) {
	return func([]string) (string, error) {
		for _, path := range paths {
			st, err := os.Lstat(path)
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil {
				return "", broken("lstat", err)
			}
			if st.Mode()&os.ModeCharDevice != 0 {
				continue
			}
			to, _ := os.Readlink(path) // a regular file leads nowhere
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString("|/x")
				err = errors.Join(err, f.Close())
			}
			return fmt.Sprintf("%s leads to %q, write: %v", path, to, err), nil
		}
		return "", found("/dev is ours")
	}
}

// findsMount looks for the mount of a directory of that name (proc(5), mountinfo:
// the fourth field is what is mounted, the fifth where).
func findsMount(name string) (string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", broken("mountinfo", err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 5 && filepath.Base(f[3]) == name {
			return "", found("mount lands inside the root")
		}
	}
	return "the mount is in another root", nil
}

// Swap exchanges two names until it is killed, or for ever.
func Swap(a, b string) error {
	for {
		if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil && !errors.Is(err, unix.EINTR) {
			return &os.LinkError{Op: "renameat2", Old: a, New: b, Err: err}
		}
	}
}

// Bury makes a directory that is so many levels deep, from the bottom upwards: no
// path of it is ever long.
func Bury(where string, levels int) error {
	d, above := filepath.Join(where, "d"), filepath.Join(where, "above")
	if err := os.Mkdir(d, 0o700); err != nil {
		return err
	}
	for range levels {
		if err := os.Mkdir(above, 0o700); err != nil {
			return err
		}
		if err := os.Rename(d, filepath.Join(above, "d")); err != nil {
			return err
		}
		if err := os.Rename(above, d); err != nil {
			return err
		}
	}
	return nil
}

// takesTerminal looks for a descriptor that is a terminal of another devpts than
// that of /dev/pts, and makes itself its foreground.
func takesTerminal([]string) (string, error) {
	signal.Ignore(syscall.SIGTTOU) // tcsetpgrp(3) from the background
	var own, st unix.Stat_t
	if err := unix.Stat("/dev/pts", &own); err != nil {
		return "", broken("stat /dev/pts", err)
	}
	for fd := range 256 {
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
			continue
		}
		if err := unix.Fstat(fd, &st); err != nil || st.Dev == own.Dev {
			continue
		}
		what := fmt.Sprintf("descriptor %d is a terminal of the host", fd)
		err := unix.Setpgid(0, 0)
		if err == nil {
			err = unix.IoctlSetPointerInt(fd, unix.TIOCSPGRP, unix.Getpid())
		}
		if err == nil {
			what += " and its foreground ours"
		}
		return what, nil // to have it is enough
	}
	return "", found("no host terminal")
}

// leavesGroup makes a group where the machine has its hierarchy of version 2, and
// goes there and back.
func leavesGroup([]string) (string, error) {
	top := "/sys/fs/cgroup"
	if _, err := os.Stat(top + "/unified"); err == nil {
		top += "/unified"
	}
	group := fmt.Sprintf("%s/attack-%d", top, os.Getpid())
	if err := os.Mkdir(group, 0o755); err != nil {
		return "", err
	}
	procs := "/cgroup.procs"
	err := os.WriteFile(group+procs, []byte("0"), 0)
	return "in a group of its own", errors.Join(err, os.WriteFile(top+procs, []byte("0"), 0), os.Remove(group))
}

const immutableFlag = 0x10 // FS_IMMUTABLE_FL of linux/fs.h

// makesImmutable sets and takes away the flag of ioctl_iflags(2).
func makesImmutable([]string) (string, error) {
	f, err := os.CreateTemp(".", "attack-")
	if err != nil {
		return "", broken("scratch", err)
	}
	defer os.Remove(f.Name()) //nolint:errcheck // the test throws it away
	defer f.Close()           //nolint:errcheck // only its flags matter
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		return "", broken("ioctl FS_IOC_GETFLAGS", err)
	}
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags|immutableFlag); err != nil {
		return "", err
	}
	return "immutable", unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags)
}
