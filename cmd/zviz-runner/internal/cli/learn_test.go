// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/executor"
)

func same(s string) string { return s }

func TestLesson(t *testing.T) {
	node := egress.Process{PID: 41, Exe: "/usr/bin/node", Chain: []string{"sh", "node"}}
	var b bytes.Buffer
	err := lesson(&b, []string{"npm", "ci"}, []egress.Learned{
		{Step: "Install", Preset: "npm", Count: 42, Up: 2048, Down: 3 << 20, First: node},
		{Step: "Install", Host: "evil.test", Port: 443, Count: 1, First: node, Pkg: "left@1", Script: "postinstall", Doubt: egress.DoubtScript},
		{Step: "Build: it", Host: "api.test", Port: 443, Count: 2, First: node},
		{Step: "Build: it", Host: "api.test", Port: 80, Count: 1, First: node},
		{Step: "Build: it", Host: "proxy.test", Port: 8443, Count: 1, First: node},
		{Step: "Build: it", Host: "two.test", Port: 443, Count: 1, First: node},
		{Step: "Build: it", Host: "two.test", Port: 8443, Count: 1, First: node},
		{Step: "Build: it", Host: "registry.test", Port: 443, Count: 1, First: node, Needs: []string{"PUT /pkg"}},
		{Step: "Build: it", Dst: "198.51.100.7:22", Count: 1, Doubt: egress.DoubtRefused},
	}, same)
	if err != nil {
		t.Fatal(err)
	}
	want := `# Learned by zviz-runner from: npm ci
version: 1
egress:
  presets: []
  allow: []
  steps:
    - match: "name=Install"
      # npm: step Install: sh > node, pid 41, 42 times, up 2.0 KiB, down 3.0 MiB
      presets: [npm]
      allow: []
      # Not allowed, because nobody should be unseen: take the # away from what you know.
        # step Install: postinstall of left@1 (claimed): sh > node, pid 41, 1 time, up 0 B, down 0 B
        # - evil.test
    - match: "name=Build: it"
      presets: []
      allow:
        # step Build: it: sh > node, pid 41, 2 times, up 0 B, down 0 B
        # step Build: it: sh > node, pid 41, 1 time, up 0 B, down 0 B
        - api.test
        # step Build: it: sh > node, pid 41, 1 time, up 0 B, down 0 B
        - proxy.test:8443
        # step Build: it: sh > node, pid 41, 1 time, up 0 B, down 0 B
        # step Build: it: sh > node, pid 41, 1 time, up 0 B, down 0 B
        - host: two.test
          ports: [443, 8443]
      # Not allowed, because nobody should be unseen: take the # away from what you know.
        # step Build: it: sh > node, pid 41, 1 time, up 0 B, down 0 B
        #   needs PUT /pkg
        # - registry.test
        # step Build: it: a process that was gone, 1 time, up 0 B, down 0 B; refused: 198.51.100.7:22 has no name, and a policy allows names
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
	if _, err := executor.ParsePolicy("p.yml", b.Bytes()); err != nil {
		t.Error(err)
	}
}

// FuzzLesson: whatever a job calls its processes, packages and hosts, what is printed
// is a policy, and it allows the hosts that nothing speaks against and no other.
func FuzzLesson(f *testing.F) {
	f.Add("a.test", "Install", "node", "postinstall", "/x", uint16(443), true)
	f.Add("a.test\n    - evil.test", "x\n  allow: [evil.test]", "n\n- evil.test", "s", "/\n- evil.test", uint16(80), false)
	f.Add("A.test", "\"", "\u2028- evil.test", "\r- x", "#", uint16(8443), false)
	f.Add("", "'*'", "", "", "", uint16(0), true)
	f.Add("null", "null", "node", "", "/", uint16(443), false)
	f.Add("y", "true", "node", "", "/", uint16(80), false)
	f.Fuzz(func(t *testing.T, host, step, process, script, path string, port uint16, doubted bool) {
		l := egress.Learned{
			Step: step, Host: host, Port: port, Count: 1, Pkg: script, Script: script,
			First: egress.Process{PID: 7, Exe: process, Chain: []string{process, path}},
		}
		if doubted {
			l.Doubt, l.Needs = egress.DoubtScript, []string{"PUT " + path}
		}
		var b bytes.Buffer
		if err := lesson(&b, []string{process, path}, []egress.Learned{l}, same); err != nil {
			t.Fatal(err)
		}
		got, err := executor.ParsePolicy("p.yml", b.Bytes())
		if err != nil {
			t.Fatalf("%v\n%s", err, &b)
		}
		rules := got.Policy.Egress.Rules
		for _, s := range got.Policy.Egress.Steps {
			rules = append(slices.Clone(rules), s.Rules...)
		}
		for _, r := range rules {
			if doubted || r.Host != strings.ToLower(strings.TrimSuffix(host, ".")) {
				t.Fatalf("%s is allowed\n%s", r, &b)
			}
		}
		if len(got.Presets) > 0 || len(rules) > 1 {
			t.Fatalf("%d rules\n%s", len(rules), &b)
		}
	})
}
