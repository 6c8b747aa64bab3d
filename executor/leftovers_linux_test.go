// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox"
)

// changed runs a script in the workspace and returns what is listed, without sizes.
func (b bench) changed(t *testing.T, p executor.Policy, script string) map[string]string {
	t.Helper()
	p.NoNetwork = true
	out, report, err := b.run(t, executor.Request{Policy: p}, script)
	if err != nil || report.ExitCode != 0 {
		t.Fatal(err, report.ExitCode, out)
	}
	if report.Leftovers.Incomplete != "" {
		t.Errorf("incomplete: %s", report.Leftovers.Incomplete)
	}
	notes := map[string]string{}
	for _, c := range report.Changed {
		notes[c.Path] = strings.TrimSpace(notes[c.Path] + " " + c.Op + " " + c.Note)
	}
	return notes
}

func (b bench) mode(t *testing.T, name string) fs.FileMode {
	t.Helper()
	st, err := os.Lstat(filepath.Join(b.work, name))
	if err != nil {
		t.Fatal(err)
	}
	return st.Mode()
}

const stripped = "M its set-user-ID and set-group-ID bits were taken off"

// TestLeftoverSetID: outside, a set-user-ID file of the caller's gives everybody
// the caller's rights.
func TestLeftoverSetID(t *testing.T) {
	for _, profile := range []string{"ci", "hostile"} {
		for _, row := range []string{"fs-28", "ws-10"} { // one test of both
			t.Run(profile+"/"+row, func(t *testing.T) { leftoverSetID(t, profile) })
		}
	}
}

func leftoverSetID(t *testing.T, profile string) {
	t.Helper()
	b := newBench(t)
	b.write(t, "old", "of the operator's")
	b.write(t, "deep/er/changed", "x")
	b.write(t, "outside", "x")
	for _, n := range []string{"old", "outside"} {
		if err := os.Chmod(filepath.Join(b.work, n), fs.ModeSetuid|0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Of another owner: not the job's to change, so not its doing.
	if err := os.Chown(filepath.Join(b.work, "outside"), 4321, 4321); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(b.work, "outside"), fs.ModeSetuid|0o755); err != nil {
		t.Fatal(err)
	}
	pause() // the operator's own files are older than the run
	got := b.changed(t, executor.Policy{Profile: profile}, `cp /bin/sh sh && chmod 6755 sh; chmod u+s deep/er/changed; touch -d 2001-01-01 deep/er/changed
		umask 0; cp /bin/sh unreadable; chmod 4111 unreadable; mkdir -m 0 shut; mkdir -m 2755 group; ln sh hard
		cp /bin/sh shut2; chmod 4755 shut2; mkdir closed; mv shut2 closed/; chmod 0 closed`)
	want := map[string]string{
		"sh": stripped, "deep/er/changed": stripped, "unreadable": stripped, "closed/shut2": stripped,
	}
	delete(got, "hard") // one file with sh: the first name that the walk meets is listed
	if _, ok := got["sh"]; !ok {
		got["sh"] = stripped
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for name, want := range map[string]fs.FileMode{
		"sh": 0o755, "deep/er/changed": 0o644, "unreadable": 0o111, "closed/shut2": 0o755,
		"old": fs.ModeSetuid | 0o755, "outside": fs.ModeSetuid | 0o755,
	} {
		if got := b.mode(t, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// TestLeftoverLinksAreNotFollowed: they are listed if they lead out, and what they
// lead to stays as it is.
func TestLeftoverLinksAreNotFollowed(t *testing.T) {
	b := newBench(t)
	outside := filepath.Join(t.TempDir(), "canary")
	if err := os.WriteFile(outside, []byte("x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(outside, fs.ModeSetuid|0o755); err != nil {
		t.Fatal(err)
	}
	got := b.changed(t, executor.Policy{}, `ln -s `+outside+` link; ln -s `+filepath.Dir(outside)+` dir; ln -s ../../etc/shadow up
		ln -s /usr/bin/env tool; ln -s deep/x inside; mkdir deep; ln -s ../x deep/back; ln -s ../../x deep/out; ln -s . self; ln -s /etc/shadow shadow`)
	const out = "A a link that leads out of the workspace"
	if d := cmp.Diff(map[string]string{"link": out, "dir": out, "up": out, "deep/out": out, "shadow": out}, got); d != "" {
		t.Error(d)
	}
	if st, err := os.Stat(outside); err != nil || st.Mode() != fs.ModeSetuid|0o755 {
		t.Errorf("the file outside is %v %v", st.Mode(), err)
	}
}

func TestLeftoversAreReported(t *testing.T) {
	testenv.NeedTool(t, "python3")
	b := newBench(t)
	b.write(t, "sub/kept", "x")
	got := b.changed(t, executor.Policy{}, `mkfifo pipe sub/pipe; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")'
		truncate -s 8T huge; mkdir -p sub/.git/hooks bare/objects bare/refs; echo 'ref: x' >bare/HEAD; echo gitdir: ../x >bare/.git; truncate -s 1G plain`)
	const git = "M a git repository: its hooks and settings are obeyed by git"
	if _, ok := got["sock"]; !ok {
		t.Error("the socket is not listed")
	}
	delete(got, "sock")
	if d := cmp.Diff(map[string]string{
		"pipe": "A a named pipe: who opens it waits", "sub/pipe": "A a named pipe: who opens it waits",
		"huge": "M larger than the disk space that it has", "sub/.git": git, "bare": git, "bare/.git": git,
	}, got); d != "" {
		t.Error(d)
	}
}

// TestLeftoversThatToolsTrust: what a tool of the host obeys by itself in a
// directory that somebody enters, whatever its depth and however it was changed.
func TestLeftoversThatToolsTrust(t *testing.T) {
	b := newBench(t)
	const big = 3 << 20
	b.write(t, ".pnp.cjs", strings.Repeat("x", big))
	for _, name := range []string{
		".vscode/deep/tasks.json", "sub/.vscode/tasks.json", "sub/.envrc", "kept/.envrc", "kept/.vscode/tasks.json",
		"nested/.git/HEAD", "nested/.git/config", "nested/.git/hooks/post-commit", "nested2/.git/HEAD", "nested2/.git/hooks/post-commit",
		"mirror/HEAD", "mirror/config", "mirror/objects/x", "mirror/refs/x", "calm/.git/HEAD", "calm/.git/config",
		"packages/a/node_modules/.bin/tool", "node_modules/x/.npmrc", "node_modules/.bin/tool",
	} {
		b.write(t, name, "old")
	}
	pause()
	// All of it in place: no directory's own time changes.
	got := b.changed(t, executor.Policy{}, `set -e
		for f in .vscode/deep/tasks.json sub/.vscode/tasks.json sub/.envrc nested/.git/config nested2/.git/hooks/post-commit mirror/config packages/a/node_modules/.bin/tool node_modules/x/.npmrc
		do printf new >$f; done
		printf y | dd of=.pnp.cjs bs=1 seek=2500000 conv=notrunc 2>/dev/null
		mkdir worktree; echo ref: x >worktree/HEAD; echo ../y >worktree/commondir; ln -s nested/.git other; mkdir linked; ln -s ../nested/.git linked/.git; echo x >calm/file`)
	const git = "M a git repository: its hooks and settings are obeyed by git"
	if d := cmp.Diff(map[string]string{
		".vscode": "M obeyed by editors", "sub/.vscode": "M obeyed by editors", "sub/.envrc": "M run by direnv", ".pnp.cjs": "M run by node",
		"nested/.git": git, "nested2/.git": git, "mirror": git, "worktree": git, "linked/.git": git,
		"packages/a/node_modules/.bin": "M run by npx and npm scripts",
	}, got); d != "" {
		t.Error(d)
	}
}

// TestLeftoverGitAtTheTop: a workspace that was no repository becomes one.
func TestLeftoverGitAtTheTop(t *testing.T) {
	const git = "M a git repository: its hooks and settings are obeyed by git"
	for name, tt := range map[string]struct {
		script string
		want   map[string]string
	}{
		"directory": {"mkdir -p .git/hooks; echo x >.git/config", map[string]string{".git/hooks": "A git hooks", ".git/config": "A obeyed by git"}},
		"file":      {"echo gitdir: x >.git", map[string]string{".git": git}},
		"link":      {"mkdir x; ln -s x .git", map[string]string{".git": git}},
		"bare":      {"mkdir objects refs; echo x >HEAD", map[string]string{".": git}},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, newBench(t).changed(t, executor.Policy{}, tt.script)); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestWhatGitIsToldToRun: git's own configuration is read-only, but it may name
// files that are not.
func TestWhatGitIsToldToRun(t *testing.T) {
	testenv.NeedTool(t, "git")
	b := newBench(t)
	if out, err := exec.Command("git", "init", "-q", b.work).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	for _, c := range [][2]string{
		{"core.hooksPath", "githooks"},
		{"core.fsmonitor", "tools/monitor.sh"},
		{"filter.x.clean", "'./tools/clean' %f"},
		{"include.path", "../team.gitconfig"},
		{"remote.origin.url", "https://example.com/x/y"},
	} {
		if out, err := exec.Command("git", "-C", b.work, "config", c[0], c[1]).CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	b.write(t, "tools/clean", "old")
	b.write(t, "tools/other", "old")
	got := b.changed(t, executor.Policy{}, `mkdir githooks; echo x >githooks/pre-commit; echo x >tools/monitor.sh; echo x >tools/clean; echo x >tools/other; echo x >team.gitconfig`)
	by := func(op, key string) string {
		return op + " run or obeyed by git: " + key + " of its configuration names it"
	}
	if d := cmp.Diff(map[string]string{
		"githooks": by("A", "core.hookspath"), "tools/monitor.sh": by("A", "core.fsmonitor"), "tools/clean": by("M", "filter.clean"), "team.gitconfig": by("A", "include.path"),
	}, got); d != "" {
		t.Error(d)
	}
}

// TestLeftoversHaveAFix: whatever is listed for a reason says what to do, but what
// was made harmless; names of the job's are kept as they are.
func TestLeftoversHaveAFix(t *testing.T) {
	b := newBench(t)
	if err := syscall.Mount("tmpfs", b.work, "tmpfs", 0, "size=16m"); err != nil { // ext4 holds no petabyte
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(b.work, syscall.MNT_DETACH) })
	_, report, err := b.run(t, executor.Request{Policy: executor.Policy{NoNetwork: true}}, `truncate -s 4P huge; truncate -s 4P .npmrc; mkfifo "$(printf 'a\nb\033[2Jc')"; ln -s /etc/shadow l
		cp /bin/true s; chmod 4755 s; mknod d c 1 3; ln /etc/passwd h; ln .npmrc n; true`)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, c := range report.Changed {
		got[c.Path] = c.Fix != ""
	}
	delete(got, "n")
	if d := cmp.Diff(map[string]bool{"huge": true, ".npmrc": true, "a\nb\x1b[2Jc": true, "l": true, "s": false}, got); d != "" {
		t.Errorf("%s\n%+v", d, report.Changed)
	}
}

// TestLeftoverMounts: what the operator opens for writing beside the workspace is
// looked at too; a copy that is thrown away is not.
func TestLeftoverMounts(t *testing.T) {
	b := newBench(t)
	other := filepath.Join(b.work, "..", "other")
	if err := os.Mkdir(other, 0o755); err != nil {
		t.Fatal(err)
	}
	got := b.changed(t, executor.Policy{Mounts: []sandbox.Mount{{Source: other, Target: "/mnt/other", Write: true}}}, `cp /bin/sh /mnt/other/sh; chmod 4755 /mnt/other/sh`)
	if d := cmp.Diff(map[string]string{filepath.Join(filepath.Dir(b.work), "other", "sh"): stripped}, got); d != "" {
		t.Error(d)
	}
	if st, err := os.Stat(filepath.Join(other, "sh")); err != nil || st.Mode() != 0o755 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	got = b.changed(t, executor.Policy{Ephemeral: true}, `cp /bin/sh sh; chmod 4755 sh`)
	if d := cmp.Diff(map[string]string{"sh": "A"}, got); d != "" {
		t.Error(d)
	}
}

// TestLeftoversAfterFailure: a command that is killed, or fails, leaves no more.
func TestLeftoversAfterFailure(t *testing.T) {
	for name, script := range map[string]string{
		"fails": "cp /bin/sh s; chmod 4755 s; exit 3", "killed": "cp /bin/sh s; chmod 4755 s; kill -9 $$",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			if _, report, err := b.run(t, executor.Request{Policy: executor.Policy{NoNetwork: true}}, script); err != nil || report.Conclusion != executor.Failure {
				t.Fatal(err, report.Conclusion)
			}
			if got := b.mode(t, "s"); got != 0o755 {
				t.Errorf("s is %v", got)
			}
		})
	}
}

// TestLeftoversDeep: paths longer than the kernel takes at once.
func TestLeftoversDeep(t *testing.T) {
	testenv.NeedTool(t, "python3")
	b := newBench(t)
	const dig = `python3 -c '
import os, shutil
for i in range(100):
    os.mkdir("7" * 200); os.chdir("7" * 200)
shutil.copy("/bin/sh", "s"); os.chmod("s", 0o4755)'`
	got := b.changed(t, executor.Policy{}, dig)
	if len(got) != 1 {
		t.Errorf("%d listed", len(got))
	}
	for name, note := range got {
		if note != stripped || filepath.Base(name) != "s" || len(name) < 20_000 {
			t.Errorf("%d bytes: %s", len(name), note)
		}
	}
	_, report, err := b.run(t, executor.Request{Policy: executor.Policy{NoNetwork: true}}, `python3 -c '
import os
for i in range(1100):
    os.mkdir("d"); os.chdir("d")'`)
	if err != nil || !strings.Contains(report.Leftovers.Incomplete, "directories more than 1000 deep") {
		t.Errorf("got %v %+v", err, report.Leftovers)
	}
}

// TestLeftoversListIsBounded: a job cannot fill the report.
func TestLeftoversListIsBounded(t *testing.T) {
	b := newBench(t)
	_, report, err := b.run(t, executor.Request{Policy: executor.Policy{NoNetwork: true}}, `seq -f pipe%g 1200 | xargs mkfifo`)
	if err != nil || len(report.Changed) != 1000 || report.Leftovers.Incomplete != "200 more that would be listed" || report.Leftovers.Entries != 1200 {
		t.Errorf("got %v, %d listed, %+v", err, len(report.Changed), report.Leftovers)
	}
}

// pause lets the kernel's coarse clock and our allowance for it pass.
func pause() { time.Sleep(60 * time.Millisecond) }
