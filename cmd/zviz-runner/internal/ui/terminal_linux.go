// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// IsTerminal reports whether f is a terminal. A nil file is none.
func IsTerminal(f *os.File) bool {
	if f == nil {
		return false
	}
	ok := false
	_ = control(f, func(fd int) error {
		_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		ok = err == nil
		return nil
	})
	return ok
}

// Size returns the window's rows and columns; 0 and 0 if f has none.
func Size(f *os.File) (rows, cols uint16) {
	_ = control(f, func(fd int) error {
		ws, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
		if err == nil {
			rows, cols = ws.Row, ws.Col
		}
		return err
	})
	return rows, cols
}

// InBackground reports whether f is our controlling terminal and another
// process group has it: reading from it, or changing its modes, would stop us
// (SIGTTIN, SIGTTOU; credentials(7)).
func InBackground(f *os.File) bool {
	back := false
	_ = control(f, func(fd int) error {
		pgrp, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		// 0 is a group of another pid namespace: nothing is known then.
		back = err == nil && pgrp != 0 && pgrp != unix.Getpgrp()
		return err
	})
	return back
}

// MakeRaw gives every key to the reader of f, unchanged, and returns what puts
// the old modes back; that may be called more than once, from any goroutine.
// Output is raw too: the job's own terminal has already turned "\n" into "\r\n".
func MakeRaw(f *os.File) (restore func(), err error) {
	var old *unix.Termios
	err = control(f, func(fd int) (err error) {
		if old, err = unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
			return err
		}
		raw := *old
		// cfmakeraw, termios(3).
		raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
		raw.Oflag &^= unix.OPOST
		raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
		raw.Cflag &^= unix.CSIZE | unix.PARENB
		raw.Cflag |= unix.CS8
		raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
		return unix.IoctlSetTermios(fd, unix.TCSETS, &raw)
	})
	if err != nil {
		return nil, err
	}
	return sync.OnceFunc(func() {
		_ = control(f, func(fd int) error { return unix.IoctlSetTermios(fd, unix.TCSETSF, old) })
	}), nil
}

// FlushInput throws away what was typed, or injected by the job (a terminal
// answers queries on its input), and not yet read: the operator's shell must
// not run it.
func FlushInput(f *os.File) {
	_ = control(f, func(fd int) error { return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH) })
}

func control(f *os.File, do func(fd int) error) error {
	if f == nil {
		return os.ErrInvalid
	}
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := c.Control(func(fd uintptr) { err = do(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}
