// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// namespaceRows are the attempts of the class namespace that are more than one
// call of unshare or setns.
func namespaceRows() []Attempt {
	return []Attempt{
		{
			ID: "ns-07", What: "unshare -r -n of util-linux", Want: []string{"EPERM"}, Control: InUserNamespace, Tool: "unshare",
			run: runs("unshare", "-r", "-n", "true"),
		},
		{
			ID: "ns-08", What: "bwrap --unshare-all", Want: []string{"no user namespace"}, Control: InUserNamespace, Tool: "bwrap",
			run: bwrap,
		},
		{
			// A map is written once: the control makes a namespace that has none yet. Inside
			// the same call is refused, and what is left is the job's own.
			ID: "ns-09", What: "write 0 0 1 to /proc/self/uid_map again", WantCI: []string{"EPERM"}, Want: []string{"EACCES"},
			Control: InUserNamespace,
			run: func([]string) (string, error) {
				return "mapped", writeAfter("/proc/self/uid_map", "0 0 1", call{unix.SYS_UNSHARE, unix.CLONE_NEWUSER})
			},
		},
		{
			// To the machine's root it says what is so already, and changes nothing.
			ID: "ns-10", What: "write allow to /proc/self/setgroups", Want: []string{"EACCES"}, Control: AsRoot,
			run: func([]string) (string, error) { return "written", writeAfter("/proc/self/setgroups", "allow") },
		},
		{
			// The number belongs to the user namespace: the control's goes with it.
			ID: "ns-11", What: "raise /proc/sys/user/max_user_namespaces", WantCI: []string{"EACCES"}, Want: []string{"ENOENT"}, Control: InUserNamespace,
			run: func([]string) (string, error) {
				return "raised", writeAfter("/proc/sys/user/max_user_namespaces", "1000000")
			},
		},
		{
			ID: "ns-12", What: "nsenter -t 1 -a", Want: []string{"EACCES"}, Control: AsRoot, Tool: "nsenter",
			run: runs("nsenter", "-t", "1", "-a", "true"),
		},
		{
			ID: "ns-13", What: "list the processes of others in /proc", Want: []string{"only the init and the job"}, Control: Reading,
			run: func([]string) (string, error) {
				entries, err := os.ReadDir("/proc")
				if err != nil {
					return "", broken("list /proc", err)
				}
				for _, e := range entries {
					if numeric(e.Name()) == 1 && e.Name() != "1" && e.Name() != strconv.Itoa(os.Getpid()) {
						return "process " + e.Name(), nil
					}
				}
				return "", found("only the init and the job")
			},
		},
	}
}

// writeAfter writes a text to a file in a child, after calls whose failure does
// not count. The error is that of open(2) or else of write(2).
func writeAfter(path, content string, before ...call) error {
	// Descriptor 0 is closed first, so that the file gets its number.
	calls := append(before, call{unix.SYS_CLOSE, 0}, call{unix.SYS_OPENAT, at(unix.AT_FDCWD), text(path), unix.O_WRONLY, 0})
	if err := inChild(calls...); err != nil {
		return err
	}
	return inChild(append(calls, call{unix.SYS_WRITE, 0, text(content), uintptr(len(content))})...)
}

// at is a directory descriptor as a system call wants it.
func at(fd int) uintptr { return uintptr(fd) }

// bwrap compares the user namespace that a program under bubblewrap is in.
func bwrap([]string) (string, error) {
	own, err := os.Readlink("/proc/self/ns/user")
	if err != nil {
		return "", broken("own namespace", err)
	}
	out, err := output(nil, "bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "readlink", "/proc/self/ns/user")
	if err != nil {
		// Its words for EPERM are its own.
		if _, is := errnoIn(out); !is && !strings.Contains(out, "No permissions to create") {
			return "", fmt.Errorf("bwrap failed, and not by an errno: %s", out)
		}
		return "", found("no user namespace")
	}
	if theirs := strings.TrimSpace(out); theirs != own {
		return theirs, nil
	}
	return "", found("no user namespace")
}
