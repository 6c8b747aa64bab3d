// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAsk(t *testing.T) {
	policy := Policy{
		Rules: []Rule{
			{Host: "api.test", Origin: "p.yml:4"},
			{Host: "git.test", Methods: []string{"GET"}, Paths: []string{"/acme/**"}, Origin: "p.yml:5"},
			{Host: "db.test", Ports: []uint16{5432}, Protocol: ProtocolTCP},
			{Host: "npm.test", Inject: &Inject{Header: "Authorization", ValueFrom: "env:X"}},
		},
		Deny:  []string{"no.test"},
		Steps: []StepPolicy{{Match: "name=Nothing"}, {Match: "name=Install", Presets: []string{"go"}}},
	}
	presets := []Preset{{Name: "npm", Rules: []Rule{{Host: "registry.test", Origin: "npm config"}}}}
	more := []Preset{{Name: "go", Rules: []Rule{{Host: "proxy.test"}}}}
	tests := []struct {
		name string
		q    Question
		want Answer
	}{
		{"host alone", Question{URL: "api.test"}, Answer{Host: "api.test", Port: 443, Verdict: VerdictAllow, Rule: "api.test", Origin: "p.yml:4", Seen: "host"}},
		{"other port", Question{URL: "https://api.test:8443/"}, Answer{Host: "api.test", Port: 8443, Verdict: VerdictDeny, Reason: ReasonPort, Rule: "default", Seen: "host", Fix: "--allow api.test:8443"}},
		{"unknown", Question{URL: "https://evil.test/x"}, Answer{Host: "evil.test", Port: 443, Verdict: VerdictDeny, Reason: ReasonHost, Rule: "default", Seen: "host", Fix: "--allow evil.test:443"}},
		{"path", Question{URL: "https://git.test/acme/x"}, Answer{Host: "git.test", Port: 443, Method: "GET", Verdict: VerdictAllow, Rule: "git.test", Origin: "p.yml:5", Seen: "request"}},
		{"other path", Question{URL: "https://git.test/evil"}, Answer{Host: "git.test", Port: 443, Method: "GET", Verdict: VerdictDeny, Reason: ReasonPath, Rule: "git.test", Origin: "p.yml:5", Seen: "request"}},
		{"dots", Question{URL: "https://git.test/acme/%2e%2e/evil"}, Answer{Host: "git.test", Port: 443, Method: "GET", Verdict: VerdictDeny, Reason: ReasonPath, Rule: "git.test", Origin: "p.yml:5", Seen: "request"}},
		{"publish", Question{URL: "https://registry.test/pkg", Method: "PUT"}, Answer{Host: "registry.test", Port: 443, Method: "PUT", Verdict: VerdictDeny, Reason: ReasonMethod, Rule: "npm", Origin: "npm config", Seen: "request"}},
		{"install", Question{URL: "https://registry.test/pkg"}, Answer{Host: "registry.test", Port: 443, Method: "GET", Verdict: VerdictAllow, Rule: "npm", Origin: "npm config", Seen: "request"}},
		{"tcp", Question{URL: "tcp://db.test:5432"}, Answer{Host: "db.test", Port: 5432, Verdict: VerdictAllow, Rule: "db.test:5432", Seen: "host"}},
		{"tcp of a host that speaks TLS", Question{URL: "tcp://api.test:443"}, Answer{Host: "api.test", Port: 443, Verdict: VerdictDeny, Reason: ReasonNoName, Rule: "api.test", Origin: "p.yml:4", Seen: "host"}},
		{"inject", Question{URL: "https://npm.test/x"}, Answer{Host: "npm.test", Port: 443, Method: "GET", Verdict: VerdictAllow, Rule: "npm.test", Seen: "request", Injected: true}},
		{"inject in the clear", Question{URL: "http://npm.test/x"}, Answer{Host: "npm.test", Port: 80, Method: "GET", Verdict: VerdictDeny, Reason: ReasonPlaintext, Rule: "npm.test", Seen: "request"}},
		{"deny", Question{URL: "no.test"}, Answer{Host: "no.test", Port: 443, Verdict: VerdictDeny, Reason: ReasonDenied, Rule: "deny", Seen: "host"}},
		{"step", Question{URL: "api.test", Step: StepName{Name: "Nothing"}}, Answer{Host: "api.test", Port: 443, Verdict: VerdictDeny, Reason: ReasonHost, Rule: "default", Seen: "host"}},
		{"step with a preset", Question{URL: "https://proxy.test/x", Step: StepName{Name: "Install"}}, Answer{Host: "proxy.test", Port: 443, Method: "GET", Verdict: VerdictAllow, Rule: "go", Seen: "request"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := policy.Ask(presets, more, tt.q)
			if err != nil {
				t.Fatal(err)
			}
			tt.want.URL, tt.want.Allowed = tt.q.URL, tt.want.Verdict == VerdictAllow
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
	for url, say := range map[string]string{
		"ftp://a.test/": "want https", "https://u:pw@a.test/": "names no user", "https://198.51.100.7/": "is an address",
		"tcp://a.test": "needs a port", "https://a b/": "no URL", "": "empty",
	} {
		if _, err := policy.Ask(nil, nil, Question{URL: url}); err == nil || !strings.Contains(err.Error(), say) || strings.Contains(err.Error(), "pw") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// TestReaches: no more than a job may read by a request that the gateway sees.
func TestReaches(t *testing.T) {
	policy := Policy{
		Rules: []Rule{{Host: "spliced.test"}, {Host: "git.test", Paths: []string{"/acme/**"}}, {Host: "npm.test", Inject: &Inject{Header: "Authorization", ValueFrom: "env:X"}}},
		Deny:  []string{"no.test"},
		Steps: []StepPolicy{{Match: "*"}},
	}
	presets := []Preset{{Name: "npm", Rules: []Rule{
		{Host: "registry.test", Methods: []string{"GET"}, Paths: []string{"/npm/**"}}, {Host: "no.test"}, {Host: "plain.test", Ports: []uint16{80}},
	}}}
	narrow := Policy{Rules: []Rule{{Host: "registry.test", Paths: []string{"/npm/a/**"}}}}
	for name, tt := range map[string]struct {
		change func(*Policy)
		want   []string
	}{
		"deny":   {func(*Policy) {}, []string{"https://registry.test/npm/a/b.tgz", "https://registry.test/npm/b.tgz", "http://plain.test/x", "https://git.test/acme/x", "https://npm.test/x"}},
		"audit":  {func(p *Policy) { p.Mode = ModeAudit }, []string{"https://registry.test/npm/a/b.tgz", "https://registry.test/npm/b.tgz", "http://plain.test/x", "https://git.test/acme/x", "https://npm.test/x"}},
		"narrow": {func(p *Policy) { *p = Intersect(*p, narrow) }, []string{"https://registry.test/npm/a/b.tgz"}},
	} {
		p := policy
		tt.change(&p)
		reaches, err := p.Reaches(presets)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, u := range []string{
			"https://registry.test/npm/a/b.tgz", "https://registry.test/npm/b.tgz", "https://registry.test/x", "https://registry.test:8443/npm/b.tgz", "https://registry.test/npm/../x",
			"http://plain.test/x", "https://no.test/x", "https://spliced.test/x", "https://git.test/acme/x", "https://git.test/x",
			"https://npm.test/x", "http://npm.test/x", "https://unknown.test/", "https://198.51.100.7/", "://",
		} {
			if reaches(u) {
				got = append(got, u)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if _, err := (Policy{Mode: "x"}).Reaches(nil); err == nil {
		t.Error("a policy that is wrong")
	}
}
