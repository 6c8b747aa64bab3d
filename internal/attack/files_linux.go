// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

func files() []Attempt {
	return []Attempt{
		{
			ID: "fs-01", Name: "mount", What: "mount proc", Want: []string{"EPERM"}, Control: InUserNamespace,
			run: func([]string) (string, error) {
				dir, err := scratch()
				return "mounted", errors.Join(err, inChild(call{unix.SYS_MOUNT, text("proc"), text(dir), text("proc"), 0, 0}))
			},
		},
		{
			ID: "fs-01-bind", Name: "mount", What: "mount --bind over a masked path", Want: []string{"EPERM"}, Control: InUserNamespace,
			run: func([]string) (string, error) {
				// Not /tmp: a mount of somebody's below it would be locked here, and a bind
				// without MS_REC of what has locked mounts is EINVAL (mount_namespaces(7)).
				dir, err := scratch()
				return "mounted", errors.Join(err, inChild(call{unix.SYS_MOUNT, text(dir), text("/etc"), 0, unix.MS_BIND, 0}))
			},
		},
		{
			ID: "fs-14", Name: "umount2", What: "umount of a file system", Want: []string{"EPERM"}, Control: InUserNamespace,
			run: func([]string) (string, error) {
				dir, err := scratch()
				return "unmounted", errors.Join(err, inChild(
					call{unix.SYS_MOUNT, text("none"), text(dir), text("tmpfs"), 0, 0},
					call{unix.SYS_UMOUNT2, text(dir), 0},
				))
			},
		},
		{
			ID: "fs-02", Name: "proc_host_root", What: "open /proc/1/root", Want: []string{"EACCES"}, Control: InUserNamespace,
			run: reads("/proc/1/root/etc/passwd"),
		},
		{
			ID: "fs-07", What: "read /proc/1/environ", Want: []string{"EACCES"}, Control: InUserNamespace,
			run: reads("/proc/1/environ"),
		},
		{
			ID: "fs-03", Name: "write_etc_passwd", What: "open /etc/passwd for writing", Want: []string{"EACCES", "EROFS"}, Control: InUserNamespace,
			run: opensForWriting("/etc/passwd"),
		},
		{
			ID: "fs-33", What: "put a program into /usr/local", Want: []string{"EACCES", "EROFS"}, Control: InUserNamespace,
			run: func([]string) (string, error) {
				fd, err := unix.Open("/usr/local/zviz-attack", unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o755)
				if err != nil {
					return "", err
				}
				return "written", errors.Join(unix.Close(fd), unix.Unlink("/usr/local/zviz-attack"))
			},
		},
		{
			ID: "fs-04", Name: "pivot_root", What: "pivot_root(\".\", \".\") into a mount", Want: []string{"EPERM"}, Control: InUserNamespace,
			run: func([]string) (string, error) {
				dir, err := scratch()
				return "another root", errors.Join(err, inChild(
					call{unix.SYS_MOUNT, text("none"), text(dir), text("tmpfs"), 0, 0},
					call{unix.SYS_CHDIR, text(dir)},
					call{unix.SYS_PIVOT_ROOT, text("."), text(".")},
				))
			},
		},
		{
			ID: "fs-34", What: "chroot", Want: []string{"EPERM"}, Control: InUserNamespace,
			run: func([]string) (string, error) { return "another root", inChild(call{unix.SYS_CHROOT, text("/tmp")}) },
		},
		{
			ID: "fs-05", Name: "read_shadow", What: "read /etc/shadow", Want: []string{"EACCES", "ENOENT"}, Control: InUserNamespace,
			run: reads("/etc/shadow"),
		},
		{
			ID: "fs-13-kcore", Name: "kcore", What: "read /proc/kcore", Want: []string{"EACCES", "ENOENT"}, Control: AsRoot, Needs: "/proc/kcore",
			run: opensForReading("/proc/kcore"),
		},
		{
			ID: "fs-13-mem", Name: "mem", What: "read /dev/mem", Want: []string{"ENOENT"}, Control: AsRoot, Needs: "/dev/mem",
			run: opensForReading("/dev/mem"),
		},
		{
			ID: "fs-13-kmem", Name: "kmem", What: "read /dev/kmem", Want: []string{"ENOENT"}, Control: Nowhere, NoControl: "no kernel since 5.13 has one",
			run: opensForReading("/dev/kmem"),
		},
		{
			ID: "fs-13-kmsg", What: "read /dev/kmsg", Want: []string{"ENOENT", "EACCES"}, Control: AsRoot, Needs: "/dev/kmsg",
			run: opensForReading("/dev/kmsg"),
		},
		{
			ID: "fs-08", What: "open /proc/sysrq-trigger for writing", Want: []string{"EACCES", "EROFS", "ENOENT"}, Control: AsRoot, Needs: "/proc/sysrq-trigger",
			run: opensForWriting("/proc/sysrq-trigger"),
		},
		{
			ID: "fs-09", What: "open core_pattern for writing", WantCI: []string{"EACCES", "EROFS"}, Want: []string{"ENOENT"}, Control: AsRoot,
			run: opensForWriting("/proc/sys/kernel/core_pattern"),
		},
		{
			ID: "fs-11-userns", What: "open max_user_namespaces for writing", Want: []string{"EACCES", "EROFS", "ENOENT"}, Control: InUserNamespace,
			run: opensForWriting("/proc/sys/user/max_user_namespaces"),
		},
		{
			ID: "fs-06", Name: "host_write", What: "leave a file in /tmp; the host looks for it", Allowed: true, Control: InUserNamespace,
			run: func(args []string) (string, error) {
				if len(args) != 1 {
					return "", errors.New("needs the name of the file")
				}
				return args[0], os.WriteFile("/tmp/"+args[0], nil, 0o600)
			},
		},
	}
}

// scratch is a new directory of the workspace.
func scratch() (string, error) {
	dir, err := os.MkdirTemp(".", "attack-")
	if err != nil {
		return "", broken("scratch", err)
	}
	return dir, nil
}

func opensForReading(path string) func([]string) (string, error) { return opens(path, unix.O_RDONLY) }

// opensForWriting writes nothing: that it may is enough.
func opensForWriting(path string) func([]string) (string, error) { return opens(path, unix.O_WRONLY) }

func opens(path string, mode int) func([]string) (string, error) {
	return func([]string) (string, error) {
		fd, err := unix.Open(path, mode|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return "", err
		}
		return "opened " + path, unix.Close(fd)
	}
}

func reads(path string) func([]string) (string, error) {
	return func([]string) (string, error) {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer f.Close() //nolint:errcheck // only read
		n, err := io.Copy(io.Discard, io.LimitReader(f, 1<<20))
		return fmt.Sprintf("read %d bytes of %s", n, path), err
	}
}
