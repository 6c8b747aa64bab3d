// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox"
)

// buffer is one that a background process may write to while it is read.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func openCell(t *testing.T, r executor.CellRequest) *executor.Cell {
	t.Helper()
	testenv.NeedRoot(t)
	state, err := os.MkdirTemp("/var/tmp", "zviz-cell") //nolint:usetesting // the sandbox has a /tmp of its own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(state) })
	return openCellIn(t, state, r)
}

func openCellIn(t *testing.T, state string, r executor.CellRequest) *executor.Cell {
	t.Helper()
	x, err := executor.New(executor.Config{StateDir: state, Environ: []string{"PATH=/usr/bin:/bin"}})
	if err != nil {
		t.Fatal(err)
	}
	r.Policy.NoNetwork = true
	cell, err := x.OpenCell(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	t.Cleanup(func() {
		if !closed {
			closed = true
			if err := cell.Close(); err != nil {
				t.Error(err)
			}
			if left, _ := filepath.Glob(filepath.Join(state, "jobs", "*")); len(left) > 0 {
				t.Errorf("left %q", left)
			}
		}
	})
	return cell
}

func step(t *testing.T, cell *executor.Cell, script string) (string, sandbox.Result) {
	t.Helper()
	var out buffer
	res, err := cell.Run(t.Context(), executor.Step{Args: []string{"sh", "-c", script}, Dir: executor.RunnerWork, Stdout: &out, Stderr: &out})
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), res
}

func TestCellSteps(t *testing.T) {
	cell := openCell(t, executor.CellRequest{})
	if err := cell.WriteFile(executor.RunnerWork+"/repo/repo/file", []byte("from us"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, res := step(t, cell, `id -un; id -u; echo $HOME; cat repo/repo/file; echo x > ~/mine; echo y > /tmp/mine; echo z > repo/repo/file; exit 3`)
	if res.ExitCode != 3 || out != "runner\n1001\n/home/runner\nfrom us" {
		t.Errorf("%+v: %q", res, out)
	}
	if out, _ = step(t, cell, `cat ~/mine /tmp/mine repo/repo/file`); out != "x\ny\nz\n" {
		t.Errorf("the second step sees %q", out)
	}
	// A relative directory would be one of the runner's own.
	if got := cell.LookPath("sh", []string{strings.Repeat("../", 30) + "bin"}); !filepath.IsAbs(got) {
		t.Errorf("sh is at %q", got)
	}
	got, err := cell.ReadFile(executor.RunnerWork+"/repo/repo/file", 10)
	if err != nil || string(got) != "z\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestCellBackground: a server that a step started serves the next one, which
// cannot see its process.
func TestCellBackground(t *testing.T) {
	cell := openCell(t, executor.CellRequest{})
	out, res := step(t, cell, `echo served > index.html; python3 -u -m http.server 8123 >server.log 2>&1 & echo started`)
	if res.ExitCode != 0 || out != "started\n" {
		t.Fatalf("%+v: %q", res, out)
	}
	out, _ = step(t, cell, `for i in $(seq 600); do curl -sf http://127.0.0.1:8123/index.html && break; sleep 0.1; done; ls /proc | grep -c '^[0-9]'; cat /proc/[0-9]*/comm`)
	if !strings.HasPrefix(out, "served\n") || strings.Contains(out, "python") {
		t.Errorf("%q", out)
	}
}

// TestCellOutput: all that a command wrote is there when its end is, also if a
// process in the background holds the stream.
func TestCellOutput(t *testing.T) {
	cell := openCell(t, executor.CellRequest{})
	for range 20 {
		out, _ := step(t, cell, `sleep 1000 & head -c 300000 /dev/zero | tr '\0' x; echo end`)
		if len(out) != 300004 || !strings.HasSuffix(out, "end\n") {
			t.Fatalf("%d bytes", len(out))
		}
	}
}

// TestCellLater: what a background process prints later reaches its step's writer.
func TestCellLater(t *testing.T) {
	cell := openCell(t, executor.CellRequest{})
	var out buffer
	if _, err := cell.Run(t.Context(), executor.Step{Args: []string{"sh", "-c", "(while [ ! -e go ]; do sleep 0.05; done; echo later) & echo now"}, Dir: executor.RunnerWork, Stdout: &out}); err != nil {
		t.Fatal(err)
	}
	if out.String() != "now\n" {
		t.Errorf("%q", out.String())
	}
	step(t, cell, "touch go")
	for range 1200 {
		if strings.HasSuffix(out.String(), "later\n") {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("%q", out.String())
}

// TestCellDisk: what a step's background process fills while no step runs ends the next
// one.
func TestCellDisk(t *testing.T) {
	testenv.NeedRoot(t)
	state := t.TempDir()
	if err := syscall.Mount("tmpfs", state, "tmpfs", 0, "size=64m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(state, syscall.MNT_DETACH) })
	cell := openCellIn(t, state, executor.CellRequest{})
	step(t, cell, "(while [ ! -e go ]; do sleep 0.05; done; head -c 66500000 /dev/zero >big; mv big full) & echo begun")
	if err := cell.WriteFile(executor.RunnerWork+"/go", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for full := false; !full; time.Sleep(time.Millisecond) {
		_, err := fs.Stat(cell.Work(), "full")
		full = err == nil
	}
	if _, res := step(t, cell, "sleep 1000"); res.Cause != sandbox.CauseDisk {
		t.Errorf("cause %s, want %s", res.Cause, sandbox.CauseDisk)
	}
}

func TestCellTimeout(t *testing.T) {
	cell := openCell(t, executor.CellRequest{})
	res, err := cell.Run(t.Context(), executor.Step{Args: []string{"sh", "-c", "trap '' TERM; sleep 1000"}, Dir: executor.RunnerWork, Timeout: 300 * time.Millisecond, Grace: 100 * time.Millisecond})
	if err != nil || res.Cause != sandbox.CauseTimeout {
		t.Errorf("%+v, %v", res, err)
	}
	if out, _ := step(t, cell, "echo next"); out != "next\n" {
		t.Errorf("%q", out)
	}
}

// when is a buffer that calls a function once something is in it.
type when struct {
	buffer
	once sync.Once
	do   func()
}

func (w *when) Write(p []byte) (int, error) {
	defer w.once.Do(w.do)
	return w.buffer.Write(p)
}

// TestCellInterrupt: a step that is to end hears SIGINT first.
func TestCellInterrupt(t *testing.T) {
	cell := openCell(t, executor.CellRequest{})
	ctx, cancel := context.WithCancelCause(t.Context())
	out := when{do: func() { cancel(errors.New("enough")) }}
	res, err := cell.Run(ctx, executor.Step{
		Args: []string{"bash", "-c", "trap 'echo interrupted' INT; trap 'echo terminated; exit 7' TERM; echo ready; while :; do sleep 0.05; done"},
		Dir:  executor.RunnerWork, Stdout: &out, Interrupt: 2 * time.Second, Grace: time.Minute,
	})
	if err != nil || out.String() != "ready\ninterrupted\nterminated\n" {
		t.Errorf("%+v, %v: %q", res, err, out.String())
	}
	if res.Cause != sandbox.CauseCancelled {
		t.Errorf("%+v", res)
	}
}

// TestCellLimits are those of the job, not of each step.
func TestCellLimits(t *testing.T) {
	cell := openCell(t, executor.CellRequest{Policy: executor.Policy{Limits: sandbox.Limits{Pids: 20, MemoryBytes: 64 << 20}}})
	step(t, cell, `for i in $(seq 12); do sleep 1000 & done`)
	out, _ := step(t, cell, `for i in $(seq 12); do sleep 1000 & done; jobs | wc -l`)
	if !strings.Contains(out, "fork") {
		t.Errorf("a second step has 12 more processes: %q", out)
	}
}

// TestCellHostileFiles: the runner reads nothing that a step leads it to.
func TestCellHostileFiles(t *testing.T) {
	cell := openCell(t, executor.CellRequest{})
	step(t, cell, `mkdir d; ln -s /etc/passwd d/link; ln -s ../../../../../../etc/passwd d/up; mkfifo d/pipe; head -c 1000 /dev/zero > d/large; ln -s large d/inner`)
	for name, want := range map[string]bool{"link": false, "up": false, "pipe": false, "large": false, "inner": false, "none": false} {
		got, err := cell.ReadFile(executor.RunnerWork+"/d/"+name, 100)
		if (err == nil) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := cell.ReadFile(executor.RunnerWork+"/d/large", 100); !errors.Is(err, executor.ErrTooLarge) {
		t.Error(err)
	}
	step(t, cell, `ln -s /var/tmp/somewhere d/out`)
	if err := cell.WriteFile(executor.RunnerWork+"/d/out/x", nil, 0o644); err == nil {
		t.Error("written through a link")
	}
	if _, err := os.Lstat("/var/tmp/somewhere"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestCellsBesideEachOther: each has its own.
func TestCellsBesideEachOther(t *testing.T) {
	a := openCell(t, executor.CellRequest{})
	b := openCell(t, executor.CellRequest{})
	step(t, a, "echo a > ~/x; echo a > /tmp/x; echo a > x")
	out, _ := step(t, b, "ls ~/x /tmp/x x 2>/dev/null; echo none")
	if out != "none\n" {
		t.Errorf("%q", out)
	}
}
