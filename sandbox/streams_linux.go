// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/linux"
)

// streams stand between the caller's streams and the command's: pipes, or a
// terminal of the sandbox's own. The command never holds a descriptor of the
// host.
type streams struct {
	child  [3]int // what the command gets; closed after the start
	in     *os.File
	out    [2]*os.File // stdout, stderr; nil if they are the terminal
	master *os.File
	wg     sync.WaitGroup
	turns  [3]sync.Mutex // held from before a read until it is handed on: stdout, stderr, terminal
}

// openStreams makes them. devpts is the sandbox's own devpts mount.
func openStreams(cmd Cmd, devpts int, owner Owner) (_ *streams, err error) {
	s := &streams{child: [3]int{-1, -1, -1}}
	defer func() {
		if err != nil {
			s.closeChild()
			s.close()
		}
	}()
	slave := -1
	if cmd.TTY.Any() {
		if slave, err = s.openTerminal(devpts, owner, cmd.TTY); err != nil {
			return nil, err
		}
		defer closeAll(slave)
	}
	for i, tty := range []bool{cmd.TTY.Stdin, cmd.TTY.Stdout, cmd.TTY.Stderr} {
		switch {
		case tty:
			s.child[i], err = unix.FcntlInt(uintptr(slave), unix.F_DUPFD_CLOEXEC, linux.LowFDs)
		case i == 0 && cmd.Stdin == nil:
			s.child[0], err = openHigh("/dev/null", unix.O_RDONLY)
		case i == 0:
			var w int
			if s.child[0], w, err = linux.Pipe(); err == nil {
				s.in, err = file(w, "stdin")
			}
		default:
			var r int
			if r, s.child[i], err = linux.Pipe(); err == nil {
				// A command that prints much is not slowed by our wake-ups. It is no
				// error if the user's pipe budget is used up (pipe(7)).
				_, _ = unix.FcntlInt(uintptr(r), unix.F_SETPIPE_SZ, 1<<20)
				s.out[i-1], err = file(r, "output")
			}
		}
		if err == nil && !tty && (i > 0 || cmd.Stdin != nil) {
			// So that /dev/stdout and its like can be opened anew.
			err = unix.Fchown(s.child[i], int(owner.UID), int(owner.GID))
		}
		if err != nil {
			return nil, fmt.Errorf("stream %d: %w", i, err)
		}
	}
	return s, nil
}

func openHigh(name string, flags int) (int, error) {
	fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return linux.HighFD(fd)
}

// file makes a descriptor one that goroutines can wait for and Close interrupts.
func file(fd int, name string) (*os.File, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(os.NewSyscallError("fcntl", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), name), nil
}

// openTerminal makes a pseudo-terminal in the sandbox's own devpts: its name
// inside is /dev/pts/0, and no other sandbox can see it.
func (s *streams) openTerminal(devpts int, owner Owner, t TTY) (slave int, err error) {
	m, err := unix.Openat(devpts, "ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: "ptmx", Err: err}
	}
	if m, err = linux.HighFD(m); err != nil {
		return -1, err
	}
	if err := unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0); err != nil {
		return -1, errors.Join(os.NewSyscallError("ioctl TIOCSPTLCK", err), unix.Close(m))
	}
	// By descriptor: a path could lead to somebody else's terminal (ioctl_tty(2)).
	r, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(m), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return -1, errors.Join(os.NewSyscallError("ioctl TIOCGPTPEER", errno), unix.Close(m))
	}
	slave = int(r)
	if t.Stdin && !t.Stdout {
		// The caller's terminal shows what is typed; an echo of ours would go to
		// wherever the other terminal stream goes.
		attr, err := unix.IoctlGetTermios(slave, unix.TCGETS)
		if err == nil {
			attr.Lflag &^= unix.ECHO
			err = unix.IoctlSetTermios(slave, unix.TCSETS, attr)
		}
		if err != nil {
			return -1, errors.Join(os.NewSyscallError("ioctl TCSETS", err), unix.Close(slave), unix.Close(m))
		}
	}
	if err := unix.Fchown(slave, int(owner.UID), int(owner.GID)); err != nil {
		return -1, errors.Join(os.NewSyscallError("fchown terminal", err), unix.Close(slave), unix.Close(m))
	}
	if s.master, err = file(m, "terminal"); err != nil {
		return -1, errors.Join(err, unix.Close(slave))
	}
	return slave, s.resize(t)
}

// resize tells the terminal its new size; the kernel sends SIGWINCH.
func (s *streams) resize(t TTY) error {
	if s.master == nil || t.Rows == 0 || t.Cols == 0 {
		return nil
	}
	raw, err := s.master.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: t.Rows, Col: t.Cols})
	})
	return errors.Join(err, set)
}

// run copies until the command's side is closed. The copy of stdin is not waited
// for: a read of the caller's terminal cannot be interrupted.
func (s *streams) run(cmd Cmd) {
	if s.in != nil {
		go feed(s.in, cmd.Stdin)
	}
	if s.master != nil {
		out := cmd.Stdout
		if !cmd.TTY.Stdout {
			out = cmd.Stderr
		}
		s.wg.Go(func() { drain(out, s.master, &s.turns[2]) })
		if cmd.TTY.Stdin && cmd.Stdin != nil {
			go func() { _, _ = io.Copy(struct{ io.Writer }{s.master}, cmd.Stdin) }()
		}
	}
	for i, w := range []io.Writer{cmd.Stdout, cmd.Stderr} {
		if r := s.out[i]; r != nil {
			s.wg.Go(func() { drain(w, r, &s.turns[i]) })
		}
	}
}

func feed(w *os.File, r io.Reader) {
	_, _ = io.Copy(struct{ io.Writer }{w}, r) // EPIPE: the command does not read
	_ = w.Close()
}

// outputBuffers are those of streams that have something: most of the time most have
// nothing.
var outputBuffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }} //nolint:gochecknoglobals // a pool

// drain copies output. When the caller's side is gone ours closes too, so that
// the command meets SIGPIPE as it would without us.
func drain(w io.Writer, r *os.File, turn *sync.Mutex) {
	defer func() { _ = r.Close() }()
	if w == nil {
		w = io.Discard
	}
	raw, err := r.SyscallConn()
	if err != nil {
		return
	}
	for {
		n := 0
		var failed error
		var buf *[]byte
		err := raw.Read(func(fd uintptr) bool {
			turn.Lock()
			buf = outputBuffers.Get().(*[]byte)
			n, failed = unix.Read(int(fd), *buf)
			if errors.Is(failed, unix.EAGAIN) {
				outputBuffers.Put(buf)
				turn.Unlock()
				return false
			}
			return true
		})
		if err != nil {
			return // closed; the turn is not ours
		}
		if n > 0 {
			_, failed = w.Write((*buf)[:n])
		}
		outputBuffers.Put(buf)
		turn.Unlock()
		if errors.Is(failed, unix.EINTR) {
			continue
		}
		if n <= 0 || failed != nil { // EIO ends a terminal
			return
		}
	}
}

// empty reports whether everything that was written so far has been handed to the
// caller.
func (s *streams) empty() bool {
	for i, f := range []*os.File{s.out[0], s.out[1], s.master} {
		if f == nil {
			continue
		}
		if !s.turns[i].TryLock() {
			return false
		}
		defer s.turns[i].Unlock()
		raw, err := f.SyscallConn()
		if err != nil {
			continue // closed
		}
		pending := 0
		_ = raw.Control(func(fd uintptr) { pending, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
		if pending > 0 {
			return false
		}
	}
	return true
}

func (s *streams) closeChild() {
	for i, fd := range s.child {
		if fd >= 0 {
			_ = unix.Close(fd)
			s.child[i] = -1
		}
	}
}

func (s *streams) close() {
	for _, f := range []*os.File{s.in, s.out[0], s.out[1], s.master} {
		if f != nil {
			_ = f.Close()
		}
	}
}
