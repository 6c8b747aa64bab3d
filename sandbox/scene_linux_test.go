// SPDX-License-Identifier: Apache-2.0

//go:build linux

package sandbox_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/attack"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/sandbox/cgroup"
	"github.com/zviz/run/sandbox/seccomp"
)

// Variables by which a test tells the copy of itself that it starts what it is.
const (
	sceneProgram = "ZVIZ_TEST_SCENE"   // the program that attacks: this is the copy in the namespaces
	sceneOutside = "ZVIZ_TEST_OUTSIDE" // a network in which every address answers
	sceneSecret  = "ATTACK_SECRET"     // what must not come in
	sceneMark    = "MARK=zviz-layers-mark"
)

// scene is a place in which layers can be lifted: an attempt that gets out is
// still in namespaces that are thrown away.
type scene struct {
	dir     string // removed at the end
	program string
	all     []attack.Attempt // that are made here
	probe   sandbox.Probe
	root    sandbox.Root
	ids     sandbox.IDMap

	outside  string // network namespace in which every address answers
	host     string // a service of the host, TCP
	abstract string
	output   int // descriptor of a file, for the one run at a time that has it as its output
	name     string
	starts   atomic.Int32
	one      sync.Mutex
}

// isolated starts the running test again in mount, network, ipc, uts and pid
// namespaces of its own with folders that are thrown away, and returns nil; there
// it returns the scene. Not in a user namespace: the runner itself needs root.
func isolated(t *testing.T) *scene {
	t.Helper()
	if program := os.Getenv(sceneProgram); program != "" {
		return newScene(t, program)
	}
	testenv.NeedRoot(t)
	testenv.NeedTool(t, "unshare")
	testenv.NeedTool(t, "ip")
	testenv.NeedLandlock(t, 3)
	program := testenv.Build(t, "github.com/zviz/run/internal/attack/program")
	const prepare = `touch "$1.hosts" && mount --bind "$1.hosts" /etc/hosts
for d in /usr/local /run /dev/shm; do mount -t tmpfs none $d; done
: >/dev/shm/zviz-mark; ip link set lo up; shift; exec "$@"`
	cmd := exec.CommandContext(t.Context(), "unshare",
		"--mount", "--net", "--ipc", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "--", "sh", "-ec", prepare, "sh", program,
		self(t), "-test.run", "^"+t.Name()+"$", "-test.count", "1", "-test.timeout", "50m", "-test.v")
	cmd.Env = append(os.Environ(), sceneProgram+"="+program, sceneSecret+"=planted")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	} else {
		t.Logf("%s", out)
	}
	return nil
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func newScene(t *testing.T, program string) *scene {
	t.Helper()
	// Not t.TempDir: a lifted root shows it, and the job must get to its workspace.
	dir, err := os.MkdirTemp("/var/tmp", "zviz-layers-") //nolint:usetesting // as above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &scene{
		dir: dir, program: filepath.Join(dir, "attack"), name: filepath.Base(dir), all: attempts(),
		ids: sandbox.MapRange(0x6e000000, 65536, 1000, 1000),
	}
	if s.probe, err = sandbox.Measure(); err != nil {
		t.Fatal(err)
	}
	s.probe.OpenFilesMax = 8192 // less than the runner has
	s.root, err = sandbox.HostRoot([]string{"/usr", "/bin", "/lib", "/lib64", "/sbin", "/etc/alternatives", "/etc/ld.so.cache"})
	if err != nil {
		t.Fatal(err)
	}
	s.programs(t, program)

	stop, err := attack.Outside()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	s.host = s.listen(t, "tcp4", "127.0.0.1:0")
	s.abstract = s.listen(t, "unix", "@"+s.name)
	s.outside = s.network(t)

	// What is the host's: a segment, a process, a descriptor, a file.
	if _, err := unix.SysvShmGet(attack.SegmentKey, 4096, unix.IPC_CREAT|0o666); err != nil {
		t.Fatal(err)
	}
	s.companion(t, nil, "sh", "-c", "read x", sceneMark)
	if fd, err := unix.Open("/etc/passwd", unix.O_RDONLY, 0); err != nil { // without O_CLOEXEC
		t.Fatal(err)
	} else {
		t.Cleanup(func() { _ = unix.Close(fd) })
	}
	if s.output, err = unix.Open(filepath.Join(dir, "output"), unix.O_RDWR|unix.O_CREAT|unix.O_APPEND|unix.O_CLOEXEC, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(s.output) })
	return s
}

// programs puts copies of the program where a job sees them: one of its own, and
// two with privileges, which are the host's.
func (s *scene) programs(t *testing.T, program string) {
	t.Helper()
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"attack", "with-capabilities", "set-user-id"} {
		if err := os.WriteFile(filepath.Join(s.dir, name), text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// capabilities(7), struct vfs_cap_data: revision 2 with the effective bit, permitted
	// and inheritable of 32 capabilities each, twice.
	data := binary.LittleEndian.AppendUint32(nil, 0x02000001)
	data = binary.LittleEndian.AppendUint32(data, 1<<unix.CAP_NET_ADMIN)
	data = append(data, make([]byte, 12)...)
	job := int(s.ids.UIDs[0].Outside + s.ids.UID)
	if err := errors.Join(
		os.Chmod(s.dir, 0o711), os.Chown(s.program, job, job),
		unix.Setxattr(filepath.Join(s.dir, "with-capabilities"), "security.capability", data, 0),
		os.Chmod(filepath.Join(s.dir, "set-user-id"), 0o755|os.ModeSetuid|os.ModeSetgid),
	); err != nil {
		t.Fatal(err)
	}
}

func (s *scene) listen(t *testing.T, network, address string) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

// network makes a namespace in which every address answers.
func (s *scene) network(t *testing.T) string {
	t.Helper()
	pid := s.companion(t, []string{sceneOutside + "=1"}, "unshare", "--net", "--", "sh", "-ec", `ip link set lo up; exec "$0" "$@"`,
		self(t), "-test.run", "^TestSceneOutside$")
	return fmt.Sprintf("/proc/%d/ns/net", pid)
}

// TestSceneOutside is no test, but what a scene starts.
func TestSceneOutside(t *testing.T) {
	if os.Getenv(sceneOutside) == "" {
		t.Skip("a part of the tests of layers")
	}
	stop, err := attack.Outside()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// companion starts a process that lives until the test ends. With variables it is
// waited for until it says that it is ready.
func (s *scene) companion(t *testing.T, env []string, args ...string) int {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	if env != nil {
		b := make([]byte, len("ready"))
		if _, err := io.ReadFull(out, b); err != nil || string(b) != "ready" {
			t.Fatalf("%s: %q %v", args[0], b, err)
		}
	}
	return cmd.Process.Pid
}

// harmful are the attempts that are not made where they could succeed.
func harmful(id string) bool {
	for _, p := range []string{"sc-03", "sc-07", "sc-21", "sc-22", "cap-09", "proc-09"} {
		if id == p || strings.HasPrefix(id, p+"-") {
			return true
		}
	}
	return false
}

// unsteady are attempts whose end here says nothing: the files of res-05 meet the
// memory limit sooner or later than their own.
func unsteady(id string) bool { return id == "res-05" }

// attempts are those that are made here.
func attempts() []attack.Attempt {
	return slices.DeleteFunc(attack.All(), func(a attack.Attempt) bool {
		_, err := exec.LookPath(a.Tool)
		return harmful(a.ID) || unsteady(a.ID) || a.Arch != "" && a.Arch != runtime.GOARCH || a.Tool != "" && err != nil ||
			a.Allowed && a.ID != "ok-01" && a.ID != "ok-03" && a.ID != "fs-06"
	})
}

// args are the arguments of an attempt in the place of one run.
func (s *scene) args(id, place string) []string {
	in := filepath.Join(place, "in")
	switch id {
	case "net-12", "net-12-network":
		return []string{s.host}
	case "net-13", "net-13-network":
		return []string{s.abstract}
	case "net-11":
		return []string{"169.254.1.2:8081"}
	case "res-02":
		return []string{"100"}
	case "res-04", "res-05":
		return []string{"/dev/shm"}
	case "res-07":
		return []string{"10000"}
	case "fs-06":
		return []string{s.name}
	case "fs-26", "fs-27", "fs-32", "ws-07":
		return []string{filepath.Join(in, "file")}
	case "fs-31":
		return []string{filepath.Join(in, "dir")}
	case "proc-06":
		return []string{sceneMark}
	case "proc-07":
		return []string{"/dev/shm/zviz-mark"}
	case "cap-04":
		return []string{filepath.Join(in, "with-capabilities")}
	case "cap-05":
		return []string{filepath.Join(in, "set-user-id")}
	default:
		return nil
	}
}

// place makes what one run has: a workspace, and an input that is read-only.
func (s *scene) place(dir string) error {
	job := int(s.ids.UIDs[0].Outside + s.ids.UID)
	work, in := filepath.Join(dir, "work"), filepath.Join(dir, "in")
	var errs []error
	for _, d := range []string{dir, work, filepath.Join(work, ".git"), filepath.Join(work, ".git/hooks"), in, filepath.Join(in, "dir"), filepath.Join(dir, "state")} {
		errs = append(errs, os.Mkdir(d, 0o755))
	}
	errs = append(errs, os.Chmod(in, 0o777), os.Chmod(filepath.Join(in, "dir"), 0o777))
	for name, mode := range map[string]os.FileMode{"in/file": 0o666, "work/.git/config": 0o644} {
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), []byte("original\n"), mode), os.Chmod(filepath.Join(dir, name), mode))
	}
	for _, p := range []string{"", ".git", ".git/hooks", ".git/config"} {
		errs = append(errs, os.Chown(filepath.Join(work, p), job, job))
	}
	errs = append(errs, os.Link(s.program, filepath.Join(work, "attack")))
	for _, name := range []string{"with-capabilities", "set-user-id"} {
		errs = append(errs, os.Link(filepath.Join(s.dir, name), filepath.Join(in, name)))
	}
	return errors.Join(errs...)
}

// spec is the sandbox that executor makes, as near as it matters here.
func (s *scene) spec(id, profile, place string) sandbox.Spec {
	p, err := seccomp.ByName(profile)
	if err != nil {
		panic(err)
	}
	owner := sandbox.Owner{UID: s.ids.UIDs[0].Outside + s.ids.UID, GID: s.ids.UIDs[0].Outside + s.ids.GID}
	work, in := filepath.Join(place, "work"), filepath.Join(place, "in")
	return sandbox.Spec{
		ID: id, StateDir: filepath.Join(place, "state"), Home: "/home/job", Hostname: "zviz",
		Root: s.root, IDs: s.ids, Profile: p, MinimalProc: profile == "hostile",
		Limits: sandbox.Limits{MemoryBytes: 256 << 20, Pids: 64, OpenFiles: 4096, CPUs: 1},
		Files: map[string]sandbox.File{
			"/etc/passwd": {Data: []byte("job:x:1000:1000::/home/job:/bin/sh\n")},
			"/etc/hosts":  {Data: []byte("127.0.0.1 localhost\n169.254.1.1 " + attack.AllowedHost + "\n")},
		},
		Mounts: []sandbox.Mount{
			{Source: work, Target: work, Write: true, Owner: &owner, ReadOnly: []string{filepath.Join(work, ".git")}},
			{Source: in, Target: in},
		},
	}
}

// ended is how a command ended in a sandbox with layers lifted.
type ended struct {
	out string
	res sandbox.Result
	err error
}

// run runs a command in a place of its own, in the workspace, without the layers.
func (s *scene) run(ctx context.Context, profile string, lifted []lift, command func(place string) []string) (e ended) {
	if slices.ContainsFunc(lifted, func(l lift) bool { return l.name == "user" }) && slices.ContainsFunc(lifted, func(l lift) bool { return l.name == "capabilities" }) {
		return ended{err: errors.New("bug: that would be root of the machine")}
	}
	n := s.starts.Add(1)
	place := filepath.Join(s.dir, strconv.Itoa(int(n)))
	defer func() { e.err = errors.Join(e.err, os.RemoveAll(place)) }()
	if e.err = s.place(place); e.err != nil {
		return e
	}
	spec, probe := s.spec(fmt.Sprintf("%s-%d", s.name, n), profile, place), s.probe
	ownFile := false
	for _, l := range lifted {
		if l.lacks != "" {
			spec.AllowMissing = append(spec.AllowMissing, l.lacks)
			spec.HostNetwork = l.lacks == sandbox.LayerNet || spec.HostNetwork
			probe = without(probe, l.lacks)
		}
		if l.spec != nil {
			l.spec(&spec, s)
		}
		ownFile = ownFile || l.name == "streams"
	}
	if ownFile {
		s.one.Lock()
		defer s.one.Unlock()
		if e.err = unix.Ftruncate(s.output, 0); e.err != nil {
			return e
		}
	}
	box, err := sandbox.New(spec, probe)
	if err != nil {
		return ended{err: err}
	}
	defer func() { e.err = errors.Join(e.err, box.Close()) }()
	within, cancel := context.WithTimeoutCause(ctx, time.Minute, context.DeadlineExceeded)
	defer cancel()
	var out bytes.Buffer
	p, err := box.StartEdited(within, &sandbox.Cmd{
		Args: command(place), Env: []string{"PATH=/usr/bin:/bin", "HOME=/home/job"}, Dir: filepath.Join(place, "work"), Stdout: &out,
	}, func(prog *sandbox.Program) {
		for _, l := range lifted {
			if l.edit != nil {
				l.edit(prog, s)
			}
		}
	})
	if err != nil {
		return ended{err: err}
	}
	e.res, e.err = p.Wait()
	e.out = strings.TrimSpace(out.String())
	if ownFile {
		b, err := os.ReadFile(filepath.Join(s.dir, "output"))
		e.out, e.err = strings.TrimSpace(string(b)), errors.Join(e.err, err)
	}
	return e
}

// attempt makes an attempt and returns the line in which it ended.
func (s *scene) attempt(ctx context.Context, a attack.Attempt, profile string, lifted ...lift) string {
	e := s.run(ctx, profile, lifted, func(place string) []string { return append([]string{"./attack", a.ID}, s.args(a.ID, place)...) })
	switch {
	case e.err != nil:
		return "BROKEN " + e.err.Error()
	case e.out == "" && e.res.Cause == sandbox.CauseOOM:
		return "BLOCKED oom"
	case e.out == "":
		return fmt.Sprintf("BROKEN it said nothing: %s, exit code %d", e.res.Cause, e.res.ExitCode)
	}
	if a.ID == "fs-06" { // it may write there; what counts is whether it is the host's
		if os.Remove(filepath.Join("/tmp", s.name)) == nil {
			return "ESCAPED the file is in /tmp of the host"
		}
	}
	return e.out[strings.LastIndexByte(e.out, '\n')+1:]
}

func escaped(said string) bool { return strings.HasPrefix(said, "ESCAPED ") }

// sweep removes control groups that could not be removed while something lived.
func (s *scene) sweep(t *testing.T) {
	t.Helper()
	for n := range s.starts.Load() {
		if err := cgroup.Sweep(s.probe.Cgroups, fmt.Sprintf("%s%s-%d", cgroup.Prefix, s.name, n+1)); err != nil {
			t.Error(err)
		}
	}
}
