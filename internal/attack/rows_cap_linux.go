// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// capabilityRows are the attempts of the class capability.
func capabilityRows() []Attempt {
	eperm, enosys := []string{"EPERM"}, []string{"ENOSYS"}
	const clock = "no namespace has a wall clock of its own: it would be this machine's"
	keep := ^uintptr(0)
	// back gives up root but for the saved identity, from which the last call takes
	// it back. Inside, the first call is refused.
	back := func(calls ...call) func([]string) (string, error) {
		return func([]string) (string, error) { return "root again", inChild(calls...) }
	}
	return []Attempt{
		{
			ID: "cap-03", What: "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN)", Want: eperm, Control: InUserNamespace,
			run: func([]string) (string, error) {
				header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
				const admin = 1 << unix.CAP_NET_ADMIN
				data := [2]unix.CapUserData{{Effective: admin, Permitted: admin, Inheritable: admin}}
				return "raised", inChild(
					call{unix.SYS_CAPSET, pointer(&header), pointer(&data[0])}, // what is not inheritable cannot be ambient
					call{unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, unix.CAP_NET_ADMIN},
				)
			},
		},
		{
			ID: "cap-04", What: "exec of a file with file capabilities", Want: []string{"CapEff 0"}, Control: AsUser,
			run: func(args []string) (string, error) {
				return privileged("cap-04", args, func() (string, error) {
					eff, err := effective()
					if set, perr := strconv.ParseUint(eff, 16, 64); err != nil || perr != nil || set&(1<<unix.CAP_NET_ADMIN) != 0 {
						return "CapEff " + eff, errors.Join(err, perr)
					}
					return "", found("CapEff " + eff) // the file has nothing else
				})
			},
		},
		{
			ID: "cap-05", What: "exec of a file that is set-user-ID root", Want: []string{"euid unchanged"}, Control: AsUser,
			run: func(args []string) (string, error) {
				return privileged("cap-05", args, func() (string, error) {
					if os.Geteuid() != os.Getuid() || os.Getegid() != os.Getgid() {
						return fmt.Sprintf("euid %d, egid %d", os.Geteuid(), os.Getegid()), nil
					}
					return "", found("euid unchanged")
				})
			},
		},
		{
			ID: "cap-05-su", What: "exec of su(1)", Want: []string{"euid unchanged"}, Control: AsUser, Tool: "su",
			run: loaded("su", "--version"),
		},
		{
			ID: "cap-05-mount", What: "exec of mount(8)", Want: []string{"euid unchanged"}, Control: AsUser, Tool: "mount",
			run: loaded("mount", "--version"),
		},
		{
			ID: "cap-05-passwd", What: "exec of passwd(1)", Want: []string{"euid unchanged"}, Control: AsUser, Tool: "passwd",
			run: loaded("passwd", "--help"),
		},
		{
			// The control is root's own: an ordinary user needs a rule in /etc/sudoers. Inside,
			// the job's own sudo runs the command as it is; where that is not, the real one
			// fails, since set-user-ID bits mean nothing under no_new_privs.
			ID: "cap-06", What: "sudo -n id -u", Want: []string{"nothing granted"}, Control: AsRoot, Tool: "sudo",
			run: func([]string) (string, error) {
				out, err := output(nil, "sudo", "-n", "id", "-u")
				switch {
				case strings.Contains(out, "no new privileges"):
					return "", found("nothing granted")
				case err != nil:
					return "", fmt.Errorf("sudo failed for another reason: %s", out)
				case lastWord(out) != "0":
					return "", found("nothing granted")
				default:
					return "sudo made it root", nil
				}
			},
		},
		{
			ID: "cap-07", What: "chown of a file to an id of the job's range", Want: eperm, Control: AsRoot,
			run: chowns("/tmp", 12345),
		},
		{
			// The job's map has 65536 ids.
			ID: "cap-07-unmapped", What: "chown of a file to an id that is not in the map", Want: []string{"EINVAL"}, Control: AsRoot,
			run: chowns("/tmp", 1234567),
		},
		{
			ID: "cap-07-workspace", What: "chown of a file of the workspace", Want: []string{"EOVERFLOW"}, Control: AsRoot,
			run: chowns(".", 12345),
		},
		{
			ID: "cap-08", What: "setuid(0)", Want: enosys, Control: AsRoot,
			run: back(call{unix.SYS_SETRESUID, keep, 1000, 0}, call{unix.SYS_SETUID, 0}),
		},
		{
			ID: "cap-08-res", What: "setresuid(0, 0, 0)", Want: eperm, Control: AsRoot,
			run: back(call{unix.SYS_SETRESUID, 1000, 1000, 0}, call{unix.SYS_SETRESUID, 0, 0, 0}),
		},
		{
			ID: "cap-08-gid", What: "setgid(0)", Want: enosys, Control: AsRoot,
			run: back(call{unix.SYS_SETRESGID, keep, 1000, 0}, call{unix.SYS_SETGID, 0}),
		},
		{
			ID: "cap-08-resgid", What: "setresgid(0, 0, 0)", Want: eperm, Control: AsRoot,
			run: back(call{unix.SYS_SETRESGID, 1000, 1000, 0}, call{unix.SYS_SETRESGID, 0, 0, 0}),
		},
		{
			ID: "cap-08-groups", What: "setgroups of root's group", Want: enosys, Control: AsRoot,
			run: func([]string) (string, error) {
				group := uint32(0)
				return "in group 0", inChild(call{unix.SYS_SETGROUPS, 1, pointer(&group)})
			},
		},
		{
			// By so much that the test sees it on the host, which then sets it back.
			ID: "cap-09", What: "clock_settime of the wall clock", Want: enosys, Control: Nowhere, NoControl: clock,
			run: func([]string) (string, error) {
				var now unix.Timespec
				if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
					return "", broken("clock_gettime", err)
				}
				now.Sec += clockStep
				return "set", inChild(call{unix.SYS_CLOCK_SETTIME, unix.CLOCK_REALTIME, pointer(&now)})
			},
		},
		{
			ID: "cap-09-date", What: "date -s", Want: enosys, Control: Nowhere, NoControl: clock, Tool: "date",
			run: func([]string) (string, error) {
				return runs("date", "-s", "@"+strconv.FormatInt(time.Now().Unix()+clockStep, 10))(nil)
			},
		},
		{
			// The job's network namespace is its own, and servers under test listen there.
			ID: "cap-10", What: "bind port 80 of the own loopback", Allowed: true, Control: InUserNamespace,
			run: serves("tcp4", "127.0.0.1:80"),
		},
	}
}

// lastWord is the last word of a text: what a program printed after its notes.
func lastWord(s string) string {
	words := strings.Fields(s)
	if len(words) == 0 {
		return ""
	}
	return words[len(words)-1]
}

// clockStep is by how many seconds the attempts of cap-09 set the clock.
const clockStep = 10

// WallOffset is how far the wall clock is from the time since the machine's start,
// which nobody sets: it changes if somebody sets the wall clock.
func WallOffset() (time.Duration, error) {
	var wall, boot unix.Timespec
	if err := errors.Join(unix.ClockGettime(unix.CLOCK_REALTIME, &wall), unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot)); err != nil {
		return 0, err
	}
	return time.Duration(wall.Nano() - boot.Nano()), nil
}

// privileged starts a copy of this program that has privileges in the file
// system, and in that copy looks at what came of them.
func privileged(id string, args []string, look func() (string, error)) (string, error) {
	if len(args) != 1 {
		return "", errors.New("needs the path of a copy of this program")
	}
	const within = "within"
	if args[0] == within {
		return look()
	}
	out, err := output(nil, args[0], id, within)
	if err != nil {
		return "", err // exec's own refusal
	}
	out = strings.TrimSpace(out)
	if what, ok := strings.CutPrefix(out, "ESCAPED "); ok {
		return what, nil
	}
	if state, ok := strings.CutPrefix(out, "BLOCKED "); ok {
		return "", found(state)
	}
	return "", fmt.Errorf("%s says %q", filepath.Base(args[0]), out)
}

// effective is CapEff of this process, without the zeros that it begins with.
func effective() (string, error) {
	f, err := ReadFacts()
	if err != nil {
		return "", broken("facts", err)
	}
	eff := strings.TrimLeft(f.Status["CapEff"], "0")
	if eff == "" {
		eff = "0"
	}
	return eff, nil
}

// loaded runs a set-user-ID program. ld.so(8) prints the auxiliary vector on
// request, with the identities, but not when the kernel says AT_SECURE because
// the program has more privileges than who started it.
func loaded(name string, args ...string) func([]string) (string, error) {
	return func([]string) (string, error) {
		out, err := output([]string{"LD_SHOW_AUXV=1"}, name, args...)
		if err != nil {
			return "", broken(name, fmt.Errorf("%w: %s", err, out))
		}
		vector := map[string]string{}
		for line := range strings.Lines(out) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.HasPrefix(key, "AT_") {
				vector[key] = strings.TrimSpace(value)
			}
		}
		if len(vector) == 0 {
			return name + " ran with privileges", nil
		}
		if vector["AT_SECURE"] != "0" || vector["AT_EUID"] != strconv.Itoa(os.Getuid()) || vector["AT_EGID"] != strconv.Itoa(os.Getgid()) {
			return fmt.Sprintf("%s ran with euid %s, egid %s, secure %s", name, vector["AT_EUID"], vector["AT_EGID"], vector["AT_SECURE"]), nil
		}
		return "", found("euid unchanged")
	}
}

// chowns gives a new directory away.
func chowns(where string, id uintptr) func([]string) (string, error) {
	return func([]string) (string, error) {
		dir, err := os.MkdirTemp(where, "attack-")
		if err != nil {
			return "", broken("scratch", err)
		}
		defer os.Remove(dir) //nolint:errcheck // the test throws it away
		return fmt.Sprintf("it is %d's", id), inChild(call{unix.SYS_FCHOWNAT, at(unix.AT_FDCWD), text(dir), id, id, 0})
	}
}
