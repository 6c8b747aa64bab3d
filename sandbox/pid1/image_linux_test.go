// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package pid1_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/zviz/run/sandbox/pid1"
)

// run starts the image as process 1 of a pid namespace and returns its standard
// output and its record.
func run(t *testing.T, c pid1.Command, during func(control *os.File, p *os.Process, said <-chan struct{})) (string, []byte) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: a pid namespace of its own")
	}
	image, err := pid1.Image(c)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pid1")
	if err := os.WriteFile(file, image, 0o700); err != nil {
		t.Fatal(err)
	}
	controlR, controlW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	statusR, statusW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out := heard{said: make(chan struct{})}
	cmd := exec.Command(file)
	cmd.Env = []string{}
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.ExtraFiles = []*os.File{controlR, statusW}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	controlR.Close()
	statusW.Close()
	if during != nil {
		during(controlW, cmd.Process, out.said)
	}
	record, err := io.ReadAll(statusR)
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	controlW.Close()
	if len(record) > pid1.RecordSize {
		record = record[:pid1.RecordSize] // the end of a child that could not start follows its record
	}
	return out.text.String(), record
}

// heard keeps what is written, and closes said at the first of it.
type heard struct {
	text bytes.Buffer
	said chan struct{}
	once sync.Once
}

func (h *heard) Write(b []byte) (int, error) {
	defer h.once.Do(func() { close(h.said) })
	return h.text.Write(b)
}

func record(kind, value uint32) string {
	return string(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, kind), value))
}

func TestImage(t *testing.T) {
	path := "PATH=relative:/nonexistent:/usr/bin:/bin"
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		cmd    pid1.Command
		output string
		record string
	}{
		{"exit code", pid1.Command{Args: []string{"sh", "-c", "exit 7"}, Env: []string{path}, Tty: -1}, "", record(pid1.RecordStatus, 7<<8)},
		{"signal", pid1.Command{Args: []string{"sh", "-c", "kill -9 $$"}, Env: []string{path}, Tty: -1}, "", record(pid1.RecordStatus, 9)},
		{"arguments and environment", pid1.Command{Args: []string{"sh", "-c", `echo "$1-$A-$$"`, "x", "a b"}, Env: []string{path, "A=1"}, Tty: -1}, "a b-1-2\n", record(pid1.RecordStatus, 0)},
		{"not found", pid1.Command{Args: []string{"no-such-command"}, Env: []string{path}, Tty: -1}, "", record(pid1.RecordErrno, uint32(syscall.ENOENT))},
		{"not executable", pid1.Command{Args: []string{plain}, Env: []string{path}, Tty: -1}, "", record(pid1.RecordErrno, uint32(syscall.EACCES))},
		{"orphans are reaped and end with the command", pid1.Command{Args: []string{"sh", "-c", "(sleep 60 & ) ; (true &) ; exit 3"}, Env: []string{path}, Tty: -1}, "", record(pid1.RecordStatus, 3<<8)},
		{"descriptors 3 and 4 are closed", pid1.Command{Args: []string{"sh", "-c", "readlink /proc/$$/fd/3 /proc/$$/fd/4"}, Env: []string{path}, Tty: -1}, "", record(pid1.RecordStatus, 1<<8)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, rec := run(t, tt.cmd, nil)
			if out != tt.output || string(rec) != tt.record {
				t.Errorf("got output %q, record %x; want %q, %x", out, rec, tt.output, tt.record)
			}
		})
	}
}

func TestImageSignals(t *testing.T) {
	out, rec := run(t, pid1.Command{Args: []string{"sh", "-c", `trap 'echo term; exit 5' TERM; echo up; while :; do sleep 0.05; done`}, Env: []string{"PATH=/usr/bin:/bin"}, Tty: -1},
		func(_ *os.File, p *os.Process, said <-chan struct{}) {
			<-said // the trap is set
			_ = p.Signal(syscall.SIGTERM)
		})
	if !strings.HasPrefix(out, "up\n") || !strings.Contains(out, "term\n") || string(rec) != record(pid1.RecordStatus, 5<<8) {
		t.Errorf("got %q %x", out, rec)
	}
}

func TestImageEndsWithRunner(t *testing.T) {
	_, rec := run(t, pid1.Command{Args: []string{"sleep", "60"}, Env: []string{"PATH=/usr/bin:/bin"}, Tty: -1},
		func(control *os.File, _ *os.Process, _ <-chan struct{}) { control.Close() })
	if len(rec) != 0 {
		t.Errorf("got record %x, want none", rec)
	}
}
