// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// needed is what must go on working: a sandbox that refuses everything passes
// every other row.
func needed() []Attempt {
	work := func(id, name, what string, run func([]string) (string, error)) Attempt {
		return Attempt{ID: id, Name: name, What: what, Allowed: true, Control: InUserNamespace, run: run}
	}
	return []Attempt{
		work("ok-01", "passwd", "read /etc/passwd", reads("/etc/passwd")),
		work("ok-02", "tmp", "write and read a file in /tmp", func([]string) (string, error) { return writesAndReads("/tmp") }),
		work("ok-03", "workspace", "write and read a file in the workspace", func([]string) (string, error) { return writesAndReads(".") }),
		work("ok-04", "null", "write to /dev/null", func([]string) (string, error) {
			f, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
			if err != nil {
				return "", err
			}
			_, err = f.WriteString("x")
			return "written", errors.Join(err, f.Close())
		}),
		work("ok-05", "zero", "read /dev/zero", readsDevice("/dev/zero")),
		work("ok-06", "urandom", "read /dev/urandom", readsDevice("/dev/urandom")),
		work("ok-07", "status", "read /proc/self/status", reads("/proc/self/status")),
		work("ok-08", "maps", "read /proc/self/maps", reads("/proc/self/maps")),
		work("ok-09", "execve", "start a program and wait for it", func([]string) (string, error) {
			out, err := exec.Command("/bin/sh", "-c", "echo started").Output() // it ends by itself
			return string(out[:max(0, len(out)-1)]), err
		}),
		work("ok-10", "mmap", "map memory", func([]string) (string, error) {
			b, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
			if err != nil {
				return "", err
			}
			return "mapped", unix.Munmap(b)
		}),
		work("ok-11", "TCP4", "TCP on 127.0.0.1", serves("tcp4", "127.0.0.1:0")),
		work("ok-12", "TCP6", "TCP on ::1", serves("tcp6", "[::1]:0")),
		work("ok-13", "unix", "a Unix socket", func([]string) (string, error) {
			dir, err := os.MkdirTemp("/tmp", "s")
			if err != nil {
				return "", err
			}
			return serves("unix", filepath.Join(dir, "s"))(nil)
		}),
		work("ok-14", "UDP4", "UDP on 127.0.0.1", func([]string) (string, error) {
			c, err := net.ListenPacket("udp4", "127.0.0.1:0") // it answers at once
			if err != nil {
				return "", err
			}
			if _, err := c.WriteTo([]byte("x"), c.LocalAddr()); err != nil {
				return "", err
			}
			n, _, err := c.ReadFrom(make([]byte, 8))
			return fmt.Sprintf("%d byte", n), errors.Join(err, c.Close())
		}),
		work("ok-15", "fork", "a child process", func([]string) (string, error) { return "born", inChild(call{unix.SYS_GETPID}) }),
	}
}

func writesAndReads(dir string) (string, error) {
	f, err := os.CreateTemp(dir, "attack-")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // the sandbox throws it away
	if _, err := f.WriteString("text"); err != nil {
		return "", err
	}
	b, err := os.ReadFile(f.Name())
	return string(b), errors.Join(err, f.Close())
}

func readsDevice(path string) func([]string) (string, error) {
	return func([]string) (string, error) {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		_, err = io.ReadFull(f, make([]byte, 16))
		return "16 bytes", errors.Join(err, f.Close())
	}
}

// serves listens, connects to itself and passes a byte.
func serves(network, address string) func([]string) (string, error) {
	return func([]string) (string, error) {
		l, err := net.Listen(network, address) // it answers at once
		if err != nil {
			return "", err
		}
		defer l.Close()                                     //nolint:errcheck // the process ends
		client, err := net.Dial(network, l.Addr().String()) // it answers at once
		if err != nil {
			return "", err
		}
		server, err := l.Accept()
		if err != nil {
			return "", err
		}
		if _, err := client.Write([]byte("x")); err != nil {
			return "", err
		}
		n, err := server.Read(make([]byte, 8))
		return fmt.Sprintf("%d byte", n), errors.Join(err, client.Close(), server.Close())
	}
}
