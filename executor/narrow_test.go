// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"strings"
	"testing"

	"github.com/zviz/run/egress"
)

func TestParseNarrowingErrors(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"limits of the machine", "version: 1\nlimits: {memory: 2g}\n", "p.yml:2:1: key limits"},
		{"profile", "version: 1\nprofile: ci\n", "p.yml:2:1: key profile"},
		{"upstream", "version: 1\negress:\n  upstream: {hosts: {a.test: 127.0.0.1}}\n", "p.yml:3:3: key egress.upstream: a repository's policy only narrows"},
		{"on_deny", "version: 1\negress: {on_deny: fail-request}\n", "key egress.on_deny"},
		{"expect_denied", "version: 1\negress: {expect_denied: [a.test]}\n", "key egress.expect_denied"},
		{"learn", "version: 1\negress:\n  mode: learn\n", "p.yml:3:3: key egress.mode"},
		{"events", "version: 1\negress:\n  limits: {events: 1}\n", "p.yml:3:12: key egress.limits.events"},
		{"steps", "version: 1\negress: {steps: [{match: '*'}]}\n", "key egress.steps"},
		{"private", "version: 1\negress:\n  allow:\n    - {host: a.test, private: true}\n", "p.yml:4:7: rule for a.test"},
		{"inject", "version: 1\negress:\n  allow:\n    - {host: a.test, inject: {header: X, value_from: 'env:A'}}\n", "p.yml:4:7: rule for a.test"},
		{"no policy", "a: 1\n", `unknown key "a"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ParseNarrowing("p.yml", []byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestNarrow(t *testing.T) {
	presets := []egress.Preset{{Name: "npm", Rules: []egress.Rule{{Host: "registry.test"}}}, {Name: "go", Rules: []egress.Rule{{Host: "proxy.test"}}}}
	operator := egress.Policy{Rules: []egress.Rule{{Host: "a.test"}, {Host: "b.test"}}}
	for _, tt := range []struct {
		name, text string
		allow      []string
		deny       []string
	}{
		{"names hosts and a preset", "version: 1\negress: {presets: [npm], allow: [a.test, evil.test]}\n", []string{"a.test", "https://registry.test/x"}, []string{"b.test", "evil.test", "https://proxy.test/x"}},
		{"names none", "version: 1\negress: {deny: [b.test]}\n", []string{"a.test", "https://registry.test/x", "https://proxy.test/x"}, []string{"b.test", "evil.test"}},
		{"allows nothing", "version: 1\negress: {allow: []}\n", nil, []string{"a.test", "https://registry.test/x"}},
		{"audit opens nothing", "version: 1\negress: {mode: audit, allow: [a.test]}\n", []string{"a.test"}, []string{"evil.test"}},
		{"a path", "version: 1\negress: {allow: [{host: a.test, paths: [/x/**]}]}\n", []string{"https://a.test/x/y"}, []string{"https://a.test/y", "https://b.test/x/y"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := ParseNarrowing("p.yml", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			p := Narrow(operator, f, presets, nil)
			if len(p.Within) != 1 || p.Within[0].Origin != RepositoryPolicyName {
				t.Errorf("events would not name the file: %+v", p.Within)
			}
			ask := func(url string) bool {
				a, err := p.Ask(presets, nil, egress.Question{URL: url})
				if err != nil {
					t.Fatal(err)
				}
				return a.Allowed
			}
			for _, url := range tt.allow {
				if !ask(url) {
					t.Errorf("%s is denied", url)
				}
			}
			for _, url := range tt.deny {
				if ask(url) {
					t.Errorf("%s is allowed", url)
				}
			}
		})
	}
}

// A file that names no hosts takes none away from a step, whatever other steps may do
// with them.
func TestNarrowSteps(t *testing.T) {
	operator := egress.Policy{
		Rules: []egress.Rule{{Host: "top.test"}},
		Steps: []egress.StepPolicy{
			{Match: "id=a", Rules: []egress.Rule{{Host: "git.test"}, {Host: "*.w.test"}, {Host: "x.test"}}},
			{Match: "id=b", Presets: []string{"npm"}, Rules: []egress.Rule{{Host: "git.test", Methods: []string{"GET"}}, {Host: "x.w.test", Methods: []string{"GET"}}}},
		},
	}
	presets := []egress.Preset{{Name: "npm", Rules: []egress.Rule{{Host: "x.test"}}}}
	f, err := ParseNarrowing("p.yml", []byte("version: 1\negress: {deny: [b.test]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	p := Narrow(operator, f, nil, presets)
	for _, id := range []string{"a", "b", "c"} {
		for _, host := range []string{"top.test", "git.test", "x.w.test", "x.test"} {
			for _, method := range []string{"GET", "PUT"} {
				q := egress.Question{URL: host, Method: method, Step: egress.StepName{ID: id}}
				want, err := operator.Ask(nil, presets, q)
				if err != nil {
					t.Fatal(err)
				}
				got, err := p.Ask(nil, presets, q)
				if err != nil || got.Allowed != want.Allowed || got.Seen != want.Seen {
					t.Errorf("step %s, %s %s: %+v, %v; without the file %+v", id, method, host, got, err, want)
				}
			}
		}
	}
}

// A grant to publish is the operator's. A repository that names its hosts has to want it
// too.
func TestNarrowPublish(t *testing.T) {
	presets := []egress.Preset{{Name: "npm", Rules: []egress.Rule{{Host: "registry.test", TLS: egress.TLSTerminate}}, Registries: []egress.Registry{{Ecosystem: "npm", Base: "https://registry.test/"}}}}
	granted := egress.Policy{NPM: egress.PackageRules{Publish: true}, Rules: egress.PublishRules(presets)}
	for _, tt := range []struct {
		name, text string
		operator   egress.Policy
		want       bool
	}{
		{"both", "version: 1\negress: {presets: [npm], npm: {publish: true}}\n", granted, true},
		{"the operator, where the repository names no hosts", "version: 1\negress: {deny: [b.test]}\n", granted, true},
		{"the operator alone", "version: 1\negress: {presets: [npm]}\n", granted, false},
		{"the repository alone", "version: 1\negress: {presets: [npm], npm: {publish: true}}\n", egress.Policy{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := ParseNarrowing("p.yml", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			a, err := Narrow(tt.operator, f, presets, nil).Ask(presets, nil, egress.Question{URL: "https://registry.test/left", Method: "PUT"})
			if err != nil || a.Allowed != tt.want {
				t.Errorf("got %+v, %v", a, err)
			}
		})
	}
}

// FuzzNarrow: whatever a repository's file says, nothing is allowed that the
// operator's policy denies.
func FuzzNarrow(f *testing.F) {
	for _, s := range []string{
		"version: 1\negress: {mode: audit}\n", "version: 1\negress: {mode: learn, allow: [evil.test, '*.a.test']}\n",
		"version: 1\negress: {allow: [{host: a.test, tls: splice}]}\n", "version: 1\negress: {presets: [npm], allow: [{host: db.test, ports: [1], protocol: tcp}]}\n",
		"version: 1\negress: {npm: {prebuilt: [{url: 'https://evil.test/x', sha256: " + someSHA256 + "}]}}\n",
	} {
		f.Add([]byte(s))
	}
	operator := egress.Policy{
		Rules: []egress.Rule{{Host: "a.test"}, {Host: "git.test", Methods: []string{"GET"}, Paths: []string{"/acme/**"}}, {Host: "*.w.test"}},
		Deny:  []string{"no.w.test"},
	}
	presets := []egress.Preset{{Name: "npm", Rules: []egress.Rule{{Host: "registry.test"}}}}
	questions := []egress.Question{
		{URL: "a.test"},
		{URL: "a.test:8080"},
		{URL: "evil.test"},
		{URL: "https://git.test/acme/x"},
		{URL: "https://git.test/evil"},
		{URL: "https://evil.test/x"},
		{URL: "https://git.test/acme/x", Method: "PUT"},
		{URL: "https://registry.test/x", Method: "PUT"},
		{URL: "https://registry.test/x"},
		{URL: "x.w.test"},
		{URL: "no.w.test"},
		{URL: "tcp://a.test:443"},
		{URL: "http://a.test/"},
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := ParseNarrowing("p", data)
		if err != nil {
			return
		}
		narrowed := Narrow(operator, file, presets, nil)
		for _, q := range questions {
			got, err := narrowed.Ask(presets, nil, q)
			if err != nil {
				t.Fatal(err)
			}
			was, err := operator.Ask(presets, nil, q)
			if err != nil {
				t.Fatal(err)
			}
			if got.Allowed && !was.Allowed {
				t.Fatalf("%+v is allowed by %q, but not by the operator", q, data)
			}
		}
	})
}
