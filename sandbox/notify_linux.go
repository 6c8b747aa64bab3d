// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/linux"
	"github.com/zviz/run/sandbox/seccomp"
)

// supervisor answers the system calls that the filter hands to it: always with a
// refusal, never with "continue" (seccomp_unotify(2)).
type supervisor struct {
	listen  *os.File // waits in the poller: a thread for each sandbox would be dear
	profile seccomp.Profile
	done    chan struct{}
	err     error // read it after done

	mu      sync.Mutex
	denials []Denial
}

// A flood of refused calls costs the one who makes them: past the burst each
// answer waits.
const (
	notifyBurst  = 1000
	notifyPause  = 2 * time.Millisecond
	notifyRefill = time.Second
	maxDenials   = 256 // kinds of denials kept
)

func supervise(fd int, p seccomp.Profile) (*supervisor, error) {
	listen, err := file(fd, "refused calls")
	if err != nil {
		return nil, err
	}
	s := &supervisor{listen: listen, profile: p, done: make(chan struct{})}
	go s.loop()
	return s, nil
}

func (s *supervisor) loop() {
	defer close(s.done)
	defer func() { _ = s.listen.Close() }() // without a listener the kernel refuses: ENOSYS (seccomp_unotify(2))
	defer func() {
		if r := recover(); r != nil { // the runner may hold other jobs
			s.err = fmt.Errorf("bug: panic in the supervisor of refused calls: %v", r)
		}
	}()
	raw, err := s.listen.SyscallConn()
	if err != nil {
		s.err = err
		return
	}
	left, since := notifyBurst, time.Now()
	answer := func(fd int) (more bool) {
		n, err := linux.ReceiveNotification(fd)
		switch {
		case errors.Is(err, syscall.EINTR), errors.Is(err, syscall.ENOENT): // the caller died meanwhile
			return true
		case err != nil:
			return false
		}
		name, errno := s.profile.Answer(seccomp.Native(), n.NR, n.Args)
		s.count(name, errno, n.PID)
		if time.Since(since) > notifyRefill {
			left, since = notifyBurst, time.Now()
		}
		if left--; left < 0 {
			time.Sleep(notifyPause)
		}
		_ = linux.RefuseNotification(fd, n.ID, errno) // ENOENT: it died
		return true
	}
	_ = raw.Read(func(fd uintptr) bool {
		for {
			ready, over := waitingCall(int(fd))
			if !ready {
				return over
			}
			if !answer(int(fd)) {
				return true
			}
		}
	})
}

// waitingCall reports whether a refused call waits for its answer, or nobody is left
// under the filter.
func waitingCall(fd int) (ready, over bool) {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if err := linux.Retry(func() error { _, err := unix.Poll(poll, 0); return err }); err != nil {
		return false, true
	}
	ready = poll[0].Revents&unix.POLLIN != 0
	return ready, !ready && poll[0].Revents != 0
}

func (s *supervisor) count(name string, errno syscall.Errno, pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.denials {
		if d := &s.denials[i]; d.Syscall == name && d.Errno == errno {
			d.Count++
			return
		}
	}
	if len(s.denials) >= maxDenials {
		return
	}
	// The caller waits for our answer, so its pid is still its own.
	exe, _ := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	s.denials = append(s.denials, Denial{Syscall: name, Errno: errno, Count: 1, PID: pid, Exe: exe})
}

// soFar is what was refused until now.
func (s *supervisor) soFar() ([]Denial, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.denials), nil
}

// result waits until nobody is left under the filter.
func (s *supervisor) result() ([]Denial, error) {
	<-s.done
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.denials, s.err
}
