// SPDX-License-Identifier: Apache-2.0

package landlock

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	golandlock "github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// A victim is this test binary started again: it restricts itself for good,
// makes the calls that it is told to, and prints their errnos.
const victimEnv = "ZVIZ_TEST_LANDLOCK_VICTIM"

func TestMain(m *testing.M) {
	if text := os.Getenv(victimEnv); text != "" {
		if err := victim(text); err != nil {
			fmt.Fprintln(os.Stderr, "victim:", err)
			os.Exit(99)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type victimJob struct {
	Dir   string
	Calls []string
	// Late is what the victim itself adds to the ruleset: a directory, and its rights.
	Late      string
	LateRight Right
	LateABI   int
	// Oracle makes go-landlock restrict the victim, by path, instead of our ruleset.
	Oracle map[string]Right
	Dirs   map[string]bool
}

const rulesetFD = 3

func victim(text string) error {
	var job victimJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return err
	}
	if err := os.Chdir(job.Dir); err != nil {
		return err
	}
	runtime.LockOSThread()
	if job.Oracle != nil {
		var rules []golandlock.Rule
		for path, right := range job.Oracle {
			k := Rule{Dir: job.Dirs[path], Right: right}.kernel(5)
			if k != 0 {
				rules = append(rules, golandlock.PathAccess(golandlock.AccessFSSet(k), path))
			}
		}
		if err := golandlock.V5.RestrictPaths(rules...); err != nil {
			return err
		}
	} else {
		if job.Late != "" {
			fd, err := unix.Open(job.Late, unix.O_PATH|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			attr := PathBeneathAttr(fd, job.LateRight, job.LateABI)
			if err := addRaw(rulesetFD, &attr); err != nil {
				return err
			}
		}
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return err
		}
		if err := ll.LandlockRestrictSelf(rulesetFD, 0); err != nil {
			return err
		}
	}
	results := map[string]int{}
	for _, c := range job.Calls {
		var errno syscall.Errno
		if err := perform(strings.Fields(c)); err != nil && !errors.As(err, &errno) {
			return fmt.Errorf("%s: %w", c, err)
		}
		results[c] = int(errno)
	}
	return json.NewEncoder(os.Stdout).Encode(results)
}

// perform makes one call.
func perform(f []string) error {
	switch f[0] {
	case "read":
		return openClose(f[1], unix.O_RDONLY)
	case "list":
		return openClose(f[1], unix.O_RDONLY|unix.O_DIRECTORY)
	case "write":
		return openClose(f[1], unix.O_WRONLY)
	case "create":
		return openClose(f[1], unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	case "truncate":
		return unix.Truncate(f[1], 0)
	case "mkdir":
		return unix.Mkdir(f[1], 0o755)
	case "rmdir":
		return unix.Rmdir(f[1])
	case "unlink":
		return unix.Unlink(f[1])
	case "symlink":
		return unix.Symlink(f[1], f[2])
	case "link":
		return unix.Link(f[1], f[2])
	case "rename":
		return unix.Rename(f[1], f[2])
	case "fifo":
		return unix.Mknod(f[1], unix.S_IFIFO|0o600, 0)
	case "device": // a white-out, which needs no privilege
		return unix.Mknod(f[1], unix.S_IFCHR|0o600, 0)
	case "socket":
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Bind(fd, &unix.SockaddrUnix{Name: f[1]})
	case "exec":
		// The kernel asks Landlock before it looks at the content.
		return unix.Exec(f[1], []string{f[1]}, nil)
	case "ioctl": // TCGETS on a device that has no terminal: ENOTTY from the driver
		fd, err := unix.Open(f[1], unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		_, err = unix.IoctlGetTermios(fd, unix.TCGETS)
		return err
	case "abstract":
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Connect(fd, &unix.SockaddrUnix{Name: f[1]})
	case "signal":
		pid, err := strconv.Atoi(f[1])
		if err != nil {
			return err
		}
		return unix.Kill(pid, 0)
	default:
		return errors.New("unknown call")
	}
}

func openClose(path string, flags int) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// runVictim returns the errno of each call.
func runVictim(t testing.TB, job victimJob, set int) map[string]syscall.Errno {
	t.Helper()
	text, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), victimEnv+"="+string(text), "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	if set >= 0 {
		dup, err := unix.FcntlInt(uintptr(set), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(dup), "ruleset")
		defer f.Close()
		cmd.ExtraFiles = []*os.File{f}
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("victim: %v", err)
	}
	var results map[string]syscall.Errno
	if err := json.Unmarshal(out, &results); err != nil {
		t.Fatal(err)
	}
	return results
}

// addRaw adds a rule from the bytes that a child would use.
func addRaw(set int, attr *[12]byte) error {
	return ll.LandlockAddRule(set, ll.RuleTypePathBeneath, unsafe.Pointer(attr), 0)
}
