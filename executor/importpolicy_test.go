// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/egress"
)

func TestImportPolicy(t *testing.T) {
	tests := []struct {
		name, text string
		from       string
		mode       egress.Mode
		hosts      []string
		notes      []string // parts of them, in order
	}{
		{
			"GitHub's, enforced", "mode: enforce\nno-default-urls: true\nallow:\n  - api.github.com\n  - Ghcr.IO\n",
			"GitHub's egress firewall", egress.ModeDeny,
			[]string{"api.github.com", "ghcr.io"},
			nil,
		},
		{
			"GitHub's, logged", "mode: log\nallow: [api.example.test, 198.51.100.7, '*blob.example.test']\nlater: 1\n",
			"GitHub's egress firewall", egress.ModeAudit,
			[]string{"api.example.test"},
			[]string{"without being named", `"later" is not known`, "is an address", "wildcard"},
		},
		{
			"harden-runner", `on: push
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
      - uses: step-security/harden-runner@v2
        with:
          egress-policy: block
          allowed-endpoints: >
            api.example.test:443
            *.pkg.example.test:443
            proxy.example.test:8443
            api.example.test:80
      - run: make
  test:
    steps:
      - uses: Step-Security/harden-runner@0123456789012345678901234567890123456789
        with: {allowed-endpoints: "git.example.test:22, other.example.test ${{ vars.MORE }}"}
`,
			"harden-runner", egress.ModeDeny,
			[]string{"api.example.test:443,80", "*.pkg.example.test:443", "proxy.example.test:8443", "git.example.test:22", "other.example.test"},
			[]string{"more than one step", "not evaluated"},
		},
		{
			"bullfrog", `jobs:
  build:
    steps:
      - uses: bullfrogsec/bullfrog@v0.8.4
        with:
          egress-policy: block
          allowed-ips: |
            192.0.2.1
            198.51.100.0/24
          allowed-domains: |
            *.docker.example
            docker.example # the apex
          dns-policy: any
`,
			"bullfrog", egress.ModeDeny,
			[]string{"*.docker.example", "docker.example"},
			[]string{"192.0.2.1", "198.51.100.0/24", "dns-policy: any"},
		},
		{
			"a list", "api.example.test:443\n# of ours\n\n*.pkg.example.test\nhttps://x.example.test/\n",
			"a list of hosts", egress.ModeDeny,
			[]string{"api.example.test:443", "*.pkg.example.test", "x.example.test"},
			nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ImportPolicy("f.yml", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			var hosts []string
			for _, r := range got.Rules {
				hosts = append(hosts, r.String())
				if !strings.HasPrefix(r.Origin, "f.yml:") {
					t.Errorf("rule without its place: %+v", r)
				}
			}
			if diff := cmp.Diff(tt.hosts, hosts); diff != "" {
				t.Errorf("hosts (-want +got):\n%s", diff)
			}
			if got.From != tt.from || got.Mode != tt.mode {
				t.Errorf("from %q, mode %q", got.From, got.Mode)
			}
			if len(got.Notes) != len(tt.notes) {
				t.Fatalf("notes %q", got.Notes)
			}
			for i, n := range tt.notes {
				if !strings.Contains(got.Notes[i], n) {
					t.Errorf("note %q, want %q", got.Notes[i], n)
				}
			}
		})
	}
}

func TestImportPolicyErrors(t *testing.T) {
	for name, text := range map[string]string{
		"a workflow without a tool": "on: push\njobs: {a: {steps: [{run: make}]}}\n",
		"something else":            "a: b\n",
		"not YAML":                  "a: [b\n",
		"mode":                      "mode: block\nallow: [a.test]\n",
		"empty":                     "a: {allow: [x.test]}\n",
	} {
		if got, err := ImportPolicy("f.yml", []byte(text)); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// FuzzImportPolicy: no host is allowed that the text does not hold, and no wildcard
// that it does not write as one.
func FuzzImportPolicy(f *testing.F) {
	for _, s := range []string{
		"mode: enforce\nallow: [a.test, '*.b.test']\n", "a.test:443 b.test\n", "jobs: {a: {steps: [{uses: bullfrogsec/bullfrog, with: {allowed-domains: 'x.test'}}]}}",
		"jobs: &a {b: *a}\n", "allow: &a [*a]\n", "- a.test\n- {b: c}\n", "mode: enforce\nallow: |\n  a.test # b.test\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := ImportPolicy("f", data)
		if err != nil {
			return
		}
		text := strings.ToLower(string(data))
		for _, r := range got.Rules {
			again, err := egress.ParseRule(r.Host)
			if err != nil || again.Host != r.Host {
				t.Fatalf("%q is no host: %v", r.Host, err)
			}
			if !strings.Contains(text, `\`) && !strings.Contains(text, "%") && !strings.Contains(strings.NewReplacer("''", "'", "\n", " ").Replace(text), r.Host) && !strings.Contains(text, "\"") {
				t.Fatalf("%q is allowed, but not named in %q", r.Host, data)
			}
		}
	})
}
