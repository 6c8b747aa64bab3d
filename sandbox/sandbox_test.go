// SPDX-License-Identifier: Apache-2.0

//go:build linux

package sandbox_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/sandbox/landlock"
	"github.com/zviz/run/sandbox/seccomp"
)

// newSpec is a sandbox of the host's tools without a workspace.
func newSpec(t *testing.T) (sandbox.Spec, sandbox.Probe) {
	t.Helper()
	testenv.NeedRoot(t)
	probe, err := sandbox.Measure()
	if err != nil {
		t.Fatal(err)
	}
	root, err := sandbox.HostRoot([]string{"/usr", "/bin", "/lib", "/lib64", "/sbin", "/etc/alternatives", "/etc/ld.so.cache"})
	if err != nil {
		t.Fatal(err)
	}
	return sandbox.Spec{
		ID: strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))[4:], StateDir: t.TempDir(), Home: "/home/job", Hostname: "zviz",
		Root: root, Profile: seccomp.CI(),
		IDs:    sandbox.MapRange(0x6f000000, 65536, 1000, 1000),
		Limits: sandbox.Limits{MemoryBytes: 1 << 30, Pids: 256},
	}, probe
}

func start(t *testing.T, ctx context.Context, s sandbox.Spec, probe sandbox.Probe, cmd sandbox.Cmd) (*sandbox.Sandbox, *sandbox.Process) { //nolint:revive // t first reads better here
	t.Helper()
	sb, err := sandbox.New(s, probe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sb.Close(); err != nil {
			t.Error(err)
		}
	})
	cmd.Env = append([]string{"PATH=/usr/bin:/bin", "HOME=/home/job"}, cmd.Env...)
	if cmd.Dir == "" {
		cmd.Dir = "/tmp"
	}
	p, err := sb.Start(ctx, &cmd)
	if err != nil {
		t.Fatal(err)
	}
	return sb, p
}

// run runs a shell script to its end and returns what it printed.
func run(t *testing.T, s sandbox.Spec, probe sandbox.Probe, script string) (string, sandbox.Result) {
	t.Helper()
	var out bytes.Buffer
	_, p := start(t, t.Context(), s, probe, sandbox.Cmd{Args: []string{"sh", "-c", script}, Stdout: &out, Stderr: &out})
	res, err := p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), res
}

func TestResult(t *testing.T) {
	tests := []struct {
		name   string
		args   []string
		cause  sandbox.Cause
		code   int
		signal syscall.Signal
	}{
		{"success", []string{"true"}, sandbox.CauseExited, 0, 0},
		{"failure", []string{"sh", "-c", "exit 7"}, sandbox.CauseExited, 7, 0},
		{"signal", []string{"sh", "-c", "kill -TERM $$"}, sandbox.CauseSignalled, 143, syscall.SIGTERM},
		{"not found", []string{"no-such-command"}, sandbox.CauseNotStarted, 127, 0},
		{"not executable", []string{"/etc/ld.so.cache"}, sandbox.CauseNotStarted, 126, 0},
		{"a directory", []string{"/usr"}, sandbox.CauseNotStarted, 126, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, probe := newSpec(t)
			s.ID = strings.ReplaceAll(s.ID, "_", "-")
			_, p := start(t, t.Context(), s, probe, sandbox.Cmd{Args: tt.args})
			res, err := p.Wait()
			if err != nil || res.Cause != tt.cause || res.ExitCode != tt.code || res.Signal != tt.signal {
				t.Errorf("got %v %d %v (%v), want %v %d %v", res.Cause, res.ExitCode, res.Signal, err, tt.cause, tt.code, tt.signal)
			}
		})
	}
}

// Every attempt succeeds in the same sandbox once Landlock alone is lifted: the
// mount is writable, the files belong to the job's user.
func TestLandlockActs(t *testing.T) {
	testenv.NeedLandlock(t, 3) // truncate
	testenv.NeedTool(t, "python3")
	attempts := map[string]string{
		"open":     `os.open("/data/f", os.O_RDWR)`,
		"write":    `open("/data/new", "w").write("x")`,
		"truncate": `os.truncate("/data/f", 0)`,
		"rename":   `os.rename("/data/a", "/data/b")`,
	}
	for name, attempt := range attempts {
		for _, on := range []bool{false, true} {
			t.Run(name+map[bool]string{true: "-with", false: "-without"}[on], func(t *testing.T) {
				s, probe := newSpec(t)
				data := t.TempDir()
				for _, f := range []string{"f", "a"} {
					if err := os.WriteFile(filepath.Join(data, f), []byte("text"), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				s.Mounts = []sandbox.Mount{{Source: data, Target: "/data", Write: true, Owner: &sandbox.Owner{}}}
				s.Access = landlock.Access{"/tmp": landlock.Read | landlock.Write | landlock.Make}
				if !on {
					s.AllowMissing = []sandbox.Layer{sandbox.LayerLandlock}
					probe = without(probe, sandbox.LayerLandlock)
				}
				out, res := run(t, s, probe, "python3 -c 'import os\n"+attempt+"'")
				if worked := res.ExitCode == 0; worked == on {
					t.Errorf("with Landlock %v: worked %v\n%s", on, worked, out)
				}
				if on && !strings.Contains(out, "PermissionError: [Errno 13]") {
					t.Errorf("want EACCES, got %s", out)
				}
			})
		}
	}
}

// without is a machine that lacks a layer.
func without(p sandbox.Probe, l sandbox.Layer) sandbox.Probe {
	p.Layers = slices.Clone(p.Layers)
	for i := range p.Layers {
		if p.Layers[i].Name == l {
			p.Layers[i].OK, p.Layers[i].Evidence = false, "lifted by the test"
		}
	}
	return p
}

// What goes in comes out, byte for byte, on all three streams at once.
func TestStreamsAreExact(t *testing.T) {
	s, probe := newSpec(t)
	in := make([]byte, 24<<20)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range in {
		in[i] = byte(r.Uint32())
	}
	out, errOut := sha256.New(), sha256.New()
	_, p := start(t, t.Context(), s, probe, sandbox.Cmd{Args: []string{"sh", "-c", "tee /dev/stderr"}, Stdin: bytes.NewReader(in), Stdout: out, Stderr: errOut})
	if res, err := p.Wait(); err != nil || res.ExitCode != 0 {
		t.Fatal(res, err)
	}
	want := sha256.Sum256(in)
	if !bytes.Equal(out.Sum(nil), want[:]) || !bytes.Equal(errOut.Sum(nil), want[:]) {
		t.Error("streams differ from the input")
	}
}

type brokenWriter struct{ n int }

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.n += len(p); w.n > 1000 {
		return 0, syscall.EPIPE
	}
	return len(p), nil
}

// A reader that goes away ends the command as it would without a sandbox.
func TestClosedReader(t *testing.T) {
	s, probe := newSpec(t)
	_, p := start(t, t.Context(), s, probe, sandbox.Cmd{Args: []string{"yes"}, Stdout: &brokenWriter{}})
	res, err := p.Wait()
	if err != nil || res.Signal != syscall.SIGPIPE && res.ExitCode != 1 {
		t.Errorf("got %+v %v", res, err)
	}
}

// A reader that never reads holds nobody once the command's time is over.
func TestStuckReader(t *testing.T) {
	s, probe := newSpec(t)
	stuck := make(chan struct{})
	t.Cleanup(func() { close(stuck) })
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	_, p := start(t, ctx, s, probe, sandbox.Cmd{Args: []string{"yes"}, Grace: 100 * time.Millisecond, Stdout: writerFunc(func(b []byte) (int, error) {
		cancel(context.DeadlineExceeded) // not before it runs: a start may take as long
		<-stuck
		return len(b), nil
	})})
	if res, err := p.Wait(); err != nil || res.Cause != sandbox.CauseTimeout {
		t.Errorf("got %+v %v", res, err)
	}
}

func TestTerminal(t *testing.T) {
	s, probe := newSpec(t)
	in, typed := io.Pipe()
	var mu sync.Mutex
	var out bytes.Buffer
	seen := make(chan struct{}, 1)
	_, p := start(t, t.Context(), s, probe, sandbox.Cmd{
		Args: []string{"sh", "-c", "tty; stty size; read x; echo got $x; stty size; ps -o tpgid= -p $$ | tr -d ' '; echo $$"}, Stdin: in,
		Stdout: writerFunc(func(b []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			out.Write(b)
			if strings.Contains(out.String(), "33 77") {
				select {
				case seen <- struct{}{}:
				default:
				}
			}
			return len(b), nil
		}),
		TTY: sandbox.TTY{Stdin: true, Stdout: true, Stderr: true, Rows: 33, Cols: 77},
	})
	<-seen
	if err := p.Resize(sandbox.TTY{Rows: 20, Cols: 40}); err != nil {
		t.Fatal(err)
	}
	if _, err := typed.Write([]byte("hello\n")); err != nil {
		t.Fatal(err)
	}
	if res, err := p.Wait(); err != nil || res.ExitCode != 0 {
		t.Fatal(res, err)
	}
	got := strings.ReplaceAll(out.String(), "\r\n", "\n")
	if want := "/dev/pts/0\n33 77\nhello\ngot hello\n20 40\n2\n2\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestDenialsAreNamed(t *testing.T) {
	s, probe := newSpec(t)
	out, res := run(t, s, probe, "unshare -m true; unshare -n true; mount -t tmpfs x /tmp; true")
	want := map[string]int{"unshare": 2}
	for _, d := range res.Denials {
		if n, ok := want[d.Syscall]; ok && (d.Count != n || d.Errno != syscall.EPERM || !strings.HasSuffix(d.Exe, "/unshare") || d.PID == 0) {
			t.Errorf("got %+v", d)
		}
		delete(want, d.Syscall)
	}
	if len(want) != 0 || !strings.Contains(out, "Operation not permitted") {
		t.Errorf("missing %v in %+v\n%s", want, res.Denials, out)
	}
}

// A descriptor that the runner holds never reaches the command, whatever it is,
// whatever its number, close-on-exec or not.
func TestDescriptors(t *testing.T) {
	for _, profile := range []seccomp.Profile{seccomp.CI(), seccomp.Hostile()} {
		t.Run(profile.Name, func(t *testing.T) {
			s, probe := newSpec(t)
			s.Profile = profile
			seed := rand.Uint64()
			held, err := testenv.Descriptors(rand.New(rand.NewPCG(seed, 0)), 1000, 5000)
			t.Cleanup(func() {
				for _, d := range held {
					_ = unix.Close(d.Number)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			out, _ := run(t, s, probe, "ls -1 /proc/$$/fd; true")
			if got := strings.Fields(out); !slices.Equal(got, []string{"0", "1", "2"}) {
				t.Errorf("seed %d: descriptors %v, want 0 1 2", seed, got)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		s, probe := newSpec(t)
		s.Limits.MemoryBytes = 64 << 20
		testenv.NeedTool(t, "python3")
		_, res := run(t, s, probe, "exec python3 -c 'x = bytearray(1 << 30)'")
		if res.Cause != sandbox.CauseOOM || res.ExitCode != 137 {
			t.Errorf("got %+v", res)
		}
	})
	// Under cgroup v1 the kernel kills one process, and its parent may live on: npm
	// and make then end with a code of their own.
	for name, tt := range map[string]struct {
		script string
		cause  sandbox.Cause
		code   int
	}{
		"a child's memory":            {`python3 -c 'x = bytearray(1 << 30)' || exit 2`, sandbox.CauseOOM, 2},
		"a child's memory, forgotten": {`python3 -c 'x = bytearray(1 << 30)' || exit 0`, sandbox.CauseExited, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, probe := newSpec(t)
			if !strings.HasPrefix(probe.Cgroups.Where("memory"), "cgroup v1") {
				t.Skip("cgroup v2 ends all processes at once: memory.oom.group")
			}
			s.Limits.MemoryBytes = 64 << 20
			testenv.NeedTool(t, "python3")
			_, res := run(t, s, probe, tt.script)
			if res.Cause != tt.cause || res.ExitCode != tt.code || res.Usage.OOMKills != 1 {
				t.Errorf("got %+v", res)
			}
		})
	}
	t.Run("pids", func(t *testing.T) {
		s, probe := newSpec(t)
		s.Limits.Pids = 16
		testenv.NeedTool(t, "python3")
		out, _ := run(t, s, probe, `python3 -c '
import os, time
n = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(60)
        n += 1
except OSError as e:
    print(e.errno, 10 <= n < 16)
'`)
		if strings.TrimSpace(out) != "11 True" { // EAGAIN
			t.Errorf("got %q", out)
		}
	})
	t.Run("wall", func(t *testing.T) {
		s, probe := newSpec(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		_, p := start(t, ctx, s, probe, sandbox.Cmd{Args: []string{"sh", "-c", "trap '' TERM; sleep 60 & echo up; sleep 60"}, Grace: 100 * time.Millisecond, Stdout: writerFunc(func(b []byte) (int, error) {
			cancel(context.DeadlineExceeded) // not before it runs: a start may take as long
			return len(b), nil
		})})
		res, err := p.Wait()
		if err != nil || res.Cause != sandbox.CauseTimeout || res.ExitCode != 124 {
			t.Errorf("got %+v %v", res, err)
		}
	})
}

// Nothing of a command is left once Wait returns, whatever it did to stay.
func TestNothingIsLeft(t *testing.T) {
	s, probe := newSpec(t)
	var out bytes.Buffer
	sb, p := start(t, t.Context(), s, probe, sandbox.Cmd{Args: []string{"sh", "-c", "for i in 1 2 3; do setsid sh -c 'trap \"\" TERM HUP INT; sleep 300' & done; echo done"}, Stdout: &out})
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if left := sb.Processes(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestFolderRoot(t *testing.T) {
	s, probe := newSpec(t)
	dir := t.TempDir()
	for _, d := range []string{"etc", "data"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range []string{"bin", "lib", "lib64", "sbin"} {
		if err := os.Symlink("usr/"+l, filepath.Join(dir, l)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "etc", "of-the-folder"), []byte("folder"), 0o644); err != nil {
		t.Fatal(err)
	}
	root, err := sandbox.FolderRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	root.Entries = append(root.Entries, sandbox.Entry{Target: "/usr", Source: "/usr", Dir: true})
	s.Root = root
	s.Files = map[string]sandbox.File{"/etc/passwd": {Data: []byte("job:x:1000:1000::/home/job:/bin/sh\n")}}
	out, res := run(t, s, probe, "cat /etc/of-the-folder /etc/passwd; touch /etc/x 2>&1; ls /data")
	if res.ExitCode != 0 || !strings.HasPrefix(out, "folderjob:x:1000") || !strings.Contains(out, "Read-only file system") {
		t.Errorf("got %d %q", res.ExitCode, out)
	}
}

// A layer that is missing ends the start with an error that names it.
func TestMissingLayer(t *testing.T) {
	for _, l := range sandbox.Layers() {
		t.Run(string(l), func(t *testing.T) {
			s, probe := newSpec(t)
			probe = without(probe, l)
			_, err := sandbox.Compile(s, sandbox.Cmd{Args: []string{"true"}, Dir: "/"}, probe)
			le, ok := errors.AsType[*sandbox.LayerError](err)
			if !ok || le.Layer != l {
				t.Fatalf("got %v", err)
			}
			s.AllowMissing = sandbox.Layers()
			if l == sandbox.LayerNet {
				// Without a word on the host's network the job may not get into it.
				if _, err := sandbox.Compile(s, sandbox.Cmd{Args: []string{"true"}, Dir: "/"}, probe); err == nil {
					t.Fatal("a job without a network of its own is in the host's")
				}
				s.HostNetwork = true
			}
			prog, err := sandbox.Compile(s, sandbox.Cmd{Args: []string{"true"}, Dir: "/"}, probe)
			if l.Required() {
				if err == nil {
					t.Fatal("a required layer was left out")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, got := range prog.Layers {
				if got.Name == l && got.State != sandbox.MissingAllowed {
					t.Errorf("reported as %s", got.State)
				}
			}
		})
	}
}

// Starts at the same time do not hold each other up: a child has copies of all
// descriptors of the runner until it runs its own program.
func TestStartsTogether(t *testing.T) {
	s, probe := newSpec(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 8 {
				own := s
				own.ID, own.StateDir = fmt.Sprintf("together-%d-%d-%d", os.Getpid(), i, j), filepath.Join(s.StateDir, fmt.Sprint(i, "-", j))
				// A mount with an owner has a second user namespace to be made.
				own.Mounts = []sandbox.Mount{{Source: t.TempDir(), Target: "/data", Write: true, Owner: &sandbox.Owner{}}}
				if err := os.Mkdir(own.StateDir, 0o700); err != nil {
					t.Error(err)
					return
				}
				box, err := sandbox.New(own, probe)
				if err != nil {
					t.Error(err)
					return
				}
				p, err := box.Start(t.Context(), &sandbox.Cmd{Args: []string{"true"}, Env: []string{"PATH=/usr/bin:/bin"}, Dir: "/tmp"})
				if err == nil {
					_, err = p.Wait()
				}
				if err := errors.Join(err, box.Close()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// A job may have fewer descriptors than its own start takes.
func TestFewOpenFiles(t *testing.T) {
	s, probe := newSpec(t)
	s.Limits.OpenFiles = 10
	out, res := run(t, s, probe, "ulimit -n; exec 3</dev/null")
	if out != "10\n" || res.ExitCode != 0 {
		t.Errorf("%+v: %q", res, out)
	}
}
