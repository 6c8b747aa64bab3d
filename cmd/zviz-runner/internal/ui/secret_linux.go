// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxSecret bounds what somebody types: GitHub takes 48 KiB.
const maxSecret = 48 << 10

// AskSecret prints a prompt and reads a line that the terminal does not show. The
// terminal is as it was afterwards, also if Ctrl-C is pressed, which is an error.
func AskSecret(in *os.File, out io.Writer, prompt string) (string, error) {
	var old *unix.Termios
	err := control(in, func(fd int) (err error) {
		if old, err = unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
			return err
		}
		quiet := *old
		quiet.Lflag &^= unix.ECHO
		quiet.Lflag |= unix.ICANON | unix.ISIG
		return unix.IoctlSetTermios(fd, unix.TCSETSF, &quiet)
	})
	if err != nil {
		return "", err
	}
	defer func() {
		_ = control(in, func(fd int) error { return unix.IoctlSetTermios(fd, unix.TCSETS, old) })
		fmt.Fprintln(out) // the key that ended the line was not shown either
	}()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(stop)
	fmt.Fprint(out, prompt)
	type answer struct {
		text string
		err  error
	}
	read := make(chan answer, 1)
	go func() {
		text, err := readLine(in)
		read <- answer{text, err}
	}()
	select {
	case a := <-read:
		return a.text, a.err
	case s := <-stop:
		sig, _ := s.(syscall.Signal)
		return "", &InterruptedError{sig}
	}
}

// readLine reads to the end of a line and not beyond it.
func readLine(in io.Reader) (string, error) {
	var line strings.Builder
	b := make([]byte, 1)
	for {
		n, err := in.Read(b)
		switch {
		case n == 1 && b[0] == '\n':
			return strings.TrimSuffix(line.String(), "\r"), nil
		case n == 1:
			line.WriteByte(b[0])
		case errors.Is(err, io.EOF) && line.Len() > 0:
			return line.String(), nil
		case err != nil:
			return "", errors.New("nothing was typed")
		}
		if line.Len() > maxSecret {
			return "", fmt.Errorf("is longer than %d bytes", maxSecret)
		}
	}
}
