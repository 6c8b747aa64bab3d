// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A victim is this test binary started again: it loads a filter for good and
// then makes calls, or becomes another program.
const victimEnv = "ZVIZ_TEST_SECCOMP_VICTIM"

func TestMain(m *testing.M) {
	if job := os.Getenv(victimEnv); job != "" {
		if err := victim(job); err != nil {
			fmt.Fprintln(os.Stderr, "victim:", err)
			os.Exit(99)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// victimJob is what a victim is told.
type victimJob struct {
	Profile  Profile
	Listener bool
	Answer   syscall.Errno // of the listener to every call; 0 for Profile.Answer
	Guard    []Instruction // a filter to load before
	Exec     []string      // empty: make the calls that come on stdin
}

// victimCall is a line of its stdin; its stdout has a number for each: the errno.
type victimCall struct {
	NR   uintptr
	Args [6]uint64
}

// handshake are the victim's ends of two pipes: it writes the listener's number
// to one, and goes on when it can read from the other.
const (
	handshakeOut = 3
	handshakeIn  = 4
)

func victim(text string) error {
	var job victimJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return err
	}
	prog, err := job.Profile.Compile(Native())
	if err != nil {
		return err
	}
	var calls []victimCall
	if len(job.Exec) == 0 {
		if err := json.NewDecoder(os.Stdin).Decode(&calls); err != nil {
			return err
		}
	}
	os.Unsetenv(victimEnv)
	runtime.LockOSThread()
	if len(job.Guard) > 0 {
		if _, err := load(job.Guard, false); err != nil {
			return fmt.Errorf("load the guard: %w", err)
		}
	}
	fd, err := load(prog, job.Listener)
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if job.Listener {
		if _, err := unix.Write(handshakeOut, []byte{byte(fd)}); err != nil {
			return err
		}
		if _, err := unix.Read(handshakeIn, make([]byte, 1)); err != nil {
			return err
		}
		unix.Close(fd)
		unix.Close(handshakeOut)
		unix.Close(handshakeIn)
	}
	if len(job.Exec) > 0 {
		return unix.Exec(job.Exec[0], job.Exec, os.Environ())
	}
	errnos := make([]int, len(calls))
	for i, c := range calls {
		a := c.Args
		_, _, errno := unix.RawSyscall6(c.NR, uintptr(a[0]), uintptr(a[1]), uintptr(a[2]), uintptr(a[3]), uintptr(a[4]), uintptr(a[5]))
		errnos[i] = int(errno)
	}
	return json.NewEncoder(os.Stdout).Encode(errnos)
}

// load puts the filter on every thread of the process.
func load(prog []Instruction, listener bool) (fd int, err error) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, err
	}
	flags := unix.SECCOMP_FILTER_FLAG_TSYNC
	if listener {
		// WAIT_KILLABLE: else a signal makes the kernel ask twice.
		flags |= unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	}
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: (*unix.SockFilter)(unsafe.Pointer(unsafe.SliceData(prog)))}
	r, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(flags), uintptr(unsafe.Pointer(&fprog)))
	runtime.KeepAlive(prog)
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}

// startVictim starts a victim. With a listener, every notified call is answered
// by Profile.Answer or job.Answer; wait returns their names and how often each was made.
func startVictim(t testing.TB, job victimJob, cmd *exec.Cmd) (wait func() (map[string]int, error)) {
	t.Helper()
	text, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, victimEnv+"="+string(text), "GORACE=atexit_sleep_ms=0")
	fromVictim, victimOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	victimIn, toVictim, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{victimOut, victimIn}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	victimOut.Close()
	victimIn.Close()
	if !job.Listener {
		fromVictim.Close()
		toVictim.Close()
		return func() (map[string]int, error) { return nil, cmd.Wait() }
	}
	number := make([]byte, 1)
	if _, err := io.ReadFull(fromVictim, number); err != nil {
		t.Fatalf("no filter: %v, %v", err, cmd.Wait())
	}
	pidfd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdGetfd(pidfd, int(number[0]), 0)
	unix.Close(pidfd)
	if err != nil {
		cmd.Process.Kill()
		t.Fatal(err)
	}
	seen := map[string]int{}
	var served sync.WaitGroup
	served.Go(func() {
		defer unix.Close(fd)
		if err := serve(fd, job, seen); err != nil {
			t.Errorf("listener: %v", err)
			cmd.Process.Kill()
		}
	})
	toVictim.Close()
	fromVictim.Close()
	return func() (map[string]int, error) {
		err := cmd.Wait()
		served.Wait()
		return seen, err
	}
}

// notif and notifResp are struct seccomp_notif and struct seccomp_notif_resp.
type notif struct {
	id    uint64
	pid   uint32
	flags uint32
	nr    uint32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

type notifResp struct {
	id    uint64
	val   int64
	errno int32
	flags uint32
}

// serve answers until nobody is left under the filter.
func serve(fd int, job victimJob, seen map[string]int) error {
	for {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil {
			return err
		}
		if poll[0].Revents&unix.POLLIN == 0 {
			return nil
		}
		var n notif
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n))); errno != 0 {
			if errno == unix.EINTR || errno == unix.ENOENT { // it died meanwhile
				continue
			}
			return errno
		}
		name, errno := job.Profile.Answer(Native(), n.nr, n.args)
		if job.Answer != 0 {
			errno = job.Answer
		}
		seen[name]++
		resp := notifResp{id: n.id, errno: -int32(errno)}
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&resp))); errno != 0 && errno != unix.ENOENT {
			return errno
		}
	}
}

// make calls them all in one victim and returns their errnos.
func makeCalls(t testing.TB, job victimJob, calls []victimCall) ([]syscall.Errno, map[string]int) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	go func() { // the victim reads before it loads the filter
		w := bufio.NewWriter(in)
		_ = json.NewEncoder(w).Encode(calls) // the victim is gone
		w.Flush()
		in.Close()
	}()
	wait := startVictim(t, job, cmd)
	var errnos []syscall.Errno
	decodeErr := json.NewDecoder(out).Decode(&errnos)
	seen, err := wait()
	if err != nil || decodeErr != nil {
		t.Fatalf("victim: %v, %v", err, decodeErr)
	}
	if len(errnos) != len(calls) {
		t.Fatalf("%d answers to %d calls", len(errnos), len(calls))
	}
	return errnos, seen
}
