// SPDX-License-Identifier: Apache-2.0

package egress

import "testing"

func TestUnseen(t *testing.T) {
	registry := Registry{Base: "https://registry.test/npm/", Files: []string{"https://files.test:8443/"}}
	for _, tt := range []struct {
		name string
		rule Rule
		want bool
	}{
		{"a bare host is terminated for the preset", Rule{Host: "registry.test"}, false},
		{"spliced", Rule{Host: "registry.test", TLS: TLSSplice}, true},
		{"spliced on another port", Rule{Host: "registry.test", Ports: []uint16{8443}, TLS: TLSSplice}, false},
		{"any protocol", Rule{Host: "registry.test", Ports: []uint16{443}, Protocol: ProtocolTCP}, true},
		{"where it has its files", Rule{Host: "files.test", Ports: []uint16{8443}, TLS: TLSSplice}, true},
		{"an exact rule counts more", Rule{Host: "*.test", TLS: TLSSplice}, false},
	} {
		if _, got := (Policy{Rules: []Rule{tt.rule}}).Unseen(registry); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
		if _, got := (Policy{Steps: []StepPolicy{{Rules: []Rule{tt.rule}}}}).Unseen(registry); got != tt.want {
			t.Errorf("%s, in a step: %v", tt.name, got)
		}
	}
	// Without TLS each request is seen.
	if _, got := (Policy{Rules: []Rule{{Host: "registry.test", TLS: TLSSplice}}}).Unseen(Registry{Base: "http://registry.test/"}); got {
		t.Error("plain HTTP passes unseen")
	}
}

// A path that a server may read as one of the registry's is the registry's.
func TestMayHave(t *testing.T) {
	to := authority{"registry.test", 443}
	for path, want := range map[string]bool{
		"/npm/left/-/left-1.0.0.tgz": true, "/%6epm/left": true, "//npm/left": true, "/x/../npm/left": true, "/npm%2Fleft": true, `/npm%5cleft`: true,
		"/other/left": false, "/npm": false,
	} {
		if got := (Registry{Base: "https://registry.test/npm/"}).mayHave(to, path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	for at, want := range map[authority]bool{{"other.test", 443}: false, {"registry.test", 8080}: false, {"registry.test", 80}: true} {
		if got := (Registry{Base: "https://registry.test/npm/"}).mayHave(at, "/npm/x"); got != want {
			t.Errorf("%v: %v", at, got)
		}
	}
}
