// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/cmd/zviz-runner/internal/ui"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox"
)

// openPTY returns a terminal and its other end.
func openPTY(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		testenv.Missing(t, "no terminal to be had: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	must(t, err)
	must(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	t.Cleanup(func() { slave.Close() })
	must(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 132}))
	return master, slave
}

func termios(t *testing.T, f *os.File) unix.Termios {
	t.Helper()
	m, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	must(t, err)
	return *m
}

func TestExecTerminal(t *testing.T) {
	for _, tt := range []struct {
		name string
		exec func(t *testing.T, tty *os.File, r executor.Request) (executor.Report, error)
		code int
	}{
		{"fine", func(*testing.T, *os.File, executor.Request) (executor.Report, error) { return exited(0), nil }, 0},
		{"error", func(*testing.T, *os.File, executor.Request) (executor.Report, error) {
			return executor.Report{}, os.ErrInvalid
		}, 125},
		{"panic", func(*testing.T, *os.File, executor.Request) (executor.Report, error) { panic("boom") }, 125},
		{"signal", func(t *testing.T, _ *os.File, r executor.Request) (executor.Report, error) {
			t.Helper()
			must(t, unix.Kill(os.Getpid(), unix.SIGTERM))
			<-r.Signals
			return exited(0), nil
		}, 143},
		{"window size", func(t *testing.T, tty *os.File, r executor.Request) (executor.Report, error) {
			t.Helper()
			must(t, unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 20, Col: 60}))
			must(t, unix.Kill(os.Getpid(), unix.SIGWINCH))
			select {
			case size := <-r.Resize:
				if size != (sandbox.TTY{Stdin: true, Stdout: true, Stderr: true, Rows: 20, Cols: 60}) {
					t.Errorf("%+v", size)
				}
			case <-time.After(time.Minute):
				t.Error("no new size")
			}
			return exited(0), nil
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			master, slave := openPTY(t)
			before := termios(t, slave)
			shown := make(chan string, 1)
			go func() {
				var b strings.Builder
				buf := make([]byte, 4096)
				for !strings.Contains(b.String(), "END") {
					n, err := master.Read(buf)
					b.Write(buf[:n])
					if err != nil {
						break
					}
				}
				shown <- b.String()
			}()
			c := newCmdline(t)
			a := app{
				System: System{Args: []string{"zviz-runner", "exec", "--no-network", "--", "x"}, In: slave, Out: slave, Err: slave, Env: c.env},
				newRunner: func(executor.Config) (runner, error) {
					return &fake{exec: func(_ context.Context, r executor.Request) (executor.Report, error) {
						if r.TTY != (sandbox.TTY{Stdin: true, Stdout: true, Stderr: true, Rows: 50, Cols: 132}) {
							t.Errorf("%+v", r.TTY)
						}
						r.Phase("sandbox")
						if termios(t, slave) != before {
							t.Error("raw before the command runs: Ctrl-C would be lost")
						}
						r.Phase("")
						if m := termios(t, slave); m.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) != 0 || m.Oflag&unix.OPOST != 0 {
							t.Error("not raw while the command runs")
						}
						_, err := master.WriteString("rm -rf /\n")
						must(t, err)
						return tt.exec(t, slave, r)
					}}, nil
				},
			}
			if code := a.main(); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if termios(t, slave) != before {
				t.Error("the terminal is not as it was")
			}
			// What was typed, or made to look so, must not reach the operator's shell.
			if n, err := unix.IoctlGetInt(int(slave.Fd()), unix.TIOCINQ); err != nil || n != 0 {
				t.Errorf("%d bytes are left to read, %v", n, err)
			}
			_, err := slave.WriteString("END")
			must(t, err)
			if got := <-shown; strings.Count(got, ui.ResetModes) != 1 {
				t.Errorf("modes not reset once: %q", got)
			}
		})
	}
}

// A command whose output is a program's gets no raw keys, and its program no
// escape sequences.
func TestExecHalfATerminal(t *testing.T) {
	_, slave := openPTY(t)
	before := termios(t, slave)
	c := newCmdline(t)
	c.in = slave
	c.exec = func(_ context.Context, r executor.Request) (executor.Report, error) {
		if r.TTY != (sandbox.TTY{Stdin: true, Rows: 50, Cols: 132}) {
			t.Errorf("%+v", r.TTY)
		}
		r.Phase("")
		if termios(t, slave) != before {
			t.Error("raw, although the output is no terminal")
		}
		return exited(0), nil
	}
	c.run("exec --no-network -- x")
	if c.code != 0 || c.out != "" || c.err != "" {
		t.Errorf("%d %q %q", c.code, c.out, c.err)
	}
}
