// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
	"github.com/zviz/run/sandbox"
)

func TestExecRequest(t *testing.T) {
	c := newCmdline(t, "FROM_US=1", "TOKEN=hunter2")
	c.write("ws/.env", "# comment\nA=file\nB=two words\r\nFROM_US\nNOT_SET\nEMPTY=\n")
	c.write("data/x", "")
	data := filepath.Join(c.root, "data")
	c.runArgs("exec", "--allow", "npm,api.example.test:8443", "--allow", "*.x.test", "--egress", "audit", "--profile", "hostile",
		"--allow-missing", "net,seccomp", "--rootfs", data, "-C", c.ws, "--mount", data+":/data", "--mount", data+":/more:rw",
		"--write", ".git/", "--memory", "2g", "--cpus", "1.5", "--pids", "512", "--timeout", "30m",
		"-e", "A=flag", "-e", "FROM_US", "-e", "NOT_SET", "--env-file", ".env", "--secret", "TOKEN", "--diff",
		"--", "npm", "ci", "--json", "-q")
	if c.code != 0 || c.err != "" {
		t.Fatalf("%d\n%s", c.code, c.err)
	}
	want := executor.Request{
		Policy: executor.Policy{
			Egress: egress.Policy{Mode: egress.ModeAudit, Rules: []egress.Rule{
				{Host: "api.example.test", Ports: []uint16{8443}, Origin: "--allow"},
				{Host: "*.x.test", Origin: "--allow"},
			}},
			Limits:       sandbox.Limits{MemoryBytes: 2 << 30, CPUs: 1.5, Pids: 512, Wall: 30 * time.Minute},
			Profile:      "hostile",
			Rootfs:       data,
			Mounts:       []sandbox.Mount{{Source: data, Target: "/data"}, {Source: data, Target: "/more", Write: true}},
			Write:        []string{".git"},
			Ephemeral:    true,
			Diff:         true,
			AllowMissing: []sandbox.Layer{sandbox.LayerNet, sandbox.LayerSeccomp},
		},
		Presets: []string{"npm"},
		Args:    []string{"npm", "ci", "--json", "-q"},
		Env:     []string{"B=two words", "EMPTY=", "A=flag", "FROM_US=1", "TOKEN=hunter2"},
		Dir:     c.ws,
		Secrets: []string{"hunter2"},
	}
	if d := cmp.Diff(want, plain(c.request)); d != "" {
		t.Error(d)
	}
}

// plain drops what is not data.
func plain(r executor.Request) executor.Request {
	r.Stdin, r.Stdout, r.Stderr, r.DiffTo = nil, nil, nil, nil
	r.Resize, r.Signals, r.Observe, r.Phase, r.Amount, r.Notice = nil, nil, nil, nil, nil, nil
	return r
}

func TestExecHosts(t *testing.T) {
	const decides = "version: 1\negress: {presets: [go], allow: [file.test]}\n"
	for _, tt := range []struct {
		name, policy, args string
		env                string
		presets, hosts     string
		note               string
	}{
		{name: "preset of the command", args: "-- npm ci", presets: "npm", note: "allowing npm (preset of npm)"},
		{name: "by path", args: "-- /usr/bin/pip3 install x", presets: "pypi", note: "allowing pypi (preset of pip3)"},
		{name: "without --", args: "go test ./...", presets: "go", note: "allowing go"},
		{name: "no preset", args: "-- make"},
		{name: "--allow takes its place", args: "--allow a.test -- npm ci", hosts: "a.test"},
		{name: "and may repeat it", args: "--allow npm,a.test -- npm ci", presets: "npm", hosts: "a.test"},
		{name: "variable", env: "ZVIZ_ALLOW=a.test", args: "-- npm ci", hosts: "a.test"},
		{name: "flag over variable", env: "ZVIZ_ALLOW=a.test", args: "--allow b.test -- npm ci", hosts: "b.test"},
		{name: "quiet", args: "-q -- npm ci", presets: "npm"},
		{name: "a file that decides", policy: decides, args: "-- npm ci", presets: "go", hosts: "file.test"},
		{name: "--allow adds to a file", policy: decides, args: "--allow npm,a.test -- npm ci", presets: "go npm", hosts: "file.test a.test"},
		{name: "a file that allows nothing", policy: "version: 1\negress: {allow: []}\n", args: "-- npm ci"},
		{name: "a file that does not decide", policy: "version: 1\nprofile: ci\n", args: "-- npm ci", presets: "npm", note: "allowing npm"},
		{name: "no network", policy: decides, args: "--no-network -- npm ci"},
		{name: "no network by variable", env: "ZVIZ_NO_NETWORK=1", args: "--allow a.test -- npm ci"},
		{name: "but a flag brings it back", env: "ZVIZ_NO_NETWORK=1", args: "--no-network=false --allow a.test -- npm ci", hosts: "a.test"},
		{name: "behind sudo", args: "-- sudo -n A=1 npm ci", presets: "npm", note: "preset of npm"},
		{name: "sudo with an option that we do not look into", args: "-- sudo -u npm ci"},
		{name: "a slip", args: "--allow nmp -- npm ci", hosts: "nmp", note: `"nmp" is taken as a host; did you mean the preset npm?`},
		{name: "localhost is no slip", args: "--allow localhost:8080 -- x", hosts: "localhost:8080"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCmdline(t, tt.env)
			if tt.policy != "" {
				c.write("home/.config/zviz/policy.yml", tt.policy)
			}
			c.run("exec " + tt.args)
			if c.code != 0 {
				t.Fatalf("%d\n%s", c.code, c.err)
			}
			var hosts []string
			for _, r := range c.request.Policy.Egress.Rules {
				hosts = append(hosts, r.String())
			}
			if got := strings.Join(c.request.Presets, " "); got != tt.presets {
				t.Errorf("presets %q, want %q", got, tt.presets)
			}
			if got := strings.Join(hosts, " "); got != tt.hosts {
				t.Errorf("hosts %q, want %q", got, tt.hosts)
			}
			if (tt.note == "") != (c.err == "") || !strings.Contains(c.err, tt.note) {
				t.Errorf("stderr %q, want %q", c.err, tt.note)
			}
		})
	}
}

// flag > variable > policy file > built-in.
func TestExecPrecedence(t *testing.T) {
	const file = "version: 1\nprofile: hostile\nlimits: {pids: 10, memory: 100m, timeout: 5m}\nwrite: [a]\nallow_missing: [net]\negress: {mode: audit}\n"
	c := newCmdline(t, "ZVIZ_PIDS=20", "ZVIZ_MEMORY=200m", "ZVIZ_ALLOW_MISSING=seccomp")
	p := c.write("p.yml", file)
	c.run("exec --policy " + p + " --pids 30 --timeout 0 --write b -- true")
	if c.code != 0 {
		t.Fatal(c.err)
	}
	want := executor.Policy{
		Profile: "hostile", Write: []string{"a", "b"},
		Limits:       sandbox.Limits{Pids: 30, MemoryBytes: 200 << 20},
		AllowMissing: []sandbox.Layer{sandbox.LayerNet, sandbox.LayerSeccomp},
		Egress:       egress.Policy{Mode: egress.ModeAudit},
	}
	if d := cmp.Diff(want, c.request.Policy); d != "" {
		t.Error(d)
	}
}

func TestExecPolicyInWorkspaceIsNoted(t *testing.T) {
	c := newCmdline(t)
	c.write("ws/p.yml", "version: 1\n")
	c.run("exec --policy p.yml -- true")
	if !strings.Contains(c.err, "the policy file lies in the workspace") {
		t.Error(c.err)
	}
	c.run("exec --policy p.yml --ephemeral -- true")
	if c.err != "" {
		t.Error(c.err)
	}
}

func TestExecExplainRunsNothing(t *testing.T) {
	c := newCmdline(t)
	c.run("exec --explain --report r.json --no-network -- npm ci")
	if c.code != 0 || c.out != "the plan\n" || c.err != "" {
		t.Errorf("%d %q %q", c.code, c.out, c.err)
	}
	if !c.request.Policy.NoNetwork {
		t.Error("the plan of another request")
	}
	if m, _ := filepath.Glob("*"); len(m) != 0 {
		t.Errorf("left behind: %v", m)
	}
}
