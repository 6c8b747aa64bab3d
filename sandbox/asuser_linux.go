// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/tiny"
	"github.com/zviz/run/sandbox/cgroup"
	"github.com/zviz/run/sandbox/enter"
)

// AsUser starts this program, with its arguments and environment, again as root of a user namespace, if it runs as
// an ordinary user: the same process with the same arguments, environment and
// streams, in the same network and pid namespace. It returns nil if there is
// nothing to do, or an error; else not at all.
//
// The namespace maps its root to the user, and further ids by newuidmap(1) where
// /etc/subuid gives the user some.
func AsUser(args, env []string) error {
	if os.Geteuid() == 0 {
		return nil
	}
	if err := askScope(args, env); err != nil {
		return err
	}
	ns, err := -1, error(nil)
	if m, ok := rangeMap(); ok {
		ns, err = userNamespace{maps: m, try: true}.make()
	}
	// newuidmap(1) has more reasons to refuse than are worth telling: the report
	// says which ids there are.
	if ns < 0 {
		ns, err = userNamespace{maps: singleMap(), try: true}.make()
	}
	if err != nil {
		return explainUserNS(err)
	}
	self, err := unix.Open("/proc/self/exe", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: "/proc/self/exe", Err: err}
	}
	image, err := enter.Image(ns, self)
	if err != nil {
		return err
	}
	file, err := tiny.File("zviz-enter", image)
	if err != nil {
		return &LayerError{Layer: LayerUser, Stage: "enter", Err: err}
	}
	for _, fd := range []int{ns, self} {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return os.NewSyscallError("fcntl", err)
		}
	}
	err = syscall.Exec(fmt.Sprintf("/proc/self/fd/%d", file), args, env)
	return &LayerError{Layer: LayerUser, Stage: "execve", Err: err}
}

// scoped marks that the user manager was asked.
const scoped = "ZVIZ_SCOPED"

// askScope starts this program again in a control group that the user's systemd
// delegates to it (systemd-run(1), Delegate= in systemd.resource-control(5)), if
// there is one and our own group is not ours to divide.
func askScope(args, env []string) error {
	var dir string
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		switch name {
		case scoped:
			return nil
		case "XDG_RUNTIME_DIR":
			dir = value
		}
	}
	run, err := exec.LookPath("systemd-run")
	if _, no := os.Stat(filepath.Join(dir, "systemd", "private")); dir == "" || no != nil || err != nil {
		return nil //nolint:nilerr // no user manager, or no way to ask it
	}
	h, err := cgroup.Find("/proc")
	if err != nil || h.V2 == "" || writable(filepath.Join(h.V2, "cgroup.procs")) && writable(h.V2) {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ask := append([]string{run, "--user", "--scope", "--quiet", "--collect", "--property=Delegate=yes", "--", self}, args[1:]...)
	return os.NewSyscallError("execve "+run, syscall.Exec(run, ask, append(slices.Clone(env), scoped+"=1")))
}

// explainUserNS says what forbids user namespaces on this machine.
func explainUserNS(err error) error {
	le, ok := errors.AsType[*LayerError](err)
	if !ok {
		return err
	}
	on := func(file, value string) bool {
		b, err := os.ReadFile(file)
		return err == nil && strings.TrimSpace(string(b)) == value
	}
	switch {
	case on("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"):
		le.Fix = "AppArmor forbids it to programs without a profile: install the one in examples/apparmor, or run as root: sudo zviz-runner …"
	case on("/proc/sys/kernel/unprivileged_userns_clone", "0"):
		le.Fix = "sysctl kernel.unprivileged_userns_clone=1, or run as root: sudo zviz-runner …"
	case on("/proc/sys/user/max_user_namespaces", "0"):
		le.Fix = "sysctl user.max_user_namespaces=10000, or run as root: sudo zviz-runner …"
	default:
		le.Fix = "run as root: sudo zviz-runner …; in a container, allow user namespaces (its seccomp profile forbids them)"
	}
	return le
}

// singleMap maps root to the user, which needs no right at all; the groups must
// be given up before (user_namespaces(7)).
func singleMap() mapper {
	return func(pid int) error {
		return errors.Join(
			writeMap(pid, "setgroups", "deny"),
			writeMap(pid, "uid_map", fmt.Sprintf("0 %d 1\n", os.Geteuid())),
			writeMap(pid, "gid_map", fmt.Sprintf("0 %d 1\n", os.Getegid())),
		)
	}
}

// rangeMap is the map with the further ids that the system gives to the user,
// if it has both the programs and the ids.
func rangeMap() (mapper, bool) {
	newuidmap, err1 := exec.LookPath("newuidmap")
	newgidmap, err2 := exec.LookPath("newgidmap")
	uids, ok1 := subordinate("/etc/subuid")
	gids, ok2 := subordinate("/etc/subgid")
	if err1 != nil || err2 != nil || !ok1 || !ok2 {
		return nil, false
	}
	return func(pid int) error {
		for _, m := range []struct {
			tool  string
			own   int
			first uint32
		}{{newuidmap, os.Geteuid(), uids}, {newgidmap, os.Getegid(), gids}} {
			cmd := exec.CommandContext(context.Background(), m.tool, strconv.Itoa(pid), "0", strconv.Itoa(m.own), "1", "1", strconv.Itoa(int(m.first)), strconv.Itoa(rangeSize))
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w: %.200q", m.tool, err, out)
			}
		}
		return nil
	}, true
}

// subordinate returns the first id of the first range of at least rangeSize
// that a file gives to the user, by name or by number (subuid(5)).
func subordinate(file string) (first uint32, ok bool) {
	f, err := os.Open(file)
	if err != nil {
		return 0, false
	}
	defer func() { _ = f.Close() }()
	uid := strconv.Itoa(os.Geteuid())
	name := uid
	if u, err := user.LookupId(uid); err == nil {
		name = u.Username
	}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		part := strings.Split(strings.TrimSpace(sc.Text()), ":")
		if len(part) != 3 || part[0] != name && part[0] != uid {
			continue
		}
		from, err1 := strconv.ParseUint(part[1], 10, 32)
		count, err2 := strconv.ParseUint(part[2], 10, 32)
		if err1 == nil && err2 == nil && from > 0 && count >= rangeSize {
			return uint32(from), true
		}
	}
	return 0, false
}

// MachineRoot reports whether we are root, and not of a user namespace only.
func MachineRoot() bool {
	u, err := measureUser()
	return err == nil && u == nil && os.Geteuid() == 0
}

// measureUser reads who we are; nil if we are the machine's root, or nobody's.
func measureUser() (*User, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	uids, err := readMap("/proc/self/uid_map")
	if err != nil {
		return nil, err
	}
	gids, err := readMap("/proc/self/gid_map")
	if err != nil {
		return nil, err
	}
	if len(uids) == 1 && uids[0].Inside == 0 && uids[0].Outside == 0 && uids[0].Count == 1<<32-1 {
		return nil, nil
	}
	u := &User{Range: min(further(uids), further(gids))}
	u.UID, _ = outside(uids, 0)
	u.GID, _ = outside(gids, 0)
	b, err := os.ReadFile("/proc/self/setgroups")
	if err != nil {
		return nil, err
	}
	u.KeepGroups = strings.TrimSpace(string(b)) == "deny"
	return u, nil
}

// further counts the ids from 1 on without a gap.
func further(ranges []IDRange) uint32 {
	next := uint32(1)
	for _, r := range ranges {
		if r.Inside <= next && r.Inside+r.Count > next {
			next = r.Inside + r.Count
		}
	}
	return next - 1
}

func readMap(file string) ([]IDRange, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var out []IDRange
	for line := range strings.Lines(string(b)) {
		var r IDRange
		if _, err := fmt.Sscan(line, &r.Inside, &r.Outside, &r.Count); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		out = append(out, r)
	}
	return out, nil
}
