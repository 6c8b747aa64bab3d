// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox"
)

// nobodysUID is an ordinary user that has no name, no groups and nothing else.
const nobodysUID = 54321

// userRig is a workspace of an ordinary user and the command.
type userRig struct {
	runner string
	home   string
	dir    string
	groups []string // of the control group hierarchies that the user was given one of
}

func newUserRig(t *testing.T) *userRig {
	t.Helper()
	testenv.NeedRoot(t)                                // to become another user
	base, err := os.MkdirTemp("/var/tmp", "zviz-user") //nolint:usetesting // the user cannot pass through that of t
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(base); err != nil {
			t.Error(err)
		}
	})
	r := &userRig{runner: filepath.Join(base, "zviz-runner"), home: filepath.Join(base, "home"), dir: filepath.Join(base, "ws")}
	self, err := os.Executable() // under the command's name it is the command: TestMain
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		os.Chmod(base, 0o755),
		os.WriteFile(r.runner, program, 0o755),
		os.Mkdir(r.home, 0o700), os.Mkdir(r.dir, 0o755),
		os.Chown(r.home, nobodysUID, nobodysUID), os.Chown(r.dir, nobodysUID, nobodysUID),
	); err != nil {
		t.Fatal(err)
	}
	return r
}

// delegate gives the user a control group in each hierarchy, as systemd does.
func (r *userRig) delegate(t *testing.T) {
	t.Helper()
	probe, err := sandbox.Measure()
	if err != nil {
		t.Fatal(err)
	}
	h := probe.Cgroups
	for _, base := range []string{h.Memory, h.Pids, h.CPU, h.V2} {
		dir := filepath.Join(base, "zviz-test-user-"+strconv.Itoa(os.Getpid()))
		if base == "" || slices.Contains(r.groups, dir) {
			continue
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		r.groups = append(r.groups, dir)
		t.Cleanup(func() {
			// A process that was killed in it may not have left it yet (rmdir(2), EBUSY).
			err := syscall.Rmdir(dir)
			for begun := time.Now(); errors.Is(err, syscall.EBUSY) && time.Since(begun) < time.Minute; err = syscall.Rmdir(dir) {
				time.Sleep(10 * time.Millisecond)
			}
			if err != nil {
				t.Errorf("%s: %v", dir, err)
			}
		})
		for _, name := range []string{"", "cgroup.procs", "cgroup.subtree_control"} {
			if err := os.Chown(filepath.Join(dir, name), nobodysUID, nobodysUID); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
	}
}

// command runs a shell line as the user, in the workspace and in its groups.
func (r *userRig) command(t *testing.T, line string) *exec.Cmd {
	t.Helper()
	var enter strings.Builder
	for _, g := range r.groups {
		fmt.Fprintf(&enter, "echo $$ > %s/cgroup.procs\n", g)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", enter.String()+`cd "$WS"; exec setpriv --reuid "$UIDGID" --regid "$UIDGID" --clear-groups sh -c "$LINE"`)
	cmd.Env = []string{"PATH=" + filepath.Dir(r.runner) + ":" + os.Getenv("PATH"), "HOME=" + r.home, "WS=" + r.dir, "LINE=" + line, "UIDGID=" + strconv.Itoa(nobodysUID)}
	return cmd
}

// run runs it and returns output and exit code.
func (r *userRig) run(t *testing.T, line string) (out string, code int) {
	t.Helper()
	cmd := r.command(t, line)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return b.String(), e.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), 0
}

// TestUserLayers wants every layer of root's runner of an ordinary user's.
func TestUserLayers(t *testing.T) {
	r := newUserRig(t)
	r.delegate(t)
	out, code := r.run(t, `zviz-runner exec --profile hostile --report ../home/report.json --no-network -- sh -c '
		echo made > file; id -u; id -G
		grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/self/status; exit 7'`)
	if code != 7 {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	for _, want := range []string{"54321\n54321\n", "CapBnd:\t0000000000000000", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "CapInh:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	var st syscall.Stat_t
	if err := syscall.Stat(filepath.Join(r.dir, "file"), &st); err != nil || st.Uid != nobodysUID || st.Gid != nobodysUID {
		t.Errorf("the file belongs to %d:%d (%v)", st.Uid, st.Gid, err)
	}
	data, err := os.ReadFile(filepath.Join(r.home, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var report executor.Report
	if err := json.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	for _, l := range sandbox.Layers() {
		i := slices.IndexFunc(report.Layers, func(r sandbox.LayerReport) bool { return r.Name == l })
		if i < 0 || report.Layers[i].State != sandbox.Applied {
			t.Errorf("layer %s: %+v", l, report.Layers)
		}
	}
	if left, err := filepath.Glob(filepath.Join(r.home, ".local/state/zviz/jobs/*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q (%v)", left, err)
	}
}

// TestUserWithoutHome: without HOME it is the user's own home that counts, not that of
// the root which the runner becomes, and never the workspace.
func TestUserWithoutHome(t *testing.T) {
	r := newUserRig(t)
	for _, dir := range []string{r.home, r.dir} {
		policy := filepath.Join(dir, ".config", "zviz", "policy.yml")
		if err := errors.Join(os.MkdirAll(filepath.Dir(policy), 0o755), os.WriteFile(policy, []byte("version: 1\nbogus: 1\n"), 0o644), os.Chmod(dir, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	passwd := filepath.Join(filepath.Dir(r.runner), "passwd")
	if err := os.WriteFile(filepath.Join(r.dir, "policy.yml"), []byte("version: 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	workflow := "on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: 'echo by ${{ github.actor }}'}]}}\n"
	if err := os.WriteFile(filepath.Join(r.dir, "ci.yml"), []byte(workflow), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, passwd, line string
		code               int
		want               string
	}{
		{"his policy", "alice:x:54321:54321::" + r.home + ":/bin/sh\n", "exec --no-network -- true", 125, r.home + "/.config/zviz/policy.yml:2:1: unknown key"},
		{"his name", "alice:x:54321:54321::" + r.home + ":/bin/sh\n", "run --policy policy.yml --allow-missing cgroup ci.yml", 0, "by alice"},
		{"no home", "root:x:0:0::/root:/bin/sh\n", "exec --no-network -- true", 125, "fix: export HOME="},
		{"no home, and nothing is run", "", "egress explain", 0, "mode deny"},
		{"no home, cache", "", "cache path", 0, "/.cache/zviz/packages\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(passwd, []byte(tt.passwd), 0o644); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--propagation", "private", "sh", "-ec",
				`mount --bind "$PASSWD" /etc/passwd; cd "$WS"; exec env -i "PATH=$PATH" setpriv --reuid 54321 --regid 54321 --clear-groups sh -c "$LINE"`)
			cmd.Env = []string{"PATH=" + filepath.Dir(r.runner) + ":" + os.Getenv("PATH"), "WS=" + r.dir, "PASSWD=" + passwd, "LINE=zviz-runner " + tt.line}
			out, err := cmd.CombinedOutput()
			if cmd.ProcessState.ExitCode() != tt.code || !strings.Contains(string(out), tt.want) {
				t.Errorf("%v, want %d and %q:\n%s", err, tt.code, tt.want, out)
			}
		})
	}
}

func TestUserMemoryLimit(t *testing.T) {
	r := newUserRig(t)
	r.delegate(t)
	out, code := r.run(t, `zviz-runner exec --memory 32m --no-network -- sh -c 'tail /dev/zero'`)
	if code != 137 || !strings.Contains(out, "--memory") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

// TestUserNetwork: what is allowed is reached over the runner's network, the
// host's, and nothing else is.
func TestUserNetwork(t *testing.T) {
	r := newUserRig(t)
	out, code := r.run(t, `zviz-runner exec --allow-missing cgroup --allow example.com -- sh -c 'getent hosts example.com; getent hosts denied.example || exit 3'`)
	if code != 3 || !strings.Contains(out, "denied.example") || !strings.Contains(out, "example.com") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

// TestUserWithoutGroup: the lack is an error with its fix, and the pids limit
// holds without a group too.
func TestUserWithoutGroup(t *testing.T) {
	r := newUserRig(t)
	out, code := r.run(t, `zviz-runner exec --no-network -- true`)
	if code != 125 || !strings.Contains(out, "systemd-run --user") || !strings.Contains(out, "--allow-missing cgroup") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	out, code = r.run(t, `zviz-runner exec --no-network --allow-missing memory --allow-missing cpu --allow-missing kill --pids 10 -- python3 -c '
import os, sys, time
n = 0
try:
    while n < 100:
        if os.fork() == 0:
            time.sleep(60); os._exit(0)
        n += 1
except BlockingIOError:
    pass
print("forked", n)'`)
	if n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(out, "forked"))); code != 0 || err != nil || n < 5 || n > 10 {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

// TestUserScope: the user's systemd is asked for a group before we give up. The
// systemd-run here puts us into a group as the real one does.
func TestUserScope(t *testing.T) {
	r := newUserRig(t)
	bin := filepath.Dir(r.runner)
	log := filepath.Join(r.home, "asked")
	if err := errors.Join(
		os.WriteFile(filepath.Join(bin, "systemd-run"), []byte("#!/bin/sh\necho \"$@\" > "+log+"\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nexec \"$@\"\n"), 0o755),
		os.MkdirAll(filepath.Join(r.home, "run/systemd/private"), 0o755),
	); err != nil {
		t.Fatal(err)
	}
	out, _ := r.run(t, "XDG_RUNTIME_DIR="+r.home+`/run zviz-runner exec --no-network --allow-missing cgroup -- sh -c 'env; echo ran'`)
	asked, err := os.ReadFile(log)
	if err != nil || !strings.Contains(out, "ran\n") {
		t.Fatalf("not asked (%v):\n%s", err, out)
	}
	if want := "--user --scope --quiet --collect --property=Delegate=yes -- " + r.runner + " exec --no-network"; !strings.HasPrefix(string(asked), want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
	if strings.Contains(out, "ZVIZ_") {
		t.Errorf("the job got a variable of ours:\n%s", out)
	}
}

// TestUserRange: with ids of /etc/subuid the job has every id of a distribution,
// and its own are still the user's.
func TestUserRange(t *testing.T) {
	r := newUserRig(t)
	cmd := r.command(t, `zviz-runner exec --allow-missing cgroup --no-network -- sh -c 'cat /proc/self/uid_map; touch file'`)
	r.giveRange(t, cmd)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got := strings.Join(strings.Fields(string(out)), " ")
	if want := "54321 0 1 0 1 54321 54322 54322 11215"; got != want {
		t.Errorf("map %q, want %q", got, want)
	}
	var st syscall.Stat_t
	if err := syscall.Stat(filepath.Join(r.dir, "file"), &st); err != nil || st.Uid != nobodysUID {
		t.Errorf("the file belongs to %d (%v)", st.Uid, err)
	}
}

// giveRange lets a command of the user's find ids of his own in /etc/subuid.
func (r *userRig) giveRange(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	testenv.NeedTool(t, "newuidmap")
	subids := filepath.Join(r.home, "subids")
	if err := os.WriteFile(subids, fmt.Appendf(nil, "other:1:5\n%d:1000000:65536\n", nobodysUID), 0o644); err != nil {
		t.Fatal(err)
	}
	// newuidmap reads the system's files: in a mount namespace of its own they are ours.
	passwd := filepath.Join(r.home, "passwd")
	if err := os.WriteFile(passwd, fmt.Appendf(nil, "root:x:0:0::/root:/bin/sh\nsomebody:x:%d:%d::%s:/bin/sh\n", nobodysUID, nobodysUID, r.home), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd.Args = append([]string{"unshare", "--mount", "sh", "-ec", `mount --bind "$0/subids" /etc/subuid; mount --bind "$0/subids" /etc/subgid; mount --bind "$0/passwd" /etc/passwd; exec "$@"`, r.home}, cmd.Args...)
	cmd.Path = testenv.NeedTool(t, "unshare")
}

// TestUserAttack makes the harmless attempts: as a user who has one id, and as one
// who has a range of them. What stops some differs.
func TestUserAttack(t *testing.T) {
	for name, give := range map[string]func(*userRig, *testing.T, *exec.Cmd){"one id": nil, "range": (*userRig).giveRange} {
		t.Run(name, func(t *testing.T) {
			r := newUserRig(t)
			r.delegate(t)
			cmd := r.command(t, "zviz-runner doctor --attack --json")
			if give != nil {
				give(r, t, cmd)
			}
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			var report struct {
				Attack struct {
					Profiles []struct {
						Profile  string         `json:"profile"`
						Counts   map[string]int `json:"counts"`
						Attempts []struct{ ID, End, Detail string }
					} `json:"profiles"`
				} `json:"attack"`
			}
			if err := json.Unmarshal(out, &report); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if len(report.Attack.Profiles) != 2 {
				t.Fatalf("no two profiles: %s", out)
			}
			for _, p := range report.Attack.Profiles {
				t.Logf("%s: %v", p.Profile, p.Counts)
				ends := map[string]string{}
				for _, a := range p.Attempts {
					ends[a.ID] = a.Detail
				}
				want := map[string]string{"one id": "BLOCKED EINVAL", "range": "BLOCKED EPERM"}[name]
				if p.Counts["escaped"]+p.Counts["wrong"] > 0 || p.Counts["blocked"] < 100 || ends["cap-07-workspace"] != want {
					t.Errorf("%s: %v, cap-07-workspace %q, want %q", p.Profile, p.Counts, ends["cap-07-workspace"], want)
				}
			}
		})
	}
}

// TestUserCoveredProc: in a container /proc has covers, and no new one can be had.
func TestUserCoveredProc(t *testing.T) {
	r := newUserRig(t)
	cmd := r.command(t, `zviz-runner exec --allow-missing cgroup --no-network -- true`)
	cmd.Args = append([]string{"unshare", "--mount", "sh", "-ec", `mount -t tmpfs none /proc/fs; exec "$@"`, "sh"}, cmd.Args...)
	cmd.Path = testenv.NeedTool(t, "unshare")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "systempaths=unconfined") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestUserNamespacesForbidden names what forbids them.
func TestUserNamespacesForbidden(t *testing.T) {
	r := newUserRig(t)
	// The bound of a namespace around the user's, so that the machine keeps its own.
	cmd := r.command(t, `zviz-runner exec --allow-missing cgroup --no-network -- true`)
	cmd.Args = append([]string{"sh", "-ec", `echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"`, "sh"}, cmd.Args...)
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}, {ContainerID: nobodysUID, HostID: nobodysUID, Size: 1}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true, Credential: &syscall.Credential{}}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "max_user_namespaces") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestUserWorkflow runs the workflow of examples/node-ci where the runner is an ordinary
// user's: a matrix, a composite action, a called workflow, outputs.
func TestUserWorkflow(t *testing.T) {
	testenv.NeedTool(t, "node")
	r := newUserRig(t)
	r.delegate(t)
	if err := os.CopyFS(filepath.Join(r.dir, "app"), os.DirFS(examples())); err != nil {
		t.Fatal(err)
	}
	if err := exec.CommandContext(t.Context(), "chown", "-R", strconv.Itoa(nobodysUID), r.dir).Run(); err != nil {
		t.Fatal(err)
	}
	out, code := r.run(t, "cd app/node-ci && zviz-runner run")
	if code != 0 || !strings.Contains(out, "lint success, test success, pack success: durations-1.0.1.tgz") {
		t.Errorf("%d\n%s", code, out)
	}
	out, code = r.run(t, "cd app/hostile-workflow && DEPLOY_KEY=example-of-a-secret zviz-runner run --secret DEPLOY_KEY")
	if code != 0 || strings.Contains(out, "SUCCEEDED") || strings.Contains(out, "example-of-a-secret") {
		t.Errorf("%d\n%s", code, out)
	}
}
