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
	fd      int
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

func supervise(fd int, p seccomp.Profile) *supervisor {
	s := &supervisor{fd: fd, profile: p, done: make(chan struct{})}
	go s.loop()
	return s
}

func (s *supervisor) loop() {
	defer close(s.done)
	defer closeAll(s.fd) // without a listener the kernel refuses: ENOSYS (seccomp_unotify(2))
	defer func() {
		if r := recover(); r != nil { // the runner may hold other jobs
			s.err = fmt.Errorf("bug: panic in the supervisor of refused calls: %v", r)
		}
	}()
	poll := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}
	left, since := notifyBurst, time.Now()
	for {
		if err := linux.Retry(func() error { _, err := unix.Poll(poll, -1); return err }); err != nil {
			return
		}
		if poll[0].Revents&unix.POLLIN == 0 {
			return // POLLHUP: nobody is left under the filter
		}
		n, err := linux.ReceiveNotification(s.fd)
		switch {
		case errors.Is(err, syscall.EINTR), errors.Is(err, syscall.ENOENT): // the caller died meanwhile
			continue
		case err != nil:
			return
		}
		name, errno := s.profile.Answer(seccomp.Native(), n.NR, n.Args)
		s.count(name, errno, n.PID)
		if time.Since(since) > notifyRefill {
			left, since = notifyBurst, time.Now()
		}
		if left--; left < 0 {
			time.Sleep(notifyPause)
		}
		_ = linux.RefuseNotification(s.fd, n.ID, errno) // ENOENT: it died
	}
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
