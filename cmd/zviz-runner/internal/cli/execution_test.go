// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/sandbox"
)

// returns makes an executor that returns a report.
func returns(r executor.Report) func(context.Context, executor.Request) (executor.Report, error) {
	return func(context.Context, executor.Request) (executor.Report, error) { return r, nil }
}

var node = egress.Process{PID: 41, Exe: "/usr/bin/node"}

func denied(host string, n int) egress.Summary {
	return egress.Summary{
		Host: host, Port: 443, Door: egress.DoorTLS, Verdict: egress.VerdictDeny, Reason: egress.ReasonHost, Count: n, First: node,
		Fix: "--allow " + host,
	}
}

func exited(code int) executor.Report {
	return executor.Report{Cause: sandbox.CauseExited, ExitCode: code}
}

func withEgress(code int, rows ...egress.Summary) executor.Report {
	r := exited(code)
	r.Egress.Summary = rows
	return r
}

func TestExecEnd(t *testing.T) {
	for _, tt := range []struct {
		name   string
		args   string
		report executor.Report
		code   int
		err    string // all of stderr
	}{
		{name: "fine", args: "-- true", report: exited(0)},
		{name: "exit code", args: "-- sh", report: exited(7), code: 7},
		{
			name: "one host", args: "--allow npm -- npm ci", report: withEgress(1, denied("tracker.example.com", 2)), code: 1,
			err: "zviz: denied 2 connections: tracker.example.com:443 (node, pid 41) ×2\n" +
				"  fix: if this is wanted: zviz-runner exec --allow npm,tracker.example.com -- npm ci\n",
		},
		{
			name: "the guessed preset stays", args: "-- npm ci", report: withEgress(0, denied("a.test", 1)),
			err: "zviz: allowing npm (preset of npm); to allow other hosts: --allow npm,HOST\n" +
				"zviz: denied 1 connection: a.test:443 (node, pid 41)\n" +
				"  fix: if this is wanted: zviz-runner exec --allow npm,a.test -- npm ci\n",
		},
		{
			name: "names, packets and no fix", args: "--no-network -- x", report: withEgress(0,
				egress.Summary{Host: "b.test", Door: egress.DoorDNS, Verdict: egress.VerdictDeny, Reason: "host", Count: 3},
				egress.Summary{Host: "192.0.2.1", Port: 53, Door: egress.DoorUDP, Verdict: egress.VerdictDeny, Reason: "port", Count: 1},
			),
			err: "zviz: denied 1 name: b.test ×3\nzviz: denied 1 packet: 192.0.2.1:53 (port)\n",
		},
		{
			name: "several rows", args: "--allow a.test:443 -- x 'y", report: withEgress(0, denied("b.test", 1), denied("c.test", 4)),
			err: "zviz: denied 5 connections:\n  b.test:443 (node, pid 41)\n  c.test:443 (node, pid 41) ×4\n" +
				"  fix: if this is wanted: zviz-runner exec --allow a.test:443,b.test,c.test -- x ''\\''y'\n",
		},
		{
			name: "names that a job chose cannot be pasted", args: "-- x", report: withEgress(0,
				egress.Summary{Host: "a\x1b[2J;rm -rf $(x)", Door: egress.DoorDNS, Verdict: egress.VerdictDeny, Reason: "malformed", Count: 1, Fix: "--allow a;$(x)"}),
			err: `zviz: denied 1 name: a\x1b[2J;rm -rf $(x) (malformed)` + "\n",
		},
		{
			name: "audit", args: "--egress audit -- x", report: withEgress(0,
				egress.Summary{Host: "a.test", Port: 443, Door: egress.DoorTLS, Verdict: egress.VerdictWouldDeny, Reason: "host", Count: 1, Fix: "--allow a.test"}),
			err: "zviz: let through, but would have denied 1 connection: a.test:443\n  fix: if this is wanted: zviz-runner exec --allow a.test -- x\n",
		},
		{
			name: "strict", args: "--strict-egress -q -- x", report: withEgress(0, denied("a.test", 1)), code: 1,
			err: "error: the command succeeded, but 1 request was denied (--strict-egress)\n",
		},
		{name: "strict does not hide the command's code", args: "--strict-egress -q -- x", report: withEgress(3, denied("a.test", 1)), code: 3},
		{name: "strict and fine", args: "--strict-egress -- x", report: exited(0)},
		{name: "quiet", args: "-q -- x", report: withEgress(0, denied("a.test", 1))},
		{
			name: "system calls and files", args: "-- x", report: executor.Report{Cause: sandbox.CauseExited, Denials: []executor.ReportDenial{
				{Syscall: "ptrace", Errno: "EPERM", Count: 2, PID: 41, Exe: "/usr/bin/strace"},
				{Path: "/etc/shadow", Errno: "EACCES", Count: 1},
			}},
			err: "zviz: denied 2 system calls: ptrace (strace, pid 41) ×2\nzviz: denied 1 file: /etc/shadow\n",
		},
		{
			name: "timeout", args: "--timeout 1s -- x", report: executor.Report{Cause: sandbox.CauseTimeout, ExitCode: 124, Usage: executor.ReportUsage{WallMS: 1002}}, code: 124,
			err: "zviz: ended by the time limit after 1.0s\n  fix: if it needs longer: --timeout TIME, or limits.timeout of the policy file\n",
		},
		{
			name: "memory of a child", args: "-- x", code: 2,
			report: executor.Report{Cause: sandbox.CauseOOM, ExitCode: 2, Usage: executor.ReportUsage{MemoryPeakBytes: 3 << 29, OOMKills: 1}},
			err:    "zviz: the memory limit killed 1 process at 1.5 GiB\n  fix: if it needs more: --memory SIZE, or limits.memory of the policy file\n",
		},
		{
			name: "memory of children, and it succeeded", args: "-- x",
			report: executor.Report{Cause: sandbox.CauseExited, Usage: executor.ReportUsage{OOMKills: 3}},
			err:    "zviz: the memory limit killed 3 processes\n  fix: if it needs more: --memory SIZE, or limits.memory of the policy file\n",
		},
		{
			name: "memory", args: "-- x", report: executor.Report{Cause: sandbox.CauseOOM, ExitCode: 137, Usage: executor.ReportUsage{MemoryPeakBytes: 3 << 29}}, code: 137,
			err: "zviz: killed by the memory limit at 1.5 GiB\n  fix: if it needs more: --memory SIZE, or limits.memory of the policy file\n",
		},
		{
			name: "limits by name", args: "-- x", code: 137,
			report: executor.Report{
				Cause: sandbox.CauseOOM, ExitCode: 137,
				Limits: executor.ReportLimits{MemoryBytes: 2 << 30, Pids: 64}, Usage: executor.ReportUsage{MemoryPeakBytes: 2 << 30, PidsPeak: 64, PidsDenied: 3},
			},
			err: "zviz: killed by the memory limit of 2.0 GiB at 2.0 GiB\n  fix: if it needs more: --memory SIZE, or limits.memory of the policy file\n" +
				"zviz: 3 forks failed at the limit of processes of 64 (64 at most at one time)\n  fix: if it needs more: --pids N, or limits.pids of the policy file\n",
		},
		{
			name: "open files", args: "-- x", code: 1,
			report: executor.Report{Cause: sandbox.CauseExited, ExitCode: 1, Limits: executor.ReportLimits{OpenFiles: 100, Reached: "open_files"}},
			err:    "zviz: its last words name the limit of open files: 100 for each process\n  fix: if it needs more: limits.open_files of the policy file\n",
		},
		{
			name: "full", args: "-- x", code: 1,
			report: executor.Report{Cause: sandbox.CauseExited, ExitCode: 1, Limits: executor.ReportLimits{MemoryBytes: 1 << 30, Reached: "space"}},
			err: "zviz: its last words name a full file system: /dev/shm holds half of the memory limit of 1.0 GiB, all else is the disk\n" +
				"  fix: if it needs more there: --memory SIZE; else free space on the disk\n",
		},
		{
			name: "not found", args: "-- nope", report: executor.Report{Cause: sandbox.CauseNotStarted, ExitCode: 127}, code: 127,
			err: "error: cannot run nope: not found in the sandbox\n  why: no folder of the sandbox's PATH has it\n" +
				"  fix: look where it is on this machine, and show that folder: --mount DIR:DIR\n",
		},
		{
			name: "not executable", args: "-- ./x", report: executor.Report{Cause: sandbox.CauseNotStarted, ExitCode: 126}, code: 126,
			err: "error: cannot run ./x: found, but it cannot be executed\n",
		},
		{
			name: "the executor knows better", args: "-- x", code: 126,
			report: executor.Report{Cause: sandbox.CauseNotStarted, ExitCode: 126, Error: &executor.ReportError{Code: "command.not_executable", What: "cannot run x: exec format error", Exit: 126}},
			err:    "error: cannot run x: exec format error\n",
		},
		{
			name: "files that others run", args: "-- x", report: executor.Report{Cause: sandbox.CauseExited, Changed: []executor.Change{
				{Op: "M", Path: "package.json", Size: 5}, {Op: "A", Path: ".envrc\x1b", Size: 9, Note: "run by direnv"},
			}},
			err: `zviz: changed 1 file that tools outside of the sandbox may run: A .envrc\x1b (run by direnv)` + "\n",
		},
		{
			name: "diff", args: "--diff -- x", report: executor.Report{Cause: sandbox.CauseExited, Changed: []executor.Change{
				{Op: "M", Path: "a b", Size: 5}, {Op: "A", Path: ".envrc", Size: 9, Note: "run by direnv"},
			}},
			err: "M a b 5\nA .envrc 9\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCmdline(t)
			c.exec = returns(tt.report)
			c.run("exec " + tt.args)
			if c.code != tt.code {
				t.Errorf("exit code %d, want %d", c.code, tt.code)
			}
			if c.err != tt.err {
				t.Errorf("stderr\n%s\nwant\n%s", c.err, tt.err)
			}
			if c.out != "" {
				t.Errorf("stdout %q", c.out)
			}
		})
	}
}

func TestExecLongListsAreCut(t *testing.T) {
	c := newCmdline(t)
	var rows []egress.Summary
	for i := range 50 {
		rows = append(rows, denied("h"+strings.Repeat("x", i)+".test", 1))
	}
	c.exec = returns(withEgress(0, rows...))
	c.run("exec -- x")
	if n := strings.Count(c.err, "\n"); n != maxRows+2 || !strings.Contains(c.err, "\n  and 40 more; all of them: --report FILE\n") {
		t.Errorf("%d lines\n%s", n, c.err)
	}
}

func TestExecVerbose(t *testing.T) {
	c := newCmdline(t)
	r := withEgress(0, egress.Summary{Host: "a.test", Port: 443, Door: egress.DoorTLS, Verdict: egress.VerdictAllow, Count: 2, Up: 5300, Down: 21 << 20})
	r.Layers = []sandbox.LayerReport{{Name: sandbox.LayerSeccomp, State: sandbox.Applied, Detail: "ci"}, {Name: sandbox.LayerNet, State: sandbox.MissingAllowed}}
	r.Usage = executor.ReportUsage{WallMS: 65_000, UserMS: 1200, SysMS: 30, MemoryPeakBytes: 120 << 20, PidsPeak: 12}
	c.exec = returns(r)
	c.run("exec -v -- x")
	want := "zviz: layer seccomp applied: ci\nzviz: layer net missing allowed\nzviz: allowed a.test:443 ×2 up 5.2 KiB down 21 MiB\n" +
		"zviz: took 1m5s, processor 1.2s user and 0.0s system, memory 120 MiB, 12 processes\n"
	if c.err != want {
		t.Errorf("got\n%s\nwant\n%s", c.err, want)
	}
}

func TestExecLayerError(t *testing.T) {
	c := newCmdline(t)
	c.exec = func(context.Context, executor.Request) (executor.Report, error) {
		return executor.Report{ID: "x-1"}, &sandbox.LayerError{Layer: sandbox.LayerLandlock, Stage: "landlock_create_ruleset", Err: syscall.EOPNOTSUPP}
	}
	c.run("exec --report r.json -- x")
	want := "error: cannot apply landlock: landlock_create_ruleset: operation not supported\n  fix: accept the gap: --allow-missing landlock\n"
	if c.code != 125 || c.err != want {
		t.Errorf("%d\n%s", c.code, c.err)
	}
	r := readReport(t, "r.json")
	if r.ID != "x-1" || r.ExitCode != 125 || r.Cause != sandbox.CauseNotStarted || r.Error == nil || r.Error.Code != "layer.unavailable" {
		t.Errorf("%+v", r)
	}
	c.run("exec --json -- x")
	if !strings.Contains(c.err, `"layer":"landlock"`) {
		t.Error(c.err)
	}
}

func TestExecPanicIsOurs(t *testing.T) {
	c := newCmdline(t)
	c.exec = func(context.Context, executor.Request) (executor.Report, error) { panic("boom") }
	c.run("exec -- x")
	if c.code != 125 || !strings.HasPrefix(c.err, "error: bug: boom\n  why: this should not happen; at execution_test.go:") {
		t.Errorf("%d\n%s", c.code, c.err)
	}
}

func TestExecSecretsAreMaskedInOurLines(t *testing.T) {
	c := newCmdline(t, "TOKEN=hunter2")
	c.exec = func(context.Context, executor.Request) (executor.Report, error) {
		return executor.Report{}, errors.New("cannot hunter2")
	}
	c.run("exec --secret TOKEN --report r.json -- x hunter2")
	if strings.Contains(c.err, "hunter2") {
		t.Error(c.err)
	}
	c.exec = returns(withEgress(0, denied("hunter2.evil.test", 1)))
	c.run("exec --secret TOKEN --report r.json -- x hunter2")
	data, err := os.ReadFile("r.json")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(c.err, "hunter2") || strings.Contains(readReport(t, "r.json").Command[1], "hunter2") {
		t.Errorf("%s\n%s", c.err, data)
	}
}

// schemaFile is found from the folder of this package, which tests leave.
var schemaFile = func() string {
	path, err := filepath.Abs("../../../../docs/report-v1.schema.json")
	if err != nil {
		panic(err)
	}
	return path
}()

func readReport(t *testing.T, name string) executor.Report {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	s, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(v); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	var r executor.Report
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// The workspace may be written by the job while it runs: whatever it puts in
// the way, the report lands in the folder that was meant, or not at all.
func TestReportFileAgainstAJob(t *testing.T) {
	for _, tt := range []struct {
		name string
		job  func(t *testing.T, root string)
		bad  bool
	}{
		{"link under the report's name", func(t *testing.T, root string) {
			t.Helper()
			must(t, os.Symlink(filepath.Join(root, "victim"), "out/r.json"))
		}, false},
		{"folder replaced by a link", func(t *testing.T, root string) {
			t.Helper()
			must(t, os.Rename("out", "moved"))
			must(t, os.Symlink(filepath.Join(root, "home"), "out"))
		}, false},
		{"a folder in the way", func(t *testing.T, _ string) {
			t.Helper()
			must(t, os.Mkdir("out/r.json", 0o755))
		}, true},
		{"a report of its own", func(t *testing.T, _ string) {
			t.Helper()
			must(t, os.WriteFile("out/r.json", []byte(`{"forged":true}`), 0o644))
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCmdline(t)
			c.write("victim", "precious")
			must(t, os.Mkdir("out", 0o755))
			c.exec = func(context.Context, executor.Request) (executor.Report, error) {
				tt.job(t, c.root)
				return exited(0), nil
			}
			c.run("exec --report out/r.json -- x")
			if tt.bad {
				if c.code != 125 || !strings.Contains(c.err, `error: --report "out/r.json": `) {
					t.Errorf("%d\n%s", c.code, c.err)
				}
			} else {
				if c.code != 0 || c.err != "" {
					t.Errorf("%d\n%s", c.code, c.err)
				}
				dir := "out"
				if _, err := os.Lstat("moved"); err == nil {
					dir = "moved"
				}
				readReport(t, dir+"/r.json")
			}
			if data, _ := os.ReadFile(filepath.Join(c.root, "victim")); string(data) != "precious" {
				t.Errorf("the victim is now %q", data)
			}
			for _, pattern := range []string{"home/*", "ws/out/.zviz*", "ws/moved/.zviz*"} {
				if m, _ := filepath.Glob(filepath.Join(c.root, pattern)); len(m) > 0 {
					t.Errorf("left behind: %v", m)
				}
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestExecJSON(t *testing.T) {
	c := newCmdline(t)
	c.exec = func(_ context.Context, r executor.Request) (executor.Report, error) {
		if r.TTY.Any() {
			t.Error("a terminal for a program")
		}
		for _, s := range []string{"plain\n", "caf\xc3", "\xa9 <b>\n", "\xff\x00"} {
			must(t, write(r.Stdout.Write, s))
		}
		must(t, write(r.Stderr.Write, "oops"))
		r.Observe(egress.Event{Type: "egress", Verdict: egress.VerdictDeny, Host: "a.test"})
		must(t, write(r.Stdout.Write, "\xe2\x82"))
		return exited(3), nil
	}
	c.run("exec --json -- x")
	if c.code != 3 || c.err != "" {
		t.Errorf("%d %q", c.code, c.err)
	}
	var out bytes.Buffer
	var types []string
	sc := bufio.NewScanner(strings.NewReader(c.out))
	for sc.Scan() {
		var l struct {
			Schema, Type, Stream, Data, Base64, Host string
			ExitCode                                 int `json:"exit_code"`
		}
		must(t, json.Unmarshal(sc.Bytes(), &l))
		switch {
		case l.Schema != "":
			types = append(types, "report")
			if l.ExitCode != 3 {
				t.Error(sc.Text())
			}
		case l.Type == "egress":
			if l.Host != "a.test" {
				t.Error(sc.Text())
			}
		default:
			types = append(types, l.Type)
			if l.Stream == "stdout" {
				raw, err := base64.StdEncoding.DecodeString(l.Base64)
				must(t, err)
				out.WriteString(l.Data)
				out.Write(raw)
			}
		}
	}
	if got, want := out.String(), "plain\ncafé <b>\n\xff\x00\xe2\x82"; got != want {
		t.Errorf("stdout %q, want %q", got, want)
	}
	if got := strings.Join(types, " "); got != "log log log log log log report" {
		t.Errorf("lines: %s", got)
	}
	if strings.Count(c.out, `"type":"egress"`) != 1 || !strings.Contains(c.out, "<b>") {
		t.Error(c.out)
	}
}

func write(f func([]byte) (int, error), s string) error {
	_, err := f([]byte(s))
	return err
}

// A signal is forwarded first; what then happens ends in 128 plus its number.
func TestExecSignals(t *testing.T) {
	for _, tt := range []struct {
		name string
		sig  syscall.Signal
		code int
		obey bool // the command ends on the forwarded signal
	}{
		{"the command obeys", syscall.SIGINT, 130, true},
		{"the command does not", syscall.SIGINT, 130, false},
		{"SIGTERM", syscall.SIGTERM, 143, true},
		{"SIGHUP", syscall.SIGHUP, 129, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if signal.Ignored(tt.sig) {
				t.Skipf("%s is ignored here, as below nohup: it is not forwarded then", tt.sig)
			}
			c := newCmdline(t)
			var forwarded int
			c.exec = func(ctx context.Context, r executor.Request) (executor.Report, error) {
				must(t, syscall.Kill(os.Getpid(), tt.sig))
				forwarded = <-r.Signals
				if !tt.obey {
					<-ctx.Done()
					return executor.Report{Cause: sandbox.CauseCancelled, ExitCode: 137}, nil
				}
				return exited(5), nil
			}
			start := time.Now()
			c.run("exec --report r.json -q -- x")
			if c.code != tt.code || forwarded != int(tt.sig) {
				t.Errorf("exit code %d, forwarded %d", c.code, forwarded)
			}
			if d := time.Since(start); d > 30*time.Second {
				t.Errorf("took %v", d)
			}
			r := readReport(t, "r.json")
			if r.Cause != sandbox.CauseCancelled || r.Conclusion != executor.Cancelled || r.ExitCode != tt.code {
				t.Errorf("%+v", r)
			}
		})
	}
}

// Who does not want to wait for the end presses Ctrl-C three times.
func TestExecThirdSignalLeaves(t *testing.T) {
	c := newCmdline(t)
	hang := make(chan struct{})
	defer close(hang)
	came := make(chan os.Signal, 1)
	signal.Notify(came, syscall.SIGINT) // also where a shell in whose background we are ignores it
	defer signal.Stop(came)
	c.exec = func(context.Context, executor.Request) (executor.Report, error) {
		for range 3 {
			must(t, syscall.Kill(os.Getpid(), syscall.SIGINT))
			<-came // two alike at once are one (signal(7))
		}
		<-hang
		return executor.Report{}, nil
	}
	c.run("exec -q -- x")
	if c.code != 130 {
		t.Errorf("exit code %d: %s", c.code, c.err)
	}
}

func TestDoctor(t *testing.T) {
	c := newCmdline(t)
	c.probe = sandbox.Probe{Kernel: "6.18.0", Arch: "amd64", Layers: []sandbox.LayerOffer{
		{Name: sandbox.LayerSeccomp, OK: true, Evidence: "user notification"},
		{Name: sandbox.LayerLandlock, Evidence: "kernel offers ABI 0, need 2", Fix: "add lsm=landlock"},
	}}
	c.run("doctor")
	want := "LAYER     STATE    EVIDENCE\nseccomp   ok       user notification\nlandlock  missing  kernel offers ABI 0, need 2\n" +
		"                   fix: add lsm=landlock\n\nLinux 6.18.0 on amd64: 1 layer is missing\n"
	if c.code != 1 || c.out != want || c.err != "" {
		t.Errorf("%d\n%s\n%s", c.code, c.out, c.err)
	}
	c.run("doctor --json")
	want = `"layers":[{"name":"seccomp","ok":true,"evidence":"user notification"},` +
		`{"name":"landlock","ok":false,"evidence":"kernel offers ABI 0, need 2","fix":"add lsm=landlock"}]`
	if c.code != 1 || !strings.HasPrefix(c.out, `{"ok":false,"kernel":"6.18.0","arch":"amd64",`) || !strings.Contains(c.out, want) || strings.Count(c.out, "\n") != 1 {
		t.Errorf("%d\n%s", c.code, c.out)
	}
	c.probe.Layers = c.probe.Layers[:1]
	c.run("doctor")
	if c.code != 0 || !strings.HasSuffix(c.out, "every layer is there\n") {
		t.Errorf("%d\n%s", c.code, c.out)
	}
}
