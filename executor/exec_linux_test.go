// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox"
)

type bench struct {
	x     *executor.Executor
	state string
	work  string
}

func newBench(t *testing.T) bench {
	t.Helper()
	testenv.NeedRoot(t)
	b := bench{state: filepath.Join(t.TempDir(), "state"), work: t.TempDir()}
	x, err := executor.New(executor.Config{StateDir: b.state, Home: "/nonexistent", Environ: []string{"PATH=/usr/bin:/bin", "SECRET_OF_THE_RUNNER=1", "CI=true"}})
	if err != nil {
		t.Fatal(err)
	}
	b.x = x
	return b
}

// run runs a shell script and checks that nothing is left in the state folder.
func (b bench) run(t *testing.T, r executor.Request, script string) (string, executor.Report, error) {
	t.Helper()
	var out bytes.Buffer
	r.Args, r.Dir, r.Stdout, r.Stderr = []string{"sh", "-c", script}, b.work, &out, &out
	report, err := b.x.Exec(t.Context(), r)
	jobs, jerr := os.ReadDir(filepath.Join(b.state, "jobs"))
	if jerr != nil || len(jobs) != 0 {
		t.Errorf("left: %v %v", jobs, jerr)
	}
	return out.String(), report, err
}

func (b bench) write(t *testing.T, name, text string) {
	t.Helper()
	name = filepath.Join(b.work, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestExecFilesBelongToTheCaller(t *testing.T) {
	b := newBench(t)
	if err := os.Chown(b.work, 4321, 8765); err != nil {
		t.Fatal(err)
	}
	out, report, err := b.run(t, executor.Request{Policy: executor.Policy{NoNetwork: true}}, "id -u; echo x > made; mkdir d; ln -s made l; stat -c %u made")
	if err != nil || out != "1000\n1000\n" || report.Conclusion != executor.Success {
		t.Fatalf("got %q %v %v", out, report.Conclusion, err)
	}
	for _, n := range []string{"made", "d", "l"} {
		st, err := os.Lstat(filepath.Join(b.work, n))
		if err != nil {
			t.Fatal(err)
		}
		if sys := st.Sys().(*syscall.Stat_t); sys.Uid != 4321 || sys.Gid != 8765 {
			t.Errorf("%s belongs to %d:%d", n, sys.Uid, sys.Gid)
		}
	}
}

func TestExecEnvironment(t *testing.T) {
	b := newBench(t)
	out, _, err := b.run(t, executor.Request{Policy: executor.Policy{NoNetwork: true}, Env: []string{"MINE=yes"}}, "env | sort | grep -v ^PWD=")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff("ASAN_OPTIONS=detect_leaks=0\nCI=true\nHOME=/home/job\nLANG=C.UTF-8\nMINE=yes\nPATH=/run/zviz/bin:/usr/bin:/bin\nTMPDIR=/tmp\n", out); d != "" {
		t.Error(d)
	}
}

func TestExecSecretsAreMasked(t *testing.T) {
	b := newBench(t)
	const secret = "v3ry-s3cret-v4lue"
	out, report, err := b.run(t, executor.Request{Policy: executor.Policy{NoNetwork: true}, Env: []string{"S=" + secret}, Secrets: []string{secret}},
		`echo "$S"; printf v3ry-s3; sleep 0.1; echo cret-v4lue; echo "$S" | base64; tr '\0' '\n' < /proc/1/environ; cat /proc/1/cmdline; cat /proc/1/mem`)
	if err != nil || strings.Contains(out, "s3cret") || strings.Contains(out, "djNyeS1zM2NyZXQtdjRsdW") {
		t.Errorf("got %q %v", out, err)
	}
	if strings.Count(out, "***") != 3 {
		t.Errorf("got %q", out)
	}
	if !strings.Contains(out, "/proc/1/environ: Permission denied") && !strings.Contains(out, "cannot open /proc/1/environ") {
		t.Errorf("the environment of process 1: %q", out)
	}
	if strings.Contains(strings.Join(report.Command, " "), secret) {
		t.Error("the secret is in the report")
	}
}

func TestExecGit(t *testing.T) {
	git := testenv.NeedTool(t, "git")
	b := newBench(t)
	for _, args := range [][]string{{"init", "-q"}, {"-c", "user.name=a", "-c", "user.email=a@b.test", "commit", "-q", "--allow-empty", "-m", "x"}} {
		cmd := exec.Command(git, args...)
		cmd.Dir = b.work
		cmd.Env = []string{"HOME=" + b.work, "PATH=/usr/bin:/bin"}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatal(err, string(out))
		}
	}
	out, _, err := b.run(t, executor.Request{Policy: executor.Policy{NoNetwork: true}},
		"git status --short && git log --oneline | wc -l; echo x > .git/hooks/post-checkout; mv .git .g; rm -rf .git 2>&1 | head -1; mkdir sub; mv sub/../.git sub/x")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, "1\n") || !strings.Contains(out, "Read-only file system") || !strings.Contains(out, "busy") {
		t.Errorf("got %s", out)
	}
	_, report, err := b.run(t, executor.Request{Policy: executor.Policy{NoNetwork: true, Write: []string{".git"}}}, "echo x > .git/hooks/post-checkout; echo '[core]' >> .git/config")
	if err != nil {
		t.Fatal(err)
	}
	want := []executor.Change{{Op: "M", Path: ".git/hooks", Note: "git hooks"}, {Op: "M", Path: ".git/config", Note: "obeyed by git"}}
	got := report.Changed
	for i := range got {
		got[i].Size, got[i].Fix = 0, ""
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestExecEphemeral(t *testing.T) {
	b := newBench(t)
	b.write(t, "kept", "one\ntwo\n")
	b.write(t, "gone", "bye\n")
	b.write(t, "dir/x", "x\n")
	var diff bytes.Buffer
	_, report, err := b.run(t, executor.Request{Policy: executor.Policy{NoNetwork: true, Diff: true}, DiffTo: &diff},
		"sed -i s/two/2/ kept; rm gone; echo new > new; rm -r dir; head -c 100 /dev/zero > binary; ln -s /etc/shadow link")
	if err != nil || report.ExitCode != 0 {
		t.Fatal(err, report.ExitCode)
	}
	want := []executor.Change{
		{Op: "A", Path: "binary", Size: 100},
		{Op: "D", Path: "dir"},
		{Op: "D", Path: "gone"},
		{Op: "M", Path: "kept", Size: 6},
		{Op: "A", Path: "link", Size: 11},
		{Op: "A", Path: "new", Size: 4},
	}
	if d := cmp.Diff(want, report.Changed); d != "" {
		t.Error(d)
	}
	for _, part := range []string{"--- a/kept\n+++ b/kept\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n", "--- /dev/null\n+++ b/new\n", "+++ /dev/null\n@@ -1 +0,0 @@\n-bye\n"} {
		if !strings.Contains(diff.String(), part) {
			t.Errorf("no %q in\n%s", part, diff.String())
		}
	}
	if text, err := os.ReadFile(filepath.Join(b.work, "kept")); err != nil || string(text) != "one\ntwo\n" {
		t.Errorf("the workspace changed: %q %v", text, err)
	}
	if _, err := os.Lstat(filepath.Join(b.work, "new")); err == nil {
		t.Error("a file came through")
	}
}

func TestExecNoSpace(t *testing.T) {
	b := newBench(t)
	if os.Getenv("ZVIZ_TEST_OWN_MOUNTS") == "" {
		// Again in a mount namespace of its own: nobody else sees what is mounted.
		cmd := exec.Command(testenv.NeedTool(t, "unshare"), "--mount", os.Args[0], "-test.run=^TestExecNoSpace$", "-test.count=1")
		cmd.Env = append(os.Environ(), "ZVIZ_TEST_OWN_MOUNTS=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := os.Mkdir(b.state, 0o700); err != nil {
		t.Fatal(err)
	}
	// A file system of eight inodes: enough to begin, not enough for a job.
	if err := syscall.Mount("tmpfs", b.state, "tmpfs", 0, "nr_inodes=8"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(b.state, syscall.MNT_DETACH) })
	_, report, err := b.run(t, executor.Request{Policy: executor.Policy{NoNetwork: true}}, "true")
	if !errors.Is(err, syscall.ENOSPC) || report.Cause != sandbox.CauseNotStarted {
		t.Fatalf("got %v, %s", err, report.Cause)
	}
	var hint interface{ Hint() string }
	if !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "free space") {
		t.Errorf("no hint in %v", err)
	}
}

func TestPlanLeavesNothing(t *testing.T) {
	b := newBench(t)
	text, err := b.x.Plan(t.Context(), executor.Request{Args: []string{"true"}, Dir: b.work, Env: []string{"TOKEN=hidden-value"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"pivot_root", "landlock_restrict_self", b.work, `process 1 then starts ["true"]`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the plan", want)
		}
	}
	if strings.Contains(text, "hidden-value") {
		t.Error("the plan prints the command's environment")
	}
	if jobs, err := os.ReadDir(filepath.Join(b.state, "jobs")); err != nil || len(jobs) != 0 {
		t.Errorf("left: %v %v", jobs, err)
	}
}

// Tokens that an operator keeps in a tool's global configuration are not shown.
func TestExecHidesGlobalConfiguration(t *testing.T) {
	b := newBench(t)
	if os.Getenv("ZVIZ_TEST_OWN_MOUNTS") == "" {
		// Again in a mount namespace of its own: npm of other tests reads that file.
		cmd := exec.Command(testenv.NeedTool(t, "unshare"), "--mount", os.Args[0], "-test.run=^TestExecHidesGlobalConfiguration$", "-test.count=1")
		cmd.Env = append(os.Environ(), "ZVIZ_TEST_OWN_MOUNTS=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	const file = "/usr/local/etc/npmrc"
	if err := syscall.Mount("tmpfs", filepath.Dir(file), "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("//registry.test/:_authToken=planted\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, report, err := b.run(t, executor.Request{Policy: executor.Policy{NoNetwork: true}}, "cat "+file+"; echo read")
	if err != nil || report.ExitCode != 0 || out != "read\n" {
		t.Errorf("got %q %v", out, err)
	}
}
