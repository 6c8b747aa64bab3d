// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseRule(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want Rule
	}{
		{"host", "api.example.test", Rule{Host: "api.example.test"}},
		{"port", "api.example.test:8443", Rule{Host: "api.example.test", Ports: []uint16{8443}}},
		{"upper case and dot", "API.Example.Test.", Rule{Host: "api.example.test"}},
		{"wildcard", "*.example.test:443", Rule{Host: "*.example.test", Ports: []uint16{443}}},
		{"one label", "localhost:8080", Rule{Host: "localhost", Ports: []uint16{8080}}},
		{"punycode", "xn--bcher-kva.test", Rule{Host: "xn--bcher-kva.test"}},
		{"underscore", "a_b.test", Rule{Host: "a_b.test"}},
		{"digits in front", "1.2.3.test", Rule{Host: "1.2.3.test"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseRule(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("rule (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRuleErrors(t *testing.T) {
	tests := []struct {
		name string
		in   string
		say  string
	}{
		{"empty", "", "empty"},
		{"URL", "https://example.test/x", "is a URL"},
		{"path", "example.test/x", "no path"},
		{"user", "a:443@b.test", "no path or user"},
		{"address", "198.51.100.7", "is an address"},
		{"address and port", "198.51.100.7:443", "is an address"},
		{"decimal address", "3325256711", "is an address"},
		{"hex address", "0xc6336407", "is an address"},
		{"octal address", "0306.063.0144.07", "is an address"},
		{"IPv6", "[2001:db8::1]:443", "IPv6"},
		{"IPv6 bare", "2001:db8::1", "IPv6"},
		{"mapped", "::ffff:198.51.100.7", "IPv6"},
		{"star", "*", "wildcard"},
		{"star within", "a*.example.test", "wildcard"},
		{"two stars", "*.*.test", "wildcard"},
		{"top level", "*.test", "top-level"},
		{"port zero", "example.test:0", "port"},
		{"port large", "example.test:65536", "port"},
		{"port with zeros", "example.test:0443", "port"},
		{"port missing", "example.test:", "port"},
		{"NUL", "example.test\x00.evil.test", "character"},
		{"unicode", "exämple.test", "punycode"},
		{"Kelvin sign", "\u212aey.test", "punycode"},
		{"space", "example.test ", "character"},
		{"two dots", "example..test", "empty label"},
		{"trailing dots", "example.test..", "empty label"},
		{"hyphen", "-a.test", "hyphen"},
		{"long label", strings.Repeat("a", 64) + ".test", "63"},
		{"long name", strings.Repeat("a.", 140) + "test", "253"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseRule(tt.in)
			if err == nil || !strings.Contains(err.Error(), tt.say) {
				t.Errorf("error %v, want %q in it", err, tt.say)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	policy := Policy{
		Rules: []Rule{
			{Host: "allowed.test"},
			{Host: "*.wild.test", MaxNames: 2},
			{Host: "exact.wild.test", TLS: TLSTerminate},
			{Host: "pinned.test", TLS: TLSSplice},
			{Host: "registry.test"},
			{Host: "git.test", Methods: []string{"GET", "POST"}, Paths: []string{"/acme/*/info/refs", "/acme/*/git-upload-pack"}},
			{Host: "near.test", Ports: []uint16{5432}, Private: true},
		},
		Deny: []string{"no.wild.test", "*.bad.wild.test"},
	}
	presets := []Preset{{Name: "npm", Rules: []Rule{{Host: "registry.test"}, {Host: "pinned.test"}}}}
	tests := []struct {
		name      string
		host      string
		port      uint16
		verdict   Verdict
		reason    string
		rule      string
		terminate bool
	}{
		{"allowed", "allowed.test", 443, VerdictAllow, "", "allowed.test", false},
		{"allowed plain", "allowed.test", 80, VerdictAllow, "", "allowed.test", false},
		{"other port", "allowed.test", 22, VerdictDeny, ReasonPort, "default", false},
		{"below an exact host", "a.allowed.test", 443, VerdictDeny, ReasonHost, "default", false},
		{"a host that ends alike", "notallowed.test", 443, VerdictDeny, ReasonHost, "default", false},
		{"wildcard", "a.wild.test", 443, VerdictAllow, "", "*.wild.test", false},
		{"wildcard, two labels", "a.b.wild.test", 443, VerdictAllow, "", "*.wild.test", false},
		{"wildcard, one too many", "c.wild.test", 443, VerdictDeny, ReasonMaxNames, "default", false},
		{"wildcard, known name", "a.wild.test", 443, VerdictAllow, "", "*.wild.test", false},
		{"apex", "wild.test", 443, VerdictDeny, ReasonHost, "default", false},
		{"exact wins", "exact.wild.test", 443, VerdictAllow, "", "exact.wild.test", true},
		{"deny wins", "no.wild.test", 443, VerdictDeny, ReasonDenied, "deny", false},
		{"deny wildcard wins", "x.bad.wild.test", 443, VerdictDeny, ReasonDenied, "deny", false},
		{"preset beats plain rule", "registry.test", 443, VerdictAllow, "", "npm", true},
		{"splice is the way out", "pinned.test", 443, VerdictAllow, "", "pinned.test", false},
		{"methods terminate", "git.test", 443, VerdictAllow, "", "git.test", true},
		{"any port", "near.test", 0, VerdictAllow, "", "near.test:5432", false},
	}
	policy.Rules = append(policy.Rules, presetRules(presets, []string{"npm"})...)
	j := newJudge(policy, &nameCounter{}, "")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := j.host(tt.host, tt.port)
			type result struct {
				Verdict      Verdict
				Reason, Rule string
				Terminate    bool
			}
			want := result{tt.verdict, tt.reason, tt.rule, tt.terminate}
			if diff := cmp.Diff(want, result{d.verdict, d.reason, d.rule, d.terminate}); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
	if zero := newJudge(Policy{}, &nameCounter{}, "").host("allowed.test", 443); !zero.denied() {
		t.Error("the zero policy allows")
	}
}

func TestJudgeRequest(t *testing.T) {
	git := Rule{Host: "git.test", Methods: []string{"GET", "POST"}, Paths: []string{"/acme/*/info/refs", "/acme/*/git-upload-pack", "/deep/**"}}
	tests := []struct {
		name   string
		rules  []Rule
		method string
		path   string
		want   string
	}{
		{"preset GET", []Rule{{Preset: "npm"}}, "GET", "/x", ""},
		{"preset HEAD", []Rule{{Preset: "npm"}}, "HEAD", "/x", ""},
		{"preset PUT", []Rule{{Preset: "npm"}}, "PUT", "/x", ReasonMethod},
		{"lower case", []Rule{{Preset: "npm"}}, "get", "/x", ReasonMethod},
		{"clone", []Rule{git}, "POST", "/acme/repo/git-upload-pack", ""},
		{"push", []Rule{git}, "POST", "/acme/repo/git-receive-pack", ReasonPath},
		{"star stays in a segment", []Rule{git}, "GET", "/acme/a/b/info/refs", ReasonPath},
		{"other owner", []Rule{git}, "GET", "/evil/repo/info/refs", ReasonPath},
		{"two stars", []Rule{git}, "GET", "/deep/a/b/c", ""},
		{"dots", []Rule{git}, "GET", "/deep/../evil/repo", ReasonPath},
		{"dots at the end", []Rule{git}, "GET", "/deep/..", ReasonPath},
		{"dots by backslash", []Rule{git}, "GET", `/deep/..%5Cx`, ReasonPath},
		{"method", []Rule{git}, "DELETE", "/deep/a", ReasonMethod},
		{"credential, read", []Rule{{Inject: &Inject{}}}, "GET", "/x", ""},
		{"credential, write", []Rule{{Inject: &Inject{}}, {Preset: "npm"}}, "PUT", "/x", ReasonMethod},
		{"credential, write that is granted", []Rule{{Inject: &Inject{}, Methods: []string{"PUT"}}}, "PUT", "/x", ""},
		{"two rules", []Rule{{Preset: "npm"}, {Methods: []string{"PUT"}, Paths: []string{"/mine"}}}, "PUT", "/mine", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := decision{rules: tt.rules, missing: VerdictDeny}.request(tt.method, tt.path).reason
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("reason (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPolicyCheck(t *testing.T) {
	tests := []struct {
		name   string
		policy Policy
		say    string
	}{
		{"mode", Policy{Mode: "learned"}, "want deny, audit or learn"},
		{"upper case", Policy{Rules: []Rule{{Host: "A.test"}}}, "write"},
		{"no host", Policy{Rules: []Rule{{}}}, "empty"},
		{"tls", Policy{Rules: []Rule{{Host: "a.test", TLS: "tap"}}}, "want splice or terminate"},
		{"spliced methods", Policy{Rules: []Rule{{Host: "a.test", TLS: TLSSplice, Methods: []string{"GET"}}}}, "cannot be seen"},
		{"method", Policy{Rules: []Rule{{Host: "a.test", Methods: []string{"get"}}}}, "capital letters"},
		{"path", Policy{Rules: []Rule{{Host: "a.test", Paths: []string{"x"}}}}, "slash"},
		{"port", Policy{Rules: []Rule{{Host: "a.test", Ports: []uint16{0}}}}, "port 0"},
		{"deny", Policy{Deny: []string{"198.51.100.7"}}, "address"},
		{"override", Policy{Upstream: Upstream{Hosts: map[string]string{"a.test": "b.test"}}}, "want ADDRESS"},
		{"proxy", Policy{Upstream: Upstream{Proxy: "socks5://x"}}, "want http"},
		{"dns", Policy{Upstream: Upstream{DNS: "x"}}, "want HOST:PORT"},
		{"CA", Policy{Upstream: Upstream{CAFile: "/dev/null"}}, "no certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := newGateway(Config{Policy: tt.policy})
			if err == nil || !strings.Contains(err.Error(), tt.say) {
				t.Errorf("error %v, want %q in it", err, tt.say)
			}
		})
	}
}

func TestPolicyIsPlainData(t *testing.T) {
	p := Policy{Mode: ModeAudit, Rules: []Rule{{Host: "*.a.test", Ports: []uint16{1}, TLS: TLSTerminate, Methods: []string{"GET"}, MaxNames: 3, Private: true}}, Upstream: Upstream{DNS: "127.0.0.1:53"}}
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var got Policy
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, got); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
}
