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
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/attack"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox"
)

// mine reports whether an identifier is of the classes network, resource or
// protocol.
func mine(id string) bool {
	return strings.HasPrefix(id, "net-") || strings.HasPrefix(id, "res-") || strings.HasPrefix(id, "pr-")
}

// outsideWorld is what the policy of these tests leads to: TLS and names of the
// host's loopback, and nothing else.
type outsideWorld struct {
	policy string // file

	mu    sync.Mutex
	asked []string // names
}

func newOutsideWorld(t *testing.T, r rig) *outsideWorld {
	t.Helper()
	w := &outsideWorld{policy: filepath.Join(r.folder(t), "policy.yml")}
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(w.answer)}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.ActivateAndServe() })
	t.Cleanup(func() { _ = pc.Close(); wg.Wait() })

	tls, stop, err := attack.ServeTLS("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	text := fmt.Sprintf("version: 1\negress:\n  allow: []\n  upstream:\n    dns: %s\n    hosts: {%s: %q}\n", pc.LocalAddr(), attack.AllowedHost, tls)
	if err := os.WriteFile(w.policy, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.own(t, w.policy)
	return w
}

// answer says of the names of RebindDomain that they are where nobody may go.
func (w *outsideWorld) answer(rw dns.ResponseWriter, m *dns.Msg) {
	name := m.Question[0].Name
	w.mu.Lock()
	w.asked = append(w.asked, name)
	w.mu.Unlock()
	resp := new(dns.Msg).SetReply(m)
	where, domain, _ := strings.Cut(strings.TrimSuffix(name, "."), ".")
	addr := map[string]string{"loopback": "127.0.0.1", "link": "169.254.169.254", "private": "10.0.0.1"}[where]
	switch {
	case domain != attack.RebindDomain || addr == "":
		resp.Rcode = dns.RcodeNameError
	case m.Question[0].Qtype == dns.TypeA:
		resp.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.ParseIP(addr)}}
	}
	_ = rw.WriteMsg(resp)
}

// ran is one run of the runner.
type ran struct {
	out    string
	stderr string
	report executor.Report
	peak   int64 // bytes: VmHWM of the runner
	ended  time.Time
}

// exec runs a command in the sandbox with flags and reads the report.
func (r rig) exec(t *testing.T, flags []string, command ...string) ran {
	t.Helper()
	report := filepath.Join(r.folder(t), "report.json")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.runner, slices.Concat([]string{"exec", "--report", report}, flags, []string{"--"}, command)...)
	cmd.Dir = r.workspace
	cmd.Env = append(os.Environ(), "ATTACK_SECRET=planted")
	var out, stderr head
	cmd.Stdout, cmd.Stderr = &out, &stderr
	peak, ended := measured(t, cmd)
	b, err := os.ReadFile(report)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	res := ran{out: strings.TrimSpace(out.String()), stderr: stderr.String(), peak: peak, ended: ended}
	if err := json.Unmarshal(b, &res.report); err != nil {
		t.Fatal(err)
	}
	if e := res.report.Error; e != nil && res.report.Cause == sandbox.CauseNotStarted {
		t.Fatalf("not started: %s %s", e.What, e.Why)
	}
	return res
}

// head keeps the beginning of what is written to it. The buffer is not embedded: its
// ReadFrom would keep everything.
type head struct{ text bytes.Buffer }

func (h *head) Write(b []byte) (int, error) {
	if room := 1<<20 - h.text.Len(); room > 0 {
		_, _ = h.text.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}

func (h *head) String() string { return h.text.String() }

// TestLimits makes each attempt of the classes network, resource and protocol:
// without the sandbox, where it must succeed, and in it under each profile.
func TestLimits(t *testing.T) {
	r := newRig(t)
	testenv.NeedTool(t, "ip")
	world := newOutsideWorld(t, r)
	for _, a := range attempts() {
		if !mine(a.ID) || a.Arch != "" && a.Arch != runtime.GOARCH {
			continue
		}
		t.Run(a.ID, func(t *testing.T) {
			if a.Control != attack.Nowhere && a.Runner != nil {
				r.succeeds(t, a)
			}
			for _, profile := range []string{"ci", "hostile"} {
				t.Run(profile, func(t *testing.T) { r.stopped(t, a, profile, world) })
			}
		})
	}
	world.mu.Lock()
	defer world.mu.Unlock()
	for _, name := range world.asked {
		if !strings.HasSuffix(name, attack.RebindDomain+".") {
			t.Errorf("the resolver outside was asked for %s", name)
		}
	}
}

// succeeds makes the attempt without the sandbox.
func (r rig) succeeds(t *testing.T, a attack.Attempt) {
	t.Helper()
	unshare := []string{"--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--ipc", "--uts"}
	outside := []string{}
	if a.Control != attack.InHostNetwork {
		unshare = append(unshare, "--net")
		if strings.HasPrefix(a.ID, "net-") {
			outside = []string{"outside"}
		}
	}
	if a.Control != attack.AsRoot {
		unshare = append(unshare, "--user", "--map-root-user")
	}
	// Files to write to that are nobody else's; a devpts of its own.
	const prepare = `for d in /usr/local /run; do mount -t tmpfs none $d; done
touch /tmp/.zviz-hosts-$$ && mount --bind /tmp/.zviz-hosts-$$ /etc/hosts && rm -f /tmp/.zviz-hosts-$$
ip link set lo up 2>/dev/null || true; exec "$0" "$@"`
	unshare = append(unshare, "--", "sh", "-ec", prepare, r.program)
	unshare = append(unshare, outside...)
	unshare = append(unshare, a.ID)
	want := "ESCAPED "
	if a.Allowed {
		want = "WORKS "
	}
	if got := r.output(t, "unshare", append(unshare, r.limitArgs(a, "/usr/local", "127.0.0.1:8081")...)...); !strings.HasPrefix(got, want) {
		t.Fatalf("%s, without the sandbox: got %q, want %q: the attempt proves nothing", a.What, got, want)
	}
}

// limitArgs are the arguments of an attempt.
func (r rig) limitArgs(a attack.Attempt, folder, other string) []string {
	switch a.ID {
	case "res-04", "res-05":
		return []string{folder}
	case "res-07":
		if folder == "/usr/local" {
			return []string{"1000"}
		}
		return []string{"1100000"}
	case "net-11":
		return []string{other}
	default:
		b := a
		b.ID = strings.TrimSuffix(a.ID, "-network")
		return r.args(b)
	}
}

// stopped makes the attempt in the sandbox.
func (r rig) stopped(t *testing.T, a attack.Attempt, profile string, world *outsideWorld, more ...string) {
	t.Helper()
	flags := a.Runner
	if flags == nil {
		flags = []string{"--no-network", "--pids", "64"}
	}
	flags = slices.Concat([]string{"--profile", profile, "--timeout", "1m"}, more, flags)
	if slices.Contains(flags, "--allow") {
		flags = append(flags, "--policy", world.policy, "--memory", "1g", "--pids", "64")
	}
	other := "169.254.1.2:8081"
	if a.ID == "net-11" {
		r.serveInJob(t, flags)
	}
	res := r.exec(t, flags, append([]string{"./attack", a.ID}, r.limitArgs(a, "/dev/shm", other)...)...)
	got := res.out
	if got == "" && res.report.Cause == sandbox.CauseOOM {
		got = "BLOCKED oom" // it was the process that tried, so nobody is left to say so
	}
	judge(t, a, profile, profile, got)
	if t.Failed() {
		t.Log(res.stderr)
	}
	if a.Logged != nil && !slices.ContainsFunc(res.report.Egress.Events, func(e egress.Event) bool { return tells(*a.Logged, e) }) {
		t.Errorf("%s: no event like %+v in %+v", a.What, *a.Logged, res.report.Egress.Events)
	}
	if res.peak > runnerMemory {
		t.Errorf("the runner took %d MiB", res.peak>>20)
	}
}

// tells reports whether an event says what it must.
func tells(want attack.Logged, e egress.Event) bool {
	same := func(w, g string) bool { return w == "" || w == g }
	process := want.ProcessMayBeGone || filepath.Base(e.Exe) == "attack" && e.PID > 0
	return e.Verdict == egress.VerdictDeny && process &&
		same(want.Door, string(e.Door)) && same(want.Host, e.Host) && same(want.Dst, e.Dst) && same(want.Reason, e.Reason)
}

// serveInJob starts another job, whose service waits at its own address.
func (r rig) serveInJob(t *testing.T, flags []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, r.runner, slices.Concat([]string{"exec"}, flags, []string{"--", "./attack", "serve", "0.0.0.0:8081"})...)
	cmd.Dir = r.workspace
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	b := make([]byte, len("listening"))
	if _, err := out.Read(b); err != nil || string(b) != "listening" {
		t.Fatalf("the other job: %q %v", b, err)
	}
}

// TestSecretIsMasked prints a secret in the forms in which tools print one.
func TestSecretIsMasked(t *testing.T) {
	r := newRig(t)
	t.Setenv("RUNNER_SECRET", "a/b+c planted?secret")
	for _, profile := range profiles() {
		t.Run(profile, func(t *testing.T) {
			res := r.exec(t, []string{"--profile", profile, "--no-network", "--timeout", "1m", "--secret", "RUNNER_SECRET"}, "sh", "-c",
				`echo "$RUNNER_SECRET"; printf %s "$RUNNER_SECRET" | base64; printf 'a/b+c plan'; sleep 0.2; echo 'ted?secret'; echo 'a%2Fb%2Bc%20planted%3Fsecret'; echo done`)
			for _, form := range []string{"planted", "YS9iK2MgcGxhbnRlZD9zZWNyZXQ", "a%2Fb"} {
				if strings.Contains(res.out, form) {
					t.Errorf("%q is in %q", form, res.out)
				}
			}
			if !strings.HasSuffix(res.out, "done") {
				t.Errorf("got %q", res.out)
			}
		})
	}
}
