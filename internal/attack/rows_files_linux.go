// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// fileRows are the rows of the class filesystem that are not in files.
func fileRows() []Attempt {
	closed := []string{"EACCES", "EROFS", "ENOENT"}
	return []Attempt{
		{
			ID: "fs-07-cwd", What: "list /proc/1/cwd/", Want: []string{"EACCES"}, Control: InUserNamespace,
			run: lists("/proc/1/cwd/"),
		},
		{
			ID: "fs-07-fd", What: "list /proc/1/fd", Want: []string{"EACCES"}, Control: InUserNamespace,
			run: lists("/proc/1/fd"),
		},
		{
			ID: "fs-10", What: "open the module loader's path for writing", Want: closed, Control: AsRoot, Needs: "/proc/sys/kernel/modprobe",
			run: opensForWriting("/proc/sys/kernel/modprobe"),
		},
		{
			// Every kernel has this one, behind the same mount.
			ID: "fs-10-sysctl", What: "open a setting of the kernel's for writing", WantCI: []string{"EACCES", "EROFS"}, Want: []string{"ENOENT"}, Control: AsRoot,
			run: opensForWriting("/proc/sys/kernel/randomize_va_space"),
		},
		{
			ID: "fs-11-uevent", What: "open uevent_helper for writing", Want: closed, Control: AsRoot, Needs: "/sys/kernel/uevent_helper",
			run: opensForWriting("/sys/kernel/uevent_helper"),
		},
		{
			ID: "fs-11-sysfs", What: "open a setting of /sys for writing", Want: closed, Control: AsRoot, Needs: "/sys/kernel/profiling",
			run: opensForWriting("/sys/kernel/profiling"),
		},
		{
			// Everybody may read it on the host: what is typed and moved there shows in it.
			ID: "fs-13-interrupts", What: "read /proc/interrupts", Want: []string{"ENOENT", "empty"}, Control: AsRoot, Needs: "/proc/interrupts",
			run: func([]string) (string, error) {
				b, err := os.ReadFile("/proc/interrupts")
				if err == nil && len(b) == 0 {
					err = found("empty")
				}
				return fmt.Sprintf("read %d bytes", len(b)), err
			},
		},
		{
			// The kernel truncates no pipe and no terminal.
			ID: "fs-16-output", What: "truncate the file of the caller's that the output goes to", Want: []string{"EINVAL"}, Control: ByTest,
			run: func([]string) (string, error) { return "truncated", unix.Ftruncate(1, 0) },
		},
		{
			// The hierarchy is there already: this only mounts it again.
			ID: "fs-12", What: "mount a control group hierarchy of version 1", Want: []string{"EPERM"}, Control: AsRoot, Needs: "/sys/fs/cgroup/pids/tasks",
			run: func([]string) (string, error) {
				dir, err := scratch()
				return "mounted", errors.Join(err, inChild(call{unix.SYS_MOUNT, text("cgroup"), text(dir), text("cgroup"), 0, text("pids")}))
			},
		},
		{
			ID: "fs-15", What: "mount --bind over a file of /proc", Want: []string{"EPERM"}, Control: InUserNamespace,
			run: func([]string) (string, error) {
				return "mounted", inChild(call{unix.SYS_MOUNT, text("/dev/null"), text("/proc/self/status"), 0, unix.MS_BIND, 0})
			},
		},
		{
			ID: "fs-24", What: "overwrite the program of process 1 through /proc/1/exe", Want: []string{"EACCES"}, Control: ByTest,
			run: overwritesProgram,
		},
		{
			ID: "fs-26", What: "hard link to a read-only input, then write to it", Want: []string{"EXDEV", "EPERM", "EACCES"}, Control: ByTest,
			run: withPath(func(path string) (string, error) {
				if err := unix.Link(path, "hard"); err != nil {
					return "", err
				}
				return "written through the link", os.WriteFile("hard", []byte("changed"), 0o600)
			}),
		},
		{
			ID: "fs-27", What: "open a read-only bind again for writing through /proc/self/fd", Want: []string{"EROFS", "EACCES"}, Control: ByTest,
			run: withPath(func(path string) (string, error) {
				fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
				if err != nil {
					return "", broken("open", err)
				}
				again, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDWR|unix.O_CLOEXEC, 0)
				if err != nil {
					return "", err
				}
				_, err = unix.Write(again, []byte("changed"))
				return "written", err
			}),
		},
		{
			ID: "fs-29", What: "open a loop device", Want: []string{"ENOENT"}, Control: AsRoot, Needs: "/dev/loop-control",
			run: opensForReading("/dev/loop-control"),
		},
		{
			ID: "fs-29-debugfs", What: "list /sys/kernel/debug", Want: []string{"ENOENT"}, Control: AsRoot, Needs: "/sys/kernel/debug",
			run: lists("/sys/kernel/debug"),
		},
		{
			ID: "fs-30", What: "open /dev/fuse", Want: []string{"ENOENT"}, Control: AsRoot, Needs: "/dev/fuse",
			run: opens("/dev/fuse", unix.O_RDWR),
		},
		{
			ID: "fs-30-mount", What: "mount a fuse file system", Want: []string{"EPERM"}, Control: InUserNamespace, Needs: "/dev/fuse",
			run: func([]string) (string, error) {
				dir, err := scratch()
				fd, openErr := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
				if openErr != nil {
					fd = 0 // the mount is refused before anybody looks at it
				}
				options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)
				return "mounted", errors.Join(err, inChild(call{unix.SYS_MOUNT, text("none"), text(dir), text("fuse"), 0, text(options)}))
			},
		},
		{
			ID: "fs-31", What: "rename a directory into another rule's place", Want: []string{"EXDEV", "EACCES"}, Control: ByTest,
			run: withPath(func(path string) (string, error) { return "renamed", unix.Rename(path, "moved") }),
		},
		{
			ID: "fs-32", What: "truncate a file that may only be read", Want: []string{"EACCES", "EROFS"}, Control: ByTest,
			run: withPath(func(path string) (string, error) {
				err := unix.Truncate(path, 0)
				if errors.Is(err, syscall.ENOSYS) { // hostile has only the other way
					_, err = unix.Open(path, unix.O_WRONLY|unix.O_TRUNC|unix.O_CLOEXEC, 0)
				}
				return "truncated", err
			}),
		},
	}
}

// workspaceRows are attempts to plant what the host obeys later.
func workspaceRows() []Attempt {
	return []Attempt{
		{
			ID: "ws-01", What: "plant .git/hooks/post-checkout", Want: []string{"EROFS"}, Control: ByTest,
			run: func([]string) (string, error) {
				return "planted", os.WriteFile(".git/hooks/post-checkout", []byte("#!/bin/sh\n: >../canary\n"), 0o755) // a hook is a program
			},
		},
		{
			ID: "ws-02", What: "plant core.fsmonitor in .git/config", Want: []string{"EROFS"}, Control: ByTest,
			run: func([]string) (string, error) {
				f, err := os.OpenFile(".git/config", os.O_APPEND|os.O_WRONLY, 0)
				if err != nil {
					return "", err
				}
				_, err = f.WriteString("[core]\n\tfsmonitor = touch ../canary; false\n")
				return "planted", errors.Join(err, f.Close())
			},
		},
		{
			ID: "ws-07", What: "hard link to a file of another directory, to be met at clean-up", Want: []string{"EXDEV", "EPERM", "EACCES"}, Control: ByTest,
			run: withPath(func(path string) (string, error) { return "linked", unix.Link(path, "hard") }),
		},
	}
}

// processRows are the rows of the class process that are not in processes.
func processRows() []Attempt {
	return []Attempt{
		{
			ID: "proc-06", What: "find a mark in the environment of another step", Want: []string{"ESRCH"}, Control: ByTest,
			run: func(args []string) (string, error) { return findsMark(args) },
		},
		{
			ID: "proc-07", What: "find shared memory of an earlier job", Want: []string{"ENOENT"}, Control: ByTest,
			run: withPath(func(path string) (string, error) { return opensForReading(path)(nil) }),
		},
		{
			ID: "proc-07-sysv", What: "make a System V shared memory segment", Want: []string{"ENOSYS"}, WantCI: []string{allowed}, Control: InUserNamespace,
			run: func([]string) (string, error) {
				return "a segment", inChild(call{unix.SYS_SHMGET, segmentKey, 4096, unix.IPC_CREAT | 0o600})
			},
		},
		{
			ID: "proc-07-ipc", What: "find a System V shared memory segment of the host", Want: []string{"ENOSYS"}, WantCI: []string{"ENOENT"}, Control: ByTest,
			run: findsSegment,
		},
		{
			ID: "proc-09", What: "paste a selection, ioctl(TIOCLINUX)", Want: []string{"EPERM"}, Control: Nowhere,
			NoControl: "only a virtual console knows it, and this would type into it",
			run:       func([]string) (string, error) { return typeInto(tiocLinux) },
		},
	}
}

// SegmentKey is the key of the segment that proc-07-ipc looks for (shmget(2)).
const SegmentKey = 0x7a766a02

// findsSegment looks for the segment; told to plant, it makes it.
func findsSegment(args []string) (string, error) {
	flags := 0
	if len(args) == 1 && args[0] == "plant" {
		flags = unix.IPC_CREAT | 0o666
	}
	_, err := unix.SysvShmGet(SegmentKey, 4096, flags)
	return "a segment", err
}

const tiocLinux = 0x541C // ioctl_console(2)

func withPath(f func(string) (string, error)) func([]string) (string, error) {
	return func(args []string) (string, error) {
		if len(args) != 1 {
			return "", errors.New("needs a path")
		}
		return f(args[0])
	}
}

func lists(path string) func([]string) (string, error) {
	return func([]string) (string, error) {
		list, err := os.ReadDir(path)
		return fmt.Sprintf("%d entries of %s", len(list), path), err
	}
}

// overwritesProgram keeps a handle of a process's program until the kernel lets
// it be written (CVE-2019-5736).
func overwritesProgram(args []string) (string, error) {
	pid := "1"
	if len(args) == 1 {
		pid = args[0]
	}
	fd, err := unix.Open("/proc/"+pid+"/exe", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	for range 100 {
		var w int
		if w, err = unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_WRONLY|unix.O_CLOEXEC, 0); err == nil {
			_, err = unix.Write(w, []byte("changed"))
			return "overwritten", err
		}
		if !errors.Is(err, syscall.ETXTBSY) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return "", err
}

// findsMark reads what processes other than this one and its ancestors show.
func findsMark(args []string) (string, error) {
	if len(args) != 1 {
		return "", errors.New("needs a mark")
	}
	for _, what := range []string{"environ", "cmdline"} {
		paths, err := filepath.Glob("/proc/[0-9]*/" + what)
		if err != nil {
			return "", err
		}
		self := fmt.Sprintf("/proc/%d/", os.Getpid())
		for _, path := range paths {
			if text, err := os.ReadFile(path); err == nil && filepath.Dir(path)+"/" != self && bytes.Contains(text, []byte(args[0])) {
				return "found it in " + path, nil
			}
		}
	}
	return "", syscall.ESRCH
}
