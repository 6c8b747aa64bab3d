// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLearn(t *testing.T) {
	node := Process{PID: 41, Exe: "/usr/bin/node"}
	events := []Event{
		{Verdict: VerdictAllow, Door: DoorDNS, Host: "registry.test", Process: node},
		{Verdict: VerdictAllow, Door: DoorHTTP, Host: "registry.test", Port: 443, Rule: "npm", Method: "GET", Process: node, Step: "Install", Up: 10, Down: 100},
		{Verdict: VerdictAllow, Door: DoorHTTP, Host: "cdn.registry.test", Port: 443, Rule: "npm", Method: "GET", Process: node, Step: "Install", Up: 10, Down: 100},
		{Verdict: VerdictLearned, Door: DoorDNS, Host: "only-asked.test"},
		{Verdict: VerdictLearned, Door: DoorTLS, Host: "evil.test", Port: 443, Process: node, Step: "Install", Package: Package{Pkg: "left@1", Script: "postinstall"}},
		{Verdict: VerdictLearned, Door: DoorTLS, Host: "api.test", Port: 443, Process: node, Step: "Build", Up: 5},
		{Verdict: VerdictLearned, Door: DoorTLS, Host: "api.test", Port: 443, Process: node, Step: "Build", Up: 5, Package: Package{Script: "build"}},
		{Verdict: VerdictLearned, Door: DoorHTTP, Host: "registry.test", Port: 443, Rule: "npm", Method: "PUT", Path: "/pkg", Reason: ReasonMethod, Process: node, Step: "Build"},
		{Verdict: VerdictLearned, Door: DoorTLS, Host: "gone.test", Port: 443, Step: "Build"},
		{Verdict: VerdictLearned, Door: DoorTLS, Host: "0123456789abcdef0123.api.test", Port: 443, Process: node, Step: "Build"},
		{Verdict: VerdictDeny, Door: DoorTLS, Host: "near.test", Port: 443, Reason: ReasonPrivate, Process: node, Step: "Build"},
		{Verdict: VerdictDeny, Door: DoorTCP, Dst: "198.51.100.7:22", Port: 22, Reason: ReasonNoName, Process: node, Step: "Build"},
		{Verdict: VerdictDeny, Door: DoorUDP, Dst: "198.51.100.7:53", Reason: ReasonNoName, Process: node, Step: "Build"},
		{Verdict: VerdictLearned, Door: DoorTLS, Host: "late.test", Port: 8443, Process: node, Step: "Install"},
		{Verdict: VerdictLearned, Door: DoorHTTP, Host: "socket.test", Port: 80, Method: "GET", Path: "/ws", Reason: ReasonHost, Opaque: true, Process: node, Step: "Build"},
		{Verdict: VerdictLearned, Door: DoorTLS, Host: "hidden.test", Port: 443, Reason: ReasonECH, Opaque: true, Process: node, Step: "Build"},
	}
	want := []Learned{
		{Step: "Install", Preset: "npm", Count: 2, Up: 20, Down: 200, First: node},
		{Step: "Install", Host: "evil.test", Port: 443, Count: 1, First: node, Pkg: "left@1", Script: "postinstall", Doubt: DoubtScript},
		{Step: "Install", Host: "late.test", Port: 8443, Count: 1, First: node},
		{Step: "Build", Host: "api.test", Port: 443, Count: 2, Up: 10, First: node},
		{Step: "Build", Host: "registry.test", Port: 443, Count: 1, First: node, Needs: []string{"PUT /pkg"}},
		{Step: "Build", Host: "gone.test", Port: 443, Count: 1, Doubt: DoubtUnknown},
		{Step: "Build", Host: "0123456789abcdef0123.api.test", Port: 443, Count: 1, First: node, Doubt: DoubtData},
		{Step: "Build", Host: "near.test", Port: 443, Count: 1, First: node, Doubt: DoubtRefused, Needs: []string{"private: true"}},
		{Step: "Build", Dst: "198.51.100.7:22", Count: 1, First: node, Doubt: DoubtRefused},
		{Step: "Build", Host: "socket.test", Port: 80, Count: 1, First: node, Needs: []string{"websocket: true"}},
		{Step: "Build", Host: "hidden.test", Port: 443, Count: 1, First: node, Needs: []string{"tls: terminate, since the client hides the name (ECH)"}},
	}
	if diff := cmp.Diff(want, Learn(events)); diff != "" {
		t.Errorf("learned (-want +got):\n%s", diff)
	}
}
