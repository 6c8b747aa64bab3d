// SPDX-License-Identifier: Apache-2.0

//go:build linux

package attack_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/internal/attack"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox"
)

// doorWorld is what the policy of these tests leads to: a host that is spliced
// and one that is terminated, both at one server with a large file.
func doorWorld(t *testing.T, dir string) egress.Policy {
	t.Helper()
	cert, err := attack.SelfSigned()
	if err != nil {
		t.Fatal(err)
	}
	chunk := make([]byte, 1<<20)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		for range 64 {
			if _, err := rw.Write(chunk); err != nil || r.Context().Err() != nil {
				return
			}
		}
	}))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := server.Listener.Addr().String()
	return egress.Policy{
		Rules:    []egress.Rule{{Host: attack.AllowedHost}, {Host: attack.TerminatedHost, TLS: egress.TLSTerminate}},
		Upstream: egress.Upstream{Hosts: map[string]string{attack.AllowedHost: addr, attack.TerminatedHost: addr}, CAFile: ca},
	}
}

// flooded are the doors' caps and what a report says where one acted.
var flooded = []struct {
	name   string
	reason string // of an event, "" if no cap of the gateway has to act
	door   egress.Door
	hint   string
}{
	{"connections", egress.ReasonLimit, egress.DoorTLS, "egress.limits."},
	{"slow-hello", egress.ReasonLimit, egress.DoorTLS, "egress.limits.handshakes"},
	{"slow-headers", egress.ReasonLimit, egress.DoorHTTP, "egress.limits.handshakes"},
	{"fat-headers", egress.ReasonLimit, egress.DoorHTTP, "egress.limits.handshakes"},
	{"second-headers", "", "", ""},
	{"half-connect", egress.ReasonLimit, egress.DoorConnect, "egress.limits.handshakes"},
	{"open-connect", egress.ReasonLimit, egress.DoorConnect, "egress.limits.handshakes"},
	{"half-handshake", egress.ReasonLimit, egress.DoorTLS, "egress.limits.handshakes"},
	{"dns", egress.ReasonLimit, egress.DoorDNS, "egress.limits.dns_per_second"},
	{"calls", "", "", ""},
	{"paths", egress.ReasonLimit, egress.DoorHTTP, "egress.limits.events"},
	{"streams", egress.ReasonLimit, egress.DoorHTTP, "egress.limits.requests"},
	{"output", "", "", ""},
}

const (
	floodTime = 4 * time.Second
	rounds    = 20
)

// policyFile writes a policy as the operator would.
func (r rig) policyFile(t *testing.T, p egress.Policy) string {
	t.Helper()
	text := fmt.Sprintf("version: 1\negress:\n  allow: [{host: %s}, {host: %s, tls: terminate}]\n  upstream:\n    ca_file: %s\n    hosts: {%s: %q, %s: %q}\n",
		attack.AllowedHost, attack.TerminatedHost, p.Upstream.CAFile,
		attack.AllowedHost, p.Upstream.Hosts[attack.AllowedHost], attack.TerminatedHost, p.Upstream.Hosts[attack.TerminatedHost])
	file := filepath.Join(r.folder(t), "policy.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.own(t, file)
	r.own(t, p.Upstream.CAFile)
	return file
}

// neighbour runs the honest job and returns how long its rounds took.
func (r rig) neighbour(t *testing.T, policy string) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.runner, "exec", "--policy", policy, "--memory", "256m", "--pids", "64", "--", "./attack", "neighbour", strconv.Itoa(rounds))
	cmd.Dir = r.workspace
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("the job beside it: %v\n%s", err, out)
	}
	return took(string(out))
}

// took reads what Neighbour says.
func took(out string) time.Duration {
	m := regexp.MustCompile(`rounds in (\d+) ms`).FindStringSubmatch(out)
	if m == nil {
		return 0
	}
	ms, _ := strconv.Atoi(m[1])
	return time.Duration(ms) * time.Millisecond
}

// TestDoors lets a job attack the runner through its own doors, while another
// one beside it does what builds do: all of that must succeed, the runner stays
// small, and the report of the attack says where a cap acted.
func TestDoors(t *testing.T) {
	r := newRig(t)
	t.Setenv("ZVIZ_STATE_DIR", r.folder(t)) // what others left is not to be swept, nor measured, here
	policy := r.policyFile(t, doorWorld(t, r.folder(t)))
	alone := r.neighbour(t, policy)
	for _, tt := range flooded {
		t.Run(tt.name, func(t *testing.T) {
			var wg sync.WaitGroup
			var beside time.Duration
			wg.Go(func() {
				time.Sleep(500 * time.Millisecond) // the flood begins
				beside = r.neighbour(t, policy)
			})
			long := floodTime
			if tt.name == "connections" {
				long *= 4 // until there were a hundred thousand
			}
			res := r.exec(t, []string{"--policy", policy, "--memory", "1g", "--pids", "512", "--timeout", "40s"}, "./attack", "flood", tt.name, long.String())
			wg.Wait()
			t.Logf("%s; runner %.1f MiB; the job beside it %v, alone %v: ×%.1f", res.out, float64(res.peak)/(1<<20), beside, alone, float64(beside)/float64(max(alone, 1)))
			if res.report.Cause != sandbox.CauseExited || res.report.ExitCode != 0 {
				t.Errorf("cause %s, exit code %d: %s", res.report.Cause, res.report.ExitCode, res.stderr)
			}
			if res.peak > runnerMemory || res.peak == 0 {
				t.Errorf("the runner took %.1f MiB", float64(res.peak)/(1<<20))
			}
			if tt.reason != "" && !slices.ContainsFunc(res.report.Egress.Events, func(e egress.Event) bool {
				return e.Door == tt.door && e.Reason == tt.reason && strings.Contains(e.Hint, tt.hint)
			}) {
				t.Errorf("no event says that a cap of %s acted (%s, %s)", tt.door, tt.reason, tt.hint)
			}
			if tt.name == "calls" && !slices.ContainsFunc(res.report.Denials, func(d executor.ReportDenial) bool { return d.Syscall == "ptrace" && d.Count > 100 }) {
				t.Errorf("the refused calls are not in the report: %+v", res.report.Denials)
			}
		})
	}
}

// TestDoorsOneProcess has the attack and the honest job in one runner, as an
// embedding one would: they share its descriptors, its scheduler and its heap.
func TestDoorsOneProcess(t *testing.T) {
	if asUser() {
		t.Skip("this process is the runner, and root's")
	}
	testenv.NeedRoot(t)
	r := newRig(t)
	policy := doorWorld(t, r.folder(t))
	x, err := executor.New(executor.Config{StateDir: filepath.Join(t.TempDir(), "state"), Home: "/nonexistent", Environ: os.Environ()})
	if err != nil {
		t.Fatal(err)
	}
	run := func(limits sandbox.Limits, args ...string) (string, executor.Report) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var out bytes.Buffer
		report, err := x.Exec(ctx, executor.Request{Policy: executor.Policy{Egress: policy, Limits: limits}, Args: args, Dir: r.workspace, Stdout: &out})
		if err != nil || report.ExitCode != 0 {
			t.Errorf("%v: exit code %d, cause %s after %d ms, memory %d MiB, %v: %s", args, report.ExitCode, report.Cause, report.Usage.WallMS, report.Usage.MemoryPeakBytes>>20, err, out.String())
		}
		return strings.TrimSpace(out.String()), report
	}
	small := sandbox.Limits{MemoryBytes: 1 << 30, Pids: 512}
	honest := func() time.Duration {
		out, _ := run(small, "./attack", "neighbour", strconv.Itoa(rounds))
		return took(out)
	}
	alone := honest()
	for _, name := range []string{"connections", "slow-hello", "slow-headers", "dns", "calls", "streams"} {
		t.Run(name, func(t *testing.T) {
			var wg sync.WaitGroup
			wg.Go(func() {
				out, _ := run(small, "./attack", "flood", name, "4s")
				t.Log(out)
			})
			time.Sleep(500 * time.Millisecond)
			beside := honest()
			wg.Wait()
			t.Logf("the job beside it %v, alone %v: ×%.1f", beside, alone, float64(beside)/float64(max(alone, 1)))
		})
	}
}
