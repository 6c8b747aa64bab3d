// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/egress"
)

func TestRow(t *testing.T) {
	for _, tt := range []struct {
		name string
		row  egress.Summary
		want string
	}{
		{"host and port", egress.Summary{Host: "a.test", Port: 443, Count: 1}, "a.test:443"},
		{"asked for again", egress.Summary{Host: "a.test", Port: 443, Count: 3, First: egress.Process{PID: 41, Exe: "/usr/bin/node"}}, "a.test:443 (node, pid 41) ×3"},
		{"a name has no port", egress.Summary{Host: "a.test", Port: 53, Door: egress.DoorDNS}, "a.test"},
		{"an address has it already", egress.Summary{Host: "192.0.2.1:25", Port: 25, Reason: egress.ReasonPort}, "192.0.2.1:25 (port)"},
		{"claimed", egress.Summary{Host: "a.test", Wanted: []egress.Wanted{{Package: egress.Package{Pkg: "x@1", Script: "postinstall"}}}}, "a.test (claims to be postinstall of x@1)"},
		{"proven", egress.Summary{Host: "a.test", Wanted: []egress.Wanted{{Package: egress.Package{Pkg: "x@1", PkgBy: egress.EvidenceProven}}}}, "a.test (x@1)"},
		{"hostile", egress.Summary{Host: "a\x1b[2J", Reason: "r\u202e", First: egress.Process{PID: 1, Exe: "/b\r"}}, `a\x1b[2J (b\x0d, pid 1; r\u202e)`},
	} {
		if got := Row(tt.row); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// What is made to be pasted names hosts that were denied, and nothing else.
func TestAllowable(t *testing.T) {
	deny := func(fix string) egress.Summary { return egress.Summary{Verdict: egress.VerdictDeny, Fix: fix} }
	for _, tt := range []struct {
		name string
		rows []egress.Summary
		want []string
	}{
		{"none", nil, nil},
		{"once each", []egress.Summary{deny("--allow a.test:8443"), deny("--allow b.test"), deny("--allow a.test:8443")}, []string{"a.test:8443", "b.test"}},
		{"ports of the bare name", []egress.Summary{deny("--allow a.test:443"), deny("--allow a.test")}, []string{"a.test"}},
		{"nothing would allow it", []egress.Summary{deny("")}, nil},
		{"no host", []egress.Summary{deny("--allow a.test; rm -rf /"), deny("--allow $(x)"), deny("--allow -x")}, nil},
		{"carries data", []egress.Summary{deny("--allow 0123456789abcdef0123456789abcdef.test")}, nil},
		{"expected", []egress.Summary{{Verdict: egress.VerdictDeny, Fix: "--allow a.test", Expected: true}}, nil},
		{"allowed", []egress.Summary{{Verdict: egress.VerdictAllow, Fix: "--allow a.test"}}, nil},
		{"would be denied", []egress.Summary{{Verdict: egress.VerdictWouldDeny, Fix: "--allow a.test"}}, []string{"a.test"}},
	} {
		if diff := cmp.Diff(tt.want, Allowable(tt.rows)); diff != "" && len(Allowable(tt.rows))+len(tt.want) > 0 {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}
