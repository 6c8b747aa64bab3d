// SPDX-License-Identifier: Apache-2.0

//go:build linux

package attack_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/sandbox/cgroup"
)

const corePattern = "/proc/sys/kernel/core_pattern"

// hostRow is a row that the host judges. Its script is the same attack without the
// sandbox, as root of namespaces of its own, and ends with the word ESCAPED; $1 is
// the program of the attempts, and the folder is a new one.
type hostRow struct {
	id      string
	control string
	inside  func(t *testing.T, r rig, profile string)
}

// hostJudges reports whether TestHostRows makes an attempt.
func hostJudges(id string) bool {
	return slices.Contains([]string{"fs-18", "fs-19", "fs-20", "fs-21", "fs-22", "proc-10", "proc-07-segment"}, id)
}

// copied shows the job a copy of core_pattern in place of the host's.
const copied = `cp ` + corePattern + ` copy; mount --bind copy ` + corePattern + `; `

// started is a naive start of an image: its own root with proc in it.
const started = `mkdir -p image/w image/proc; cp "$1" image/w/attack; mount --rbind /proc image/proc; `

func hostRows() []hostRow {
	link := func(id, at string) hostRow {
		prepare := `mkdir -p image/dev/pts image/usr && ln -s ` + corePattern + ` image/` + at + `; `
		return hostRow{id, prepare + copied + started + `chroot image /w/attack ` + id + `; [ "$(cat copy)" = '|/x' ]`, func(t *testing.T, r rig, profile string) {
			t.Helper()
			r.hostileImage(t, profile, id, prepare)
		}}
	}
	return []hostRow{
		{"fs-17", `mkdir -p new/proc new/usr secret; : >secret/canary; mount -t tmpfs none new; mkdir new/proc new/usr
			mount --rbind /usr new/usr; for l in bin lib lib64 sbin; do [ ! -e /$l ] || cp -a /$l new/; done; mount -t proc proc new/proc
			exec 7<secret; chroot new sh -c 'cd /proc/self/fd/7 && [ -e canary ] && echo ESCAPED'`, directoryOfDescriptor},
		link("fs-18", "dev/null"),
		link("fs-19", "dev/console"),
		link("fs-19", "dev/pts/0"),
		{"fs-20", `mkdir image host; ln -s "/../..$PWD/host" image/dev; mkdir -p image/dev; : >image/dev/null; [ -e host/null ] && echo ESCAPED`, func(t *testing.T, r rig, profile string) {
			t.Helper()
			r.hostileImage(t, profile, "fs-20", `mkdir -p image/usr; ln -s "/../..$PWD/host" image/dev`)
		}},
		{"fs-21", `mkdir image; ln -s /etc image/proc; : >image/sys; mount -t proc proc image/proc; "$1" fs-21`, func(t *testing.T, r rig, profile string) {
			t.Helper()
			r.hostileImage(t, profile, "fs-21", `mkdir -p image/usr; ln -s /etc image/proc; : >image/sys`)
		}},
		{"fs-22", `mkdir -p d/point link.to/point src; : >src/mark; ln -s "$PWD/link.to" l; "$1" swap d l & n=0
			while [ $n -lt 3000 ]; do n=$((n+1)); [ -L d ] || mount --bind src d/point 2>/dev/null || true
				[ ! -e link.to/point/mark ] || { echo ESCAPED; exit; }; done`, swappedMountPoint},
		{"fs-23", `mount -t tmpfs none /mnt; mkdir /mnt/root src; : >src/mark; mount --bind src /mnt/root/../../etc; [ -e /etc/mark ] && echo ESCAPED`, targetsOutside},
		{"fs-25", `cp /bin/sh runner; printf '#!/proc/self/exe\necho ESCAPED $(readlink /proc/$$/exe)\n' >entry; chmod 755 entry; ./runner -c 'exec ./entry'`, entryOfRunner},
		{"proc-01", `sleep 60 & other=$!; sh -c 'kill -9 -1' & wait $other || [ $? = 137 ] && echo ESCAPED`, killsAll},
		{"proc-02", `sleep 60 & init=$!; sh -c "kill -STOP $init; kill -9 $init"; wait $init || [ $? = 137 ] && echo ESCAPED`, killsInit},
		{"proc-04", `sh -c '(setsid sh -c "trap \"\" TERM; : >up; exec sleep 60" &); while [ ! -e up ]; do :; done' & step=$!; wait $step; kill -TERM -$step 2>/dev/null || true
			cat /proc/[0-9]*/cmdline | tr '\0' ' ' | grep -q 'sleep 60' && echo ESCAPED`, daemon},
		{"proc-05", `mkfifo pipe; timeout 1 cat pipe || [ $? = 124 ] && echo ESCAPED`, pipe},
		{"proc-07-segment", `"$1" proc-07-sysv >/dev/null; "$1" proc-07-segment`, otherSegment},
		{"ws-08", `mkdir -p shut/x && chmod 0 shut && chown -R 65534 shut; ! setpriv --reuid 65534 --clear-groups rm -rf shut 2>/dev/null; mkdir deep; "$1" bury deep 4000
			! rmdir "deep/$(printf 'd/%.0s' $(seq 4000))" 2>/dev/null; [ -e deep/d/d ] && [ -e shut ] && echo ESCAPED; rm -rf deep`, hostileTrees},
		{"ws-09", `mkdir tree canary; : >canary/f; ln -s "$PWD/canary" tree/dir; find -L tree -mindepth 1 -delete 2>/dev/null || true; [ ! -e canary/f ] && echo ESCAPED`, linkedTrees},
		{"ws-13", `n=$(printf 'a\nzviz: forged\033[31m'); : >"$n"; printf '%s\n' * | grep -q "$(printf '^zviz: forged\033')" && echo ESCAPED`, hostileNames},
	}
}

// TestHostRows makes each of these rows: first without the sandbox, where it must
// succeed, and then under both profiles.
func TestHostRows(t *testing.T) {
	r := newRig(t)
	before := digest(t, corePattern)
	for _, row := range hostRows() {
		t.Run("outside/"+row.id, func(t *testing.T) {
			out, _ := r.unshared(t, t.TempDir(), row.control)
			if !strings.Contains(out, "ESCAPED") {
				t.Errorf("without the sandbox: got %q: the attempt proves nothing", out)
			}
		})
		for _, profile := range profiles() {
			t.Run(profile+"/"+row.id, func(t *testing.T) { row.inside(t, r, profile) })
		}
	}
	t.Run("outside/proc-10", func(t *testing.T) { terminalOutside(t, r) })
	for _, profile := range profiles() {
		t.Run(profile+"/proc-10", func(t *testing.T) { terminalInside(t, r, profile) })
	}
	if after := digest(t, corePattern); after != before {
		t.Errorf("core_pattern of the host is %q, was %q", after, before)
	}
}

// unshared runs a script as root in namespaces of its own.
func (r rig) unshared(t *testing.T, dir, script string) (string, int) {
	t.Helper()
	return r.command(t, dir, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--ipc", "--net", "--uts", "--", "sh", "-ec", script, "sh", r.program)
}

// hostileImage starts the image that a script made, and looks at the host's side.
func (r rig) hostileImage(t *testing.T, profile, id, script string) {
	t.Helper()
	dir := r.folder(t)
	host := filepath.Join(dir, "host")
	if out, code := r.command(t, dir, "sh", "-ec", "mkdir host; "+script); code != 0 {
		t.Fatal(out)
	}
	r.own(t, dir)
	before := listing(t, dir)
	a := attemptOf(id)
	got, code := r.execIn(t, r.workspace, profile, "--rootfs", filepath.Join(dir, "image"), "--", "./attack", id)
	judge(t, a, profile, profile, got)
	if after := listing(t, dir); code != 0 || after != before {
		t.Errorf("exit code %d, the image and %s are\n%swere\n%s", code, host, after, before)
	}
	if exists("/etc/self") {
		t.Error("proc is mounted on /etc of the host")
	}
}

// listing tells every name of a tree, its mode and where it leads.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to, _ := os.Readlink(path) // empty for what is no link
		st, err := d.Info()
		fmt.Fprintln(&b, path, st.Mode(), st.ModTime(), to)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func directoryOfDescriptor(t *testing.T, r rig, profile string) {
	t.Helper()
	secret := r.folder(t)
	if err := os.Mkdir(filepath.Join(secret, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/proc/self/fd/7", "/proc/self/fd/7/sub", "/proc/thread-self/fd/7", "/dev/fd/7/sub", "/proc/self/cwd"} {
		out, code := r.command(t, r.workspace, "sh", "-ec", `exec 7<"$1"; exec "$2" exec --profile "$3" --no-network -C "$4" -- ls`, "sh", secret, r.runner, profile, dir)
		if code != 125 || !strings.Contains(out, "error: workspace /") {
			t.Errorf("-C %s: got %d %q, want 125", dir, code, out)
		}
	}
}

func swappedMountPoint(t *testing.T, r rig, profile string) {
	t.Helper()
	a := attemptOf("fs-22")
	// First without the race: a link of the image's.
	dir := r.folder(t)
	if out, code := r.command(t, dir, "sh", "-ec", `mkdir -p image/usr host/point src; ln -s "$PWD/host" image/usr/l; mkdir -p w/d/point; ln -s "$PWD/host" w/l; cp "$1" w/attack`, "sh", r.program); code != 0 {
		t.Fatal(out)
	}
	// By command: what is refused before it starts is no outcome of the attempt.
	flags := []string{"exec", "--profile", profile, "--no-network", "--pids", "64", "--timeout", "20s"}
	out, code := r.command(t, r.workspace, r.runner, append(flags, "--rootfs", filepath.Join(dir, "image"), "--mount", filepath.Join(dir, "src")+":/usr/l/point", "--", "./attack", "fs-22", "src")...)
	if code != 125 || !strings.Contains(out, "/usr/l/point") {
		t.Errorf("a link of the image: got %d %q, want 125", code, out)
	}
	work := filepath.Join(dir, "w")
	ctx, cancel := context.WithCancel(t.Context())
	for range 2 {
		swapper := exec.CommandContext(ctx, r.runner, "exec", "--profile", profile, "--no-network", "--", "./attack", "swap", "d", "l")
		swapper.Dir = work
		swapper.Cancel = func() error { return swapper.Process.Signal(os.Interrupt) }
		if err := swapper.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = swapper.Wait() }()
	}
	defer cancel()
	landed := 0
	for range 25 {
		out, code := r.command(t, work, r.runner, append(slices.Clone(flags), "--mount", filepath.Join(dir, "src")+":"+work+"/d/point", "--", "./attack", "fs-22", "src")...)
		if code == 125 {
			continue
		}
		landed++
		judge(t, a, profile, profile, out)
	}
	if landed == 0 {
		say(t, profile, a.ID, "BLOCKED mount lands inside the root") // each was refused, which is stronger
	}
	t.Logf("%d of 25 starts, the others refused", landed)
}

func targetsOutside(t *testing.T, r rig, profile string) {
	t.Helper()
	for _, target := range []string{"/../../etc", "/mnt/../../etc", "etc", "/", "/proc/x", "/dev/x", "/sys"} {
		out, code := r.execIn(t, r.workspace, profile, "--mount", r.workspace+":"+target, "--", "true")
		if code != 125 || !strings.Contains(out, "error: ") {
			t.Errorf("%s: got %d %q, want 125", target, code, out)
		}
	}
}

func entryOfRunner(t *testing.T, r rig, profile string) {
	t.Helper()
	dir := r.folder(t)
	if err := os.WriteFile(filepath.Join(dir, "entry"), []byte("#!/proc/self/exe\necho ESCAPED\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	before := digest(t, r.binary)
	if out, code := r.execIn(t, dir, profile, "--", "./entry"); code != 126 || strings.Contains(out, "ESCAPED") {
		t.Errorf("got %d %q, want 126", code, out)
	}
	if digest(t, r.binary) != before {
		t.Error("the runner's program changed")
	}
}

func killsAll(t *testing.T, r rig, profile string) {
	t.Helper()
	// Of the id that the job has on the host, the first slot of a state folder of
	// the test's own: only the pid namespace keeps it from the job.
	t.Setenv("ZVIZ_STATE_DIR", r.folder(t))
	const jobOnHost = 0x70000000 + 1000
	other := exec.CommandContext(t.Context(), "sleep", "60")
	other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: jobOnHost, Gid: jobOnHost, NoSetGroups: true}}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	if out, code := r.execIn(t, r.workspace, profile, "--", "sh", "-c", "sleep 60 & kill -9 -1; wait $!; [ $? = 137 ] && exit 3"); code != 3 {
		t.Errorf("got %d %q, want 3", code, out)
	}
	var ws syscall.WaitStatus
	if pid, err := syscall.Wait4(other.Process.Pid, &ws, syscall.WNOHANG, nil); pid != 0 || err != nil {
		t.Errorf("the process beside the job ended: %v %v", ws, err)
	}
}

func killsInit(t *testing.T, r rig, profile string) {
	t.Helper()
	out, code := r.execIn(t, r.workspace, profile, "--", "sh", "-c", `kill -STOP 1; kill -9 1; cut -d' ' -f3 /proc/1/stat; exit 7`)
	if state := out[strings.LastIndexByte(out, '\n')+1:]; code != 7 || state != "S" && state != "R" && state != "D" {
		t.Errorf("got %d %q, want 7 and process 1 neither stopped nor dead", code, out)
	}
}

// session is a job that says ready, and goes on when its input ends.
type session struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func (r rig) begin(t *testing.T, dir, profile, script string) *session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	s := &session{cmd: exec.CommandContext(ctx, r.runner, "exec", "--quiet", "--profile", profile, "--no-network", "--pids", "64", "--", "sh", "-c", script)}
	s.cmd.Dir = dir
	in, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.in, s.out = in, bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := s.out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the job: %q %v", line, err)
	}
	return s
}

// end lets the job go on, and returns its exit code.
func (s *session) end() int {
	_ = s.in.Close()
	_, _ = io.Copy(io.Discard, s.out)
	_ = s.cmd.Wait()
	return s.cmd.ProcessState.ExitCode()
}

func daemon(t *testing.T, r rig, profile string) {
	t.Helper()
	dir := r.folder(t)
	mark := filepath.Base(filepath.Dir(dir)) + "-daemon"
	s := r.begin(t, dir, profile, `mkfifo hang; (setsid sh -c 'trap "" TERM HUP; : >up; read x <hang' `+mark+` &) & while [ ! -e up ]; do sleep 0.05; done; echo ready; cat`)
	var pids []int
	groups := map[string]bool{}
	procs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range procs {
		line, err := os.ReadFile(p)
		if err != nil || !bytes.HasSuffix(line, []byte("\x00"+mark+"\x00")) {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(p, "/proc/%d/", &pid); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
		for g := range strings.Lines(digest(t, filepath.Join(filepath.Dir(p), "cgroup"))) {
			if _, path, ok := strings.Cut(strings.TrimSpace(g), ":/"); ok && strings.Contains(path, "zviz-") {
				groups[filepath.Base(path)] = true
			}
		}
	}
	if len(pids) != 1 || len(groups) != 1 {
		t.Errorf("the daemon: processes %v in groups %v, want one in one of the job's", pids, groups)
	}
	if code := s.end(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("process %d lives on", pid)
		}
	}
	for g := range groups {
		if left := groupsOf(t, strings.TrimPrefix(g, cgroup.Prefix)); len(left) > 0 {
			t.Errorf("groups are left: %v", left)
		}
	}
}

func pipe(t *testing.T, r rig, profile string) {
	t.Helper()
	dir := r.folder(t)
	s := r.begin(t, dir, profile, `mkfifo pipe; cat pipe & echo ready; cat`)
	// inotify(7): an open that waits is none yet, so each one seen is the host's.
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	name := filepath.Join(dir, "pipe")
	if _, err := unix.InotifyAddWatch(fd, name, unix.IN_OPEN); err != nil {
		t.Fatal(err)
	}
	if code := s.end(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	buf := make([]byte, 4096)
	if n, err := unix.Read(fd, buf); err == nil {
		t.Errorf("the host opened the pipe: %d bytes of events", n)
	}
	// That an open by the host would have been seen.
	p, err := unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p)
	if n, err := unix.Read(fd, buf); err != nil || n == 0 {
		t.Errorf("an open was not seen: %v: the look proves nothing", err)
	}
}

func otherSegment(t *testing.T, r rig, profile string) {
	t.Helper()
	s := r.begin(t, r.workspace, profile, `./attack proc-07-sysv >made; echo ready; cat`)
	defer s.end()
	made := digest(t, filepath.Join(r.workspace, "made"))
	sysv := attemptOf("proc-07-sysv")
	judge(t, sysv, profile, profile, strings.TrimSpace(made))
	a := attemptOf("proc-07-segment")
	out, _ := r.execIn(t, r.workspace, profile, "--", "./attack", "proc-07-segment")
	judge(t, a, profile, profile, out)
	if strings.Contains(digest(t, "/proc/sysvipc/shm"), "2054580737") { // segmentKey, decimal
		t.Error("the host has the segment")
	}
}

func hostileTrees(t *testing.T, r rig, profile string) {
	t.Helper()
	state := r.folder(t)
	t.Setenv("ZVIZ_STATE_DIR", state)
	// Few open files for the runner: no more than the tree is deep.
	out, code := r.command(t, r.workspace, "prlimit", "--nofile=1024:1024", r.runner, "exec", "--quiet", "--profile", profile, "--no-network", "--timeout", "30s", "--", "sh", "-ec",
		`for d in /tmp "$HOME"; do mkdir $d/shut $d/-rf; : >$d/shut/f; chmod 0 $d/shut; : >"$d/$(printf 'a\nb\033\377')"; mkdir "$d/$(printf '%0255d' 7)"; ./attack bury $d 4000; done`)
	if code != 0 {
		t.Errorf("got %d %q", code, out)
	}
	emptyState(t, state)
}

func linkedTrees(t *testing.T, r rig, profile string) {
	t.Helper()
	state, canary := r.folder(t), r.folder(t)
	t.Setenv("ZVIZ_STATE_DIR", state)
	if err := os.WriteFile(filepath.Join(canary, "f"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := listing(t, canary)
	if out, code := r.execIn(t, r.workspace, profile, "--", "sh", "-ec", `for d in /tmp "$HOME"; do ln -s / $d/dir; ln -s `+canary+` $d/other; mkdir $d/deep; ln -s `+canary+` $d/deep/tmp; done`); code != 0 {
		t.Errorf("got %d %q", code, out)
	}
	emptyState(t, state)
	if after := listing(t, canary); after != before {
		t.Errorf("what the links lead to is\n%swas\n%s", after, before)
	}
}

// emptyState wants of a state folder that no job's is left.
func emptyState(t *testing.T, state string) {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(state, "jobs"))
	if err != nil || len(list) > 0 {
		t.Errorf("left in the state folder: %v %v", list, err)
	}
}

func hostileNames(t *testing.T, r rig, profile string) {
	t.Helper()
	out, _ := r.execIn(t, r.folder(t), profile, "--", "sh", "-c", `n=$(printf 'a\nzviz: forged\033[31m\377'); cp /bin/sh "$n"; chmod 4755 "$n"; n=$(printf '%0255d' 7); cp /bin/sh "$n"; chmod 4755 "$n"`)
	if strings.Contains(out, "\x1b") || strings.Contains(out, "\xff") || strings.Contains(out, "\nzviz: forged") || !strings.Contains(out, `a\nzviz: forged\x1b[31m\xff`) || !strings.Contains(out, fmt.Sprintf("%0255d", 7)) {
		t.Errorf("got %q", out)
	}
}

// terminal opens a new one of the host's.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	m, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	n, err := unix.IoctlGetInt(int(m.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(m.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return m, s
}

// onTerminal runs a command with the terminal as its input, its descriptor 3 and
// that which controls it.
func onTerminal(t *testing.T, r rig, args ...string) string {
	t.Helper()
	_, slave := terminal(t)
	cmd := exec.CommandContext(t.Context(), "timeout", append([]string{"--foreground", "-k", "1", "40"}, args...)...)
	cmd.Dir, cmd.Stdin, cmd.ExtraFiles = r.workspace, slave, []*os.File{slave}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%v: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}

func terminalOutside(t *testing.T, r rig) {
	t.Helper()
	out := onTerminal(t, r, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--", "sh", "-ec",
		`mount -t devpts -o newinstance none /dev/pts; exec "$1" proc-10`, "sh", r.program)
	if !strings.HasPrefix(out, "ESCAPED ") || !strings.HasSuffix(out, "its foreground ours") {
		t.Errorf("without the sandbox: got %q: the attempt proves nothing", out)
	}
}

func terminalInside(t *testing.T, r rig, profile string) {
	t.Helper()
	a := attemptOf("proc-10")
	judge(t, a, profile, profile, onTerminal(t, r, r.runner, "exec", "--quiet", "--profile", profile, "--no-network", "--", "./attack", "proc-10"))
}
