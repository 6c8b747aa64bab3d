// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"encoding/json"
	"slices"
	"testing"
)

// asked is a request as a property test asks for it.
type asked struct {
	host, method, path string
	port               uint16
}

// allows says what a policy makes of a request, in a fresh job.
func allows(p Policy, a asked) bool {
	d := newJudge(p, &nameCounter{}, "").host(a.host, a.port)
	if d.tcp || !d.terminate && a.port != 80 {
		return !d.denied() // spliced: nobody sees the request
	}
	return !d.denied() && d.request(a.method, a.path).verdict.strictness() < 2
}

// policyOf makes a policy of bytes: every field that says what is allowed, from few
// values, so that policies meet.
func policyOf(b []byte) Policy {
	next := func(n int) int {
		if len(b) == 0 {
			return 0
		}
		v := int(b[0]) % n
		b = b[1:]
		return v
	}
	pick := func(list []string) string { return list[next(len(list))] }
	some := func(list []string) (out []string) {
		for _, s := range list {
			if next(2) == 1 {
				out = append(out, s)
			}
		}
		return out
	}
	p := Policy{Mode: Mode(pick([]string{"", "deny", "audit", "learn", "deny", "deny"}))}
	for range next(5) {
		r := Rule{Host: pick(hostsAsked[:4])}
		for _, port := range []uint16{80, 443, 8080} {
			if next(3) == 0 {
				r.Ports = append(r.Ports, port)
			}
		}
		switch next(4) {
		case 0:
			r.Preset = "npm"
		case 1:
			r.TLS = TLSSplice
		case 2:
			if len(r.Ports) > 0 {
				r.Protocol = ProtocolTCP
			}
		}
		if r.TLS == "" && r.Protocol == "" {
			r.Methods = some([]string{"GET", "PUT"})
			r.Paths = some([]string{"/a/*", "/a/**", "/b"})
		}
		p.Rules = append(p.Rules, r)
	}
	p.Deny = some([]string{"x.a.test", "*.x.a.test"})
	return p
}

var hostsAsked = []string{"a.test", "*.a.test", "x.a.test", "*.x.a.test", "y.x.a.test", "b.test"}

// FuzzIntersect: the intersection of two policies allows what both allow, and
// nothing that one of them denies. It stays so through JSON and for three.
func FuzzIntersect(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 0, 3}, []byte{0, 1, 0, 0, 0, 0, 3, 1}, uint8(0), uint8(0), uint8(0), uint8(0))
	f.Add([]byte{2, 0}, []byte{0, 2, 1, 1, 1, 1, 3, 1, 1, 1, 2}, uint8(2), uint8(1), uint8(1), uint8(2))
	f.Add([]byte{0, 1, 0, 0, 0, 0, 1}, []byte{0, 1, 0, 1, 0, 1, 3, 1, 0, 1}, uint8(0), uint8(1), uint8(1), uint8(1))
	f.Add([]byte{0, 1, 0, 0, 0, 0, 2}, []byte{0, 1, 0, 1, 0, 1, 3, 1, 0, 1}, uint8(0), uint8(1), uint8(1), uint8(1))
	f.Fuzz(func(t *testing.T, one, two []byte, host, port, method, path uint8) {
		names := slices.DeleteFunc(slices.Clone(hostsAsked), func(h string) bool { return h[0] == '*' })
		a := asked{
			host:   names[int(host)%len(names)],
			port:   []uint16{80, 443, 8080}[port%3],
			method: []string{"GET", "PUT", "HEAD"}[method%3],
			path:   []string{"/a/x", "/a/x/y", "/b", "/a/../b", "/a/%2e%2e/b", "/c"}[path%6],
		}
		p, q := policyOf(one), policyOf(two)
		if p.check() != nil || q.check() != nil {
			t.Fatalf("the test makes policies that are none: %v, %v", p.check(), q.check())
		}
		both := Intersect(p, q)
		if err := both.check(); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(both)
		if err != nil {
			t.Fatal(err)
		}
		var again Policy
		if err := json.Unmarshal(b, &again); err != nil {
			t.Fatal(err)
		}
		pa, qa, got := allows(p, a), allows(q, a), allows(again, a)
		if got && (!pa || !qa) {
			t.Fatalf("%+v is allowed by the intersection, but one denies it: %v %v\n%+v\n%+v", a, pa, qa, p, q)
		}
		if pa && qa && !got && !opaqueAndSeen(p, q, a) {
			t.Fatalf("%+v is denied by the intersection, though both allow it\n%+v\n%+v", a, p, q)
		}
		if three := Intersect(Policy{Rules: []Rule{{Host: "a.test"}}}, both); allows(three, a) && !got && !opaqueAndSeen(p, q, a) {
			t.Fatalf("%+v: a third policy opened what the intersection denies", a)
		}
	})
}

// opaqueAndSeen: one policy has the host as plain tcp and the other one looks at
// requests. Nobody can do both.
func opaqueAndSeen(p, q Policy, a asked) bool {
	tcp := func(p Policy) bool { return newJudge(p, &nameCounter{}, "").host(a.host, a.port).tcp }
	sees := func(p Policy) bool { return newJudge(p, &nameCounter{}, "").host(a.host, a.port).terminate }
	return tcp(p) && sees(q)
}

// What inner says that could widen is not looked at.
func TestIntersectTakesNothingButLimits(t *testing.T) {
	outer := Policy{
		Rules: []Rule{{Host: "a.test"}}, Limits: Limits{UpBytes: 100, Connections: 7},
		Upstream: Upstream{DNS: "192.0.2.1:53"}, OnDeny: FailJob,
	}
	inner := Policy{
		Mode: ModeAudit, OnDeny: FailRequest, ExpectDenied: []string{"b.test"},
		Rules:    []Rule{{Host: "a.test", Private: true, Inject: &Inject{Header: "Authorization", ValueFrom: "env:X"}}},
		Limits:   Limits{UpBytes: 1000, Misses: 3},
		Upstream: Upstream{Hosts: map[string]string{"a.test": "127.0.0.1"}},
	}
	p := Intersect(outer, inner)
	if p.OnDeny != FailJob || len(p.ExpectDenied) != 0 || len(p.Upstream.Hosts) != 0 || p.Upstream.DNS == "" {
		t.Errorf("widened: %+v", p)
	}
	if p.Limits.UpBytes != 100 || p.Limits.Connections != 7 || p.Limits.Misses != 3 {
		t.Errorf("limits %+v", p.Limits)
	}
	d := newJudge(p, &nameCounter{}, "").host("a.test", 443)
	if d.private() || d.request("GET", "/").inject != nil {
		t.Error("a policy that only narrows granted a private address or a credential")
	}
	if !newJudge(p, &nameCounter{}, "").host("b.test", 443).denied() {
		t.Error("audit of the inner policy opened a host")
	}
}

// A host that an inner policy denies is denied, whoever else does not allow it: the
// gateway follows redirects to other hosts.
func TestIntersectDenies(t *testing.T) {
	p := Intersect(Policy{Rules: []Rule{{Host: "a.test"}}}, Policy{Deny: []string{"cdn.test"}, Origin: "inner"})
	d := newJudge(p, &nameCounter{}, "").host("cdn.test", 443)
	if !d.denied() || d.reason != ReasonDenied || d.rule != "inner" {
		t.Errorf("%+v", d)
	}
}
