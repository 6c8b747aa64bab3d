// SPDX-License-Identifier: Apache-2.0

//go:build linux

package attack_test

import (
	"io/fs"
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
	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/sandbox/cgroup"
)

// runnerMemory is what the runner itself may take, whatever a job does. Floods take 20 to
// 45 MiB of it, and 51 were seen where others had both processors and the collector came
// late.
const runnerMemory = 64 << 20

// measured runs the runner to its end and returns its VmHWM in bytes. The rusage
// of a child would do, but for its maximum being that of any child of it too.
func measured(t *testing.T, cmd *exec.Cmd) (peak int64, ended time.Time) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // its exit code is the job's
		ended = time.Now()
	}()
	status := "/proc/" + strconv.Itoa(cmd.Process.Pid) + "/status"
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if b, err := os.ReadFile(status); err == nil {
			if _, rest, ok := strings.Cut(string(b), "VmHWM:"); ok {
				if kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64); err == nil {
					peak = max(peak, kb<<10)
				}
			}
		}
		select {
		case <-done:
			return peak, ended
		case <-tick.C:
		}
	}
}

// TestResourceAttacks lets hostile jobs take what they can, under limits, and
// looks at what it cost the runner and at what its report says.
func TestResourceAttacks(t *testing.T) {
	testenv.NeedTool(t, "python3")
	r := newRig(t)
	state := r.folder(t)
	t.Setenv("ZVIZ_STATE_DIR", state)
	tests := []struct {
		name   string
		flags  []string
		script string
		cause  sandbox.Cause
		out    string // a part of the output; "-" if it is not looked at
		check  func(*testing.T, ran)
	}{
		{"fork bomb", []string{"--pids", "200", "--timeout", "3s"}, `b() { b | b & b; }; b 2>/dev/null; sleep 10`, "", "-", func(t *testing.T, res ran) {
			if p := res.report.Usage.PidsPeak; p > 200 {
				t.Errorf("%d processes", p)
			}
		}},
		{"memory bomb", nil, `exec python3 -c 'b=[]
while 1: b.append(bytearray(1<<20))'`, sandbox.CauseOOM, "", nil},
		{"descriptor flood", []string{"--pids", "40"}, `ulimit -n $(ulimit -Hn); exec python3 -c 'import os
for i in range(20): os.fork() if i<4 else None
try:
  while 1: os.pipe()
except OSError as e: print(e.strerror)'`, "", "-", nil},
		{"shared memory fill", nil, `head -c 200000000 /dev/zero > /dev/shm/big; echo $?`, sandbox.CauseExited, "1", nil},
		{"log flood", []string{"--timeout", "4m"}, `head -c 1000000000 /dev/zero; head -c 100000000 /dev/zero >&2`, sandbox.CauseExited, "-", nil},
		{"zombie flood", []string{"--timeout", "8s"}, `exec python3 -c 'import os,time
try:
  while 1:
    if os.fork()==0: os._exit(0)
except OSError: print("full",flush=True)
time.sleep(60)'`, sandbox.CauseTimeout, "full", nil},
		{"orphan flood", []string{"--timeout", "30s"}, `exec python3 -c 'import os
for i in range(1000):
  p=os.fork()
  if p==0:
    os.fork(); os._exit(0)
  os.waitpid(p,0)
print("done")'`, sandbox.CauseExited, "done", nil},
		{"signal storm", []string{"--timeout", "3s"}, `exec python3 -c 'import os,signal
for s in (1,2,15,10,12,28): signal.signal(s, signal.SIG_IGN)
while 1:
  for s in (1,2,15,10,12,28):
    for p in (-1,1):
      try: os.kill(p,s)
      except OSError: pass'`, sandbox.CauseTimeout, "", nil},
		{"stopped", []string{"--timeout", "2s"}, `kill -STOP 1 2>/dev/null; kill -STOP 0`, sandbox.CauseTimeout, "", nil},
		{"terminate ignored", []string{"--timeout", "2s"}, `trap "" TERM INT HUP; while :; do sleep 1; done`, sandbox.CauseTimeout, "", nil},
		{"busy loops", []string{"--cpus", "0.5", "--timeout", "3s"}, `for i in 1 2 3 4; do while :; do :; done & done; wait`, sandbox.CauseTimeout, "", func(t *testing.T, res ran) {
			u := res.report.Usage
			t.Logf("%d ms of processor in %d ms", u.UserMS+u.SysMS, u.WallMS)
			if u.UserMS+u.SysMS > u.WallMS {
				t.Errorf("%d ms of processor in %d ms with half a processor", u.UserMS+u.SysMS, u.WallMS)
			}
		}},
		{"10,000 sleepers", []string{"--pids", "12000", "--memory", "6g"}, `exec ./sleepers`, sandbox.CauseExited, "10000", func(t *testing.T, res ran) {
			if p := res.report.Usage.PidsPeak; p < 10_000 {
				t.Errorf("%d processes at most: the attack is none", p)
			}
		}},
	}
	for i := range 2 * len(tests) {
		tt, profile := tests[i/2], profiles()[i%2]
		// A list of system calls is no matter of most of these: under hostile too are
		// those that are rows of the published table.
		row := func(e attack.Elsewhere) bool {
			return strings.HasSuffix(e.Test, ".TestResourceAttacks/"+strings.ReplaceAll(tt.name, " ", "_"))
		}
		if profile == "hostile" && !slices.ContainsFunc(attack.Elsewheres(), row) {
			continue
		}
		t.Run(tt.name+"/"+profile, func(t *testing.T) {
			if tt.name == "10,000 sleepers" {
				r.buildSleepers(t)
			}
			flags := append([]string{"--profile", profile, "--no-network", "--memory", "256m", "--pids", "300", "--timeout", "20s"}, tt.flags...)
			res := r.exec(t, flags, "sh", "-c", tt.script)
			left := res.ended.Sub(res.report.Started) - time.Duration(res.report.Usage.WallMS)*time.Millisecond
			t.Logf("cause %s, runner %.1f MiB, %v beside the job's %d ms, pids peak %d", res.report.Cause, float64(res.peak)/(1<<20), left.Round(time.Millisecond), res.report.Usage.WallMS, res.report.Usage.PidsPeak)
			if tt.cause != "" && res.report.Cause != tt.cause {
				t.Errorf("cause %s, want %s", res.report.Cause, tt.cause)
			}
			if tt.out != "-" && !strings.Contains(res.out, tt.out) {
				t.Errorf("got %q, want %q in it", res.out[:min(len(res.out), 200)], tt.out)
			}
			if res.peak > runnerMemory || res.peak == 0 {
				t.Errorf("the runner took %d bytes", res.peak)
			}
			if left > 30*time.Second { // 2 s are meant; a busy machine takes more
				t.Errorf("the tear-down took %v", left)
			}
			if groups := groupsOf(t, res.report.ID); len(groups) != 0 {
				t.Errorf("left: control groups %v", groups)
			}
			if jobs, err := os.ReadDir(filepath.Join(state, "jobs")); err != nil || len(jobs) != 0 {
				t.Errorf("left in the state folder: %v %v", jobs, err)
			}
			if tt.check != nil {
				tt.check(t, res)
			}
		})
	}
}

// sleepersSource makes 10,000 children as small as Linux lets them be: no C
// library, one page of stack each.
const sleepersSource = `
static long call(long n, long a, long b, long c) {
	long r;
	__asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return r;
}
void _start(void) {
	long n = 0;
	char out[6] = "00000\n";
	while (n < 10000) {
		long pid = call(57, 0, 0, 0); /* fork */
		if (pid == 0)
			for (;;) call(34, 0, 0, 0); /* pause */
		if (pid < 0) break;
		n++;
	}
	for (long i = 4, v = n; i >= 0; i--, v /= 10) out[i] = '0' + v % 10;
	call(1, 1, (long)out, 6);
	call(231, 0, 0, 0);
}
`

// buildSleepers puts the program into the workspace.
func (r rig) buildSleepers(t *testing.T) {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("its system calls are those of x86-64")
	}
	gcc := testenv.NeedTool(t, "gcc")
	source := filepath.Join(t.TempDir(), "sleepers.c")
	if err := os.WriteFile(source, []byte(sleepersSource), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), gcc, "-Os", "-static", "-nostdlib", "-fno-stack-protector", "-fcf-protection=none", "-o", filepath.Join(r.workspace, "sleepers"), source).CombinedOutput() // our own source
	if err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
}

// groupsOf are the control groups of a job, which are there as long as a process is.
func groupsOf(t *testing.T, id string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == cgroup.Prefix+id {
			found = append(found, path)
		}
		return nil // others come and go
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// slow is a reader that falls behind.
type slow struct{ n int64 }

func (s *slow) Write(b []byte) (int, error) {
	time.Sleep(5 * time.Millisecond)
	s.n += int64(len(b))
	return len(b), nil
}

// TestLogFloodSlowReader floods a reader that is slower than the job: it is the
// job that waits, and not the runner that keeps.
func TestLogFloodSlowReader(t *testing.T) {
	r := newRig(t)
	cmd := exec.CommandContext(t.Context(), r.runner, "exec", "--no-network", "--memory", "256m", "--pids", "64", "--timeout", "3s", "--", "cat", "/dev/zero") // our own program
	cmd.Dir = r.workspace
	out := &slow{}
	cmd.Stdout = out
	peak, _ := measured(t, cmd)
	t.Logf("%d MiB read, runner %.1f MiB", out.n>>20, float64(peak)/(1<<20))
	if peak > runnerMemory {
		t.Errorf("the runner took %d bytes", peak)
	}
	if code := cmd.ProcessState.ExitCode(); code != 124 {
		t.Errorf("exit code %d, want 124", code)
	}
}
