// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/internal/testenv"
	"github.com/zviz/run/sandbox"
)

// TestHostNetwork is about a machine without network namespaces: whoever accepts
// that is told, and whoever also asks for a network that is held is refused.
func TestHostNetwork(t *testing.T) {
	testenv.NeedRoot(t)
	host, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	rule, err := egress.ParseRule("example.com")
	if err != nil {
		t.Fatal(err)
	}
	gap := []sandbox.Layer{sandbox.LayerNet}
	tests := []struct {
		name    string
		request Request
		refused string
		narrows string // the workspace's own policy
	}{
		{"accepted", Request{Policy: Policy{AllowMissing: gap}}, "", ""},
		{"accepted, with the guess of a preset", Request{Policy: Policy{AllowMissing: gap}, Presets: []string{"npm"}, Guessed: []string{"npm"}}, "", ""},
		{"not accepted", Request{}, "cannot apply net", ""},
		{"no network", Request{Policy: Policy{AllowMissing: gap, NoNetwork: true}}, "--no-network cannot hold", ""},
		{"hosts", Request{Policy: Policy{AllowMissing: gap, Egress: egress.Policy{Rules: []egress.Rule{rule}}}}, "a list of hosts", ""},
		{"refused hosts", Request{Policy: Policy{AllowMissing: gap, Egress: egress.Policy{Deny: []string{"example.com"}}}}, "a list of hosts", ""},
		{"a preset", Request{Policy: Policy{AllowMissing: gap}, Presets: []string{"npm"}}, "a list of hosts", ""},
		{"the repository's policy", Request{Policy: Policy{AllowMissing: gap}}, ".zviz.yml of the repository", "version: 1\negress: {deny: [a.test]}\n"},
		{"the repository's policy left unread", Request{Policy: Policy{AllowMissing: gap}, NoRepositoryPolicy: true}, "", "version: 1\negress: {deny: [a.test]}\n"},
		{"audit", Request{Policy: Policy{AllowMissing: gap, Egress: egress.Policy{Mode: egress.ModeAudit}}}, "--egress audit", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x, err := New(Config{StateDir: filepath.Join(t.TempDir(), "state"), Home: "/nonexistent", Environ: []string{"PATH=/usr/bin:/bin"}})
			if err != nil {
				t.Fatal(err)
			}
			x.probe = func() (sandbox.Probe, error) {
				p, err := sandbox.Measure()
				for i := range p.Layers {
					if p.Layers[i].Name == sandbox.LayerNet {
						p.Layers[i].OK, p.Layers[i].Evidence = false, "lifted by the test"
					}
				}
				return p, err
			}
			var out bytes.Buffer
			var notes []string
			r := tt.request
			dir := t.TempDir()
			if tt.narrows != "" {
				check(t, saying(tt.narrows)(filepath.Join(dir, RepositoryPolicyName)))
			}
			r.Args, r.Dir, r.Stdout = []string{"readlink", "/proc/self/ns/net"}, dir, &out
			r.Notice = func(s string) { notes = append(notes, s) }
			report, err := x.Exec(t.Context(), r)
			if tt.refused != "" {
				le, ok := errors.AsType[*sandbox.LayerError](err)
				if !ok || le.Layer != sandbox.LayerNet || !strings.Contains(err.Error(), tt.refused) || le.Hint() == "" || out.Len() > 0 {
					t.Fatalf("got %v, %q", err, out.String())
				}
				if _, err := x.Plan(t.Context(), r); err == nil {
					t.Error("the plan does not refuse it")
				}
				if tt.narrows != "" {
					narrowed, err := ParseNarrowing("p.yml", []byte(tt.narrows))
					check(t, err)
					if _, err := x.OpenCell(t.Context(), CellRequest{Policy: r.Policy, Narrowed: &narrowed}); err == nil || !strings.Contains(err.Error(), tt.refused) {
						t.Errorf("a job: %v", err)
					}
				}
				return
			}
			if err != nil || strings.TrimSpace(out.String()) != host {
				t.Fatalf("got %v, %q, want %s", err, out.String(), host)
			}
			if !slices.Contains(notes, hostNetworkNote) || report.Egress.Complete {
				t.Errorf("notes %q, complete %v", notes, report.Egress.Complete)
			}
			i := slices.IndexFunc(report.Layers, func(l sandbox.LayerReport) bool { return l.Name == sandbox.LayerNet })
			if i < 0 || report.Layers[i].State != sandbox.MissingAllowed || !strings.Contains(report.Layers[i].Detail, "this machine's network") {
				t.Errorf("layers %+v", report.Layers)
			}
			plan, err := x.Plan(t.Context(), r)
			if err != nil || !strings.Contains(plan, "this machine's network") {
				t.Errorf("plan %v %s", err, plan)
			}
		})
	}
}
