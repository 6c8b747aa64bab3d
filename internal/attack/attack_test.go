// SPDX-License-Identifier: Apache-2.0

//go:build linux

package attack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zviz/run/internal/attack"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/internal/testuser"
)

// rig is what every test here needs: the runner, and a workspace with the
// program that attacks.
type rig struct {
	runner    string         // as who is to run it
	binary    string         // the same, or what it becomes as an ordinary user
	workspace string         // of who runs the runner, with the program that attacks
	outside   string         // root's: where the program attacks without the sandbox; the same if root runs the runner
	program   string         // in outside
	user      *testuser.User // who runs the runner; nil: root

	tcp, abstract string // services of the host
}

func newRig(t *testing.T) rig {
	t.Helper()
	testenv.NeedRoot(t)
	testenv.NeedTool(t, "unshare")
	testenv.NeedLandlock(t, 2)

	var r rig
	if r.runner = os.Getenv("ZVIZ_ATTACK_RUNNER"); r.runner == "" {
		r.runner = testenv.Build(t, "github.com/zviz/run/cmd/zviz-runner")
	}
	r.binary = r.runner
	if asUser() {
		r.become(t)
	}
	r.workspace = r.folder(t)
	r.outside = r.workspace
	if r.user != nil {
		r.outside = t.TempDir()
	}
	r.program = filepath.Join(r.outside, "attack")
	if err := os.Rename(testenv.Build(t, "github.com/zviz/run/internal/attack/program"), r.program); err != nil {
		t.Fatal(err)
	}
	if r.user != nil {
		copyFile(t, r.program, filepath.Join(r.workspace, "attack"))
	}

	// Two services of the host, that only the host's network leads to.
	listen := func(network, address string) string {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_ = c.Close()
			}
		}()
		t.Cleanup(func() { _ = l.Close() })
		return l.Addr().String()
	}
	r.tcp = listen("tcp4", "127.0.0.1:0")
	r.abstract = listen("unix", fmt.Sprintf("@zviz-attack-%d", os.Getpid()))
	return r
}

// args are the arguments that an attempt is made with.
func (r rig) args(a attack.Attempt) []string {
	switch a.ID {
	case "net-12":
		return []string{r.tcp}
	case "net-13":
		return []string{r.abstract}
	case "res-02":
		return []string{"100"}
	case "fs-06":
		return []string{filepath.Base(r.workspace) + "-" + strconv.Itoa(os.Getpid())}
	default:
		return nil
	}
}

// control makes the attempt outside of the sandbox, as root of namespaces of its
// own; nothing that it changes outlives it.
func (r rig) control(t *testing.T, a attack.Attempt) string {
	t.Helper()
	unshare := []string{"--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--ipc", "--uts"}
	if a.Control != attack.InHostNetwork {
		unshare = append(unshare, "--net")
	}
	if a.Control != attack.AsRoot {
		unshare = append(unshare, "--user", "--map-root-user")
	}
	// A private /usr/local to write to, the loopback up, and a descriptor left open.
	const prepare = `mount -t tmpfs none /usr/local && { ip link set lo up 2>/dev/null || true; } && exec "$0" "$@" 5</dev/null`
	unshare = append(unshare, "--", "sh", "-ec", prepare, r.program, a.ID)
	return r.output(t, "unshare", append(unshare, r.args(a)...)...)
}

// inside makes the attempt in the sandbox.
func (r rig) inside(t *testing.T, args ...string) string {
	t.Helper()
	return r.output(t, r.runner, append([]string{"exec", "--profile", "hostile", "--no-network", "--pids", "64", "--", "./attack"}, args...)...)
}

func (r rig) output(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = r.outside
	if name == r.runner {
		cmd.Dir = r.workspace
	}
	// What the runner must not let through: a variable and a descriptor.
	cmd.Env = append(os.Environ(), "ATTACK_SECRET=planted")
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	cmd.ExtraFiles = []*os.File{null}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return strings.TrimSpace(string(out))
}

// TestAttempts wants of each attempt that it succeeds without the sandbox and is
// stopped, for the right reason, within it.
func TestAttempts(t *testing.T) {
	r := newRig(t)
	for _, a := range attempts() {
		if a.Runner != nil || a.Arch != "" && a.Arch != runtime.GOARCH || aboutKernel(a.ID) || a.Control == attack.ByTest {
			continue // TestLimits has those with flags of their own
		}
		t.Run(a.ID, func(t *testing.T) {
			onHost := filepath.Join("/tmp", strings.Join(r.args(a), ""))
			if a.Control != attack.Nowhere && (a.Needs == "" || exists(a.Needs)) {
				want := "ESCAPED "
				if a.Allowed {
					want = "WORKS "
				}
				if got := r.control(t, a); !strings.HasPrefix(got, want) {
					t.Fatalf("%s, without the sandbox: got %q, want %q: the attempt proves nothing", a.What, got, want)
				}
				if a.ID == "fs-06" {
					if err := os.Remove(onHost); err != nil {
						t.Fatalf("control: %v", err)
					}
				}
			}

			got := r.inside(t, append([]string{a.ID}, r.args(a)...)...)
			judge(t, a, "hostile", "hostile", got)
			if _, err := os.Lstat(onHost); a.ID == "fs-06" && err == nil {
				_ = os.Remove(onHost)
				t.Errorf("%s is in /tmp of the host", onHost)
			}
		})
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestFacts looks at what a process inside is.
func TestFacts(t *testing.T) {
	r := newRig(t)
	var in attack.Facts
	if err := json.Unmarshal([]byte(r.inside(t, "facts")), &in); err != nil {
		t.Fatal(err)
	}
	host, err := attack.ReadFacts()
	if err != nil {
		t.Fatal(err)
	}

	for name, want := range map[string]string{
		"CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000",
		"CapBnd": "0000000000000000", "CapAmb": "0000000000000000",
		"NoNewPrivs": "1", "Seccomp": "2",
	} {
		if got := in.Status[name]; got != want {
			t.Errorf("/proc/self/status %s: got %q, want %q", name, got, want)
		}
	}
	for name, outside := range host.Namespaces {
		if in.Namespaces[name] == outside {
			t.Errorf("namespace %s is the host's, %s", name, outside)
		}
	}
	if in.UID == 0 {
		t.Error("the job is uid 0")
	}
	// user_namespaces(7): lines of "ID inside, ID outside, length".
	for name, text := range map[string]string{"uid_map": in.UIDMap, "gid_map": in.GIDMap} {
		if r.user != nil {
			break // what is outside of it is the runner's namespace, where 0 is the user
		}
		if strings.TrimSpace(text) == "" {
			t.Errorf("%s is empty", name)
		}
		for line := range strings.Lines(text) {
			if f := strings.Fields(line); len(f) == 3 && f[1] == "0" {
				t.Errorf("%s holds the host's root: %q", name, line)
			}
		}
	}
	if in.Processes > 4 {
		t.Errorf("%d processes in /proc: more than the init and the job", in.Processes)
	}
	if slices.Contains(in.Env, "ATTACK_SECRET") {
		t.Error("a variable of the caller's came in")
	}
}

// TestHostFilesAbsent plants a file in the folders that a job has no business in
// and looks for it inside.
func TestHostFilesAbsent(t *testing.T) {
	r := newRig(t)
	const mark = "zviz-canary-"
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	if r.user != nil {
		home = r.user.Home
	}
	for _, dir := range []string{home, "/tmp", "/var/tmp", "/run", "/dev/shm", "/var/lib", filepath.Dir(r.workspace)} {
		canary, err := os.MkdirTemp(dir, mark) //nolint:usetesting // the places are the point
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(canary) })
	}
	if outside := attack.Find(filepath.Dir(r.workspace), mark); len(outside) == 0 {
		t.Fatal("the canary is not found on the host either: the look proves nothing")
	}
	if found := r.inside(t, "find", mark); found != "" {
		t.Errorf("files of the host are visible inside:\n%s", found)
	}
	for _, secret := range []string{"shadow", "gshadow", "sudoers"} {
		for path := range strings.Lines(r.inside(t, "find", secret)) {
			if strings.TrimSpace(path) == "/etc/"+secret {
				t.Errorf("%s of the host exists inside", strings.TrimSpace(path))
			}
		}
	}
}
