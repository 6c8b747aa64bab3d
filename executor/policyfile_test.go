// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/sandbox"
)

const someSHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

const fullPolicy = `version: 1
egress:
  mode: audit
  presets: [npm, go]
  allow:
    - api.example.test:8443
    - debian
    - host: "*.pkg.example.test"
      ports: [443, 8080]
      max_names: 16
    - host: Git.Example.Test.
      tls: terminate
      methods: [GET, POST]
      paths: ["/acme/*/info/refs", "/acme/*/git-upload-pack"]
      private: true
      websocket: true
    - host: npm.example.test
      inject: {header: Authorization, value_from: "env:CORP_NPM_TOKEN", scheme: Bearer}
    - host: pip.example.test
      inject: {header: Authorization, value_from: "file:/run/secrets/pip", placeholder: zviz-placeholder}
    - host: db.example.test
      ports: [5432]
      protocol: tcp
  deny: [tracker.example.test, "*.ads.example.test"]
  on_deny: fail-step
  expect_denied: [telemetry.example.test, "169.254.169.254:80"]
  npm: {min_release_age: 7d, exclude: ["@acme/*"], lockfile_only: true, prebuilt: [{url: "https://Files.Example.Test/a%20b/x.tgz", sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855}]}
  limits: {connections: 64, handshakes: 8, requests: 16, dns_per_second: 20, events: 100, hello_timeout: 2s, connect_timeout: 3s, idle_timeout: 1h, up_bytes_per_host: 1MiB, misses: 7}
  steps:
    - match: name=Install
      presets: [npm]
    - match: "*"
      allow: [api.example.test]
  upstream:
    dns: 192.0.2.53:53
    hosts: {registry.example.test: "192.0.2.7:8443", other.example.test: "2001:db8::7"}
    ca_file: /etc/zviz/ca.pem
    proxy: http://proxy.example.test:3128
    no_proxy: ".corp.example.test,10.0.0.0/8"
limits: {memory: 2g, cpus: 1.5, pids: 512, timeout: 30m, open_files: 4096}
profile: hostile
rootfs: /srv/rootfs/
write: [.git, ./build/]
allow_missing: [landlock, cgroup]
`

func TestParsePolicy(t *testing.T) {
	got, err := ParsePolicy("p.yml", []byte(fullPolicy))
	if err != nil {
		t.Fatal(err)
	}
	for key, place := range map[string]string{"egress.mode": "p.yml:3", "egress.limits.misses": "p.yml:28", "profile": "p.yml:41", "egress.steps": "p.yml:29"} {
		if got.Origins[key] != place {
			t.Errorf("%s was written at %q, want %q", key, got.Origins[key], place)
		}
	}
	got.Origins = nil
	pinned := egress.Rule{
		Host: "files.example.test", Ports: []uint16{443}, TLS: "terminate", Methods: []string{"GET", "HEAD"}, Paths: []string{"/a b/x.tgz"},
		Redirects: true, Preset: "prebuilt", SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", Origin: "p.yml:27",
	}
	want := PolicyFile{
		DecidesHosts: true,
		Presets:      []string{"npm", "go", "debian"},
		Policy: Policy{
			Egress: egress.Policy{
				Mode: egress.ModeAudit,
				Rules: []egress.Rule{
					{Host: "api.example.test", Ports: []uint16{8443}, Origin: "p.yml:6"},
					{Host: "*.pkg.example.test", Ports: []uint16{443, 8080}, MaxNames: 16, Origin: "p.yml:8"},
					{
						Host: "git.example.test", TLS: "terminate", Methods: []string{"GET", "POST"},
						Paths: []string{"/acme/*/info/refs", "/acme/*/git-upload-pack"}, Private: true, WebSocket: true, Origin: "p.yml:11",
					},
					{Host: "npm.example.test", Origin: "p.yml:17", Inject: &egress.Inject{Header: "Authorization", ValueFrom: "env:CORP_NPM_TOKEN", Scheme: "Bearer"}},
					{Host: "pip.example.test", Origin: "p.yml:19", Inject: &egress.Inject{Header: "Authorization", ValueFrom: "file:/run/secrets/pip", Placeholder: "zviz-placeholder"}},
					{Host: "db.example.test", Ports: []uint16{5432}, Protocol: "tcp", Origin: "p.yml:21"},
					pinned,
				},
				Deny:         []string{"tracker.example.test", "*.ads.example.test"},
				OnDeny:       egress.FailStep,
				ExpectDenied: []string{"telemetry.example.test", "169.254.169.254:80"},
				NPM:          egress.PackageRules{MinReleaseAge: 7 * 24 * time.Hour, Exclude: []string{"@acme/*"}, LockfileOnly: true},
				Limits: egress.Limits{
					Connections: 64, Handshakes: 8, Requests: 16, DNSPerSecond: 20, Events: 100, HelloTimeout: 2 * time.Second,
					ConnectTimeout: 3 * time.Second, IdleTimeout: time.Hour,
					UpBytes: 1 << 20, Misses: 7,
				},
				Steps: []egress.StepPolicy{
					{Match: "name=Install", Presets: []string{"npm"}, Rules: []egress.Rule{pinned}, Origin: "p.yml:30"},
					{Match: "*", Rules: []egress.Rule{{Host: "api.example.test", Origin: "p.yml:33"}}, Origin: "p.yml:32"},
				},
				Upstream: egress.Upstream{
					DNS:    "192.0.2.53:53",
					Hosts:  map[string]string{"registry.example.test": "192.0.2.7:8443", "other.example.test": "2001:db8::7"},
					CAFile: "/etc/zviz/ca.pem",
					Proxy:  "http://proxy.example.test:3128", NoProxy: ".corp.example.test,10.0.0.0/8",
				},
			},
			Limits:  sandbox.Limits{MemoryBytes: 2 << 30, CPUs: 1.5, Pids: 512, Wall: 30 * time.Minute, OpenFiles: 4096},
			Profile: "hostile",
			Rootfs:  "/srv/rootfs",
			Write:   []string{".git", "build"},
			AllowMissing: []sandbox.Layer{
				sandbox.LayerLandlock, sandbox.LayerCgroup, sandbox.LayerPids, sandbox.LayerMemory, sandbox.LayerCPU, sandbox.LayerKill,
			},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestParsePolicyDecidesHosts(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       bool
	}{
		{"limits only", "version: 1\nlimits: {pids: 5}\n", false},
		{"deny only", "version: 1\negress: {deny: [a.test]}\n", false},
		{"no presets", "version: 1\negress: {presets: []}\n", true},
		{"every item commented out", "version: 1\negress:\n  allow:\n    # - a.test\n", true},
		{"egress without a key", "version: 1\negress:\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParsePolicy("p", []byte(tt.text))
			if err != nil || got.DecidesHosts != tt.want || len(got.Policy.Egress.Rules)+len(got.Presets) != 0 {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestParsePolicyErrors(t *testing.T) {
	for _, tt := range []struct{ name, text, want, fix string }{
		{"empty", "", "p.yml:1: the policy file is empty", "version: 1"},
		{"comments only", "# nothing\n", "p.yml:1: the policy file is empty", "version: 1"},
		{"null", "~\n", `p.yml:1:1: the key "version" is missing`, "version: 1"},
		{"list", "- a\n", "p.yml:1:1: the policy file: want keys with values, got a list", ""},
		{"no version", "profile: ci\n", `p.yml:1:1: the key "version" is missing`, "version: 1"},
		{"other version", "version: 2\n", `p.yml:1:10: version "2": this version reads version 1`, ""},
		{"misspelt key", "version: 1\negres: {}\n", `p.yml:2:1: unknown key "egres" in the policy file, did you mean "egress"?`, ""},
		{"unknown key", "version: 1\negress: {firewall: 1}\n", `p.yml:2:10: unknown key "firewall" in egress`, "keys of egress: mode, on_deny, presets, allow, deny, expect_denied, npm, packages, limits, steps, upstream"},
		{"misspelt key of a rule", "version: 1\negress:\n  allow:\n    - hots: a.test\n", `p.yml:4:7: unknown key "hots" in egress.allow, did you mean "host"?`, ""},
		{"key twice", "version: 1\nprofile: ci\nprofile: hostile\n", `p.yml:3:1: key "profile" is in the policy file twice, first in line 2`, ""},
		{"later: steps", "version: 1\nsteps: []\n", `p.yml:2:1: key "steps" in the policy file is not supported by this version`, ""},
		{"misspelt on_deny", "version: 1\negress: {on_deny: fail-jop}\n", `p.yml:2:19: egress.on_deny "fail-jop": did you mean "fail-job"?`, ""},
		{"inject without a value", "version: 1\negress: {allow: [{host: a.test, inject: {header: X}}]}\n", `p.yml:2:41: egress.allow.inject: the key "value_from" is missing`, ""},
		{"inject of a literal", "version: 1\negress: {allow: [{host: a.test, inject: {header: X, value_from: s3cr3t}}]}\n", "want env:NAME or file:/PATH", ""},
		{"inject of a spliced host", "version: 1\negress: {allow: [{host: a.test, tls: splice, inject: {header: X, value_from: 'env:A'}}]}\n", "inject cannot be done with tls: splice", ""},
		{"inject of the host", "version: 1\negress: {allow: [{host: a.test, inject: {header: Host, value_from: 'env:A'}}]}\n", "is about the connection", ""},
		{"misspelt key of inject", "version: 1\negress: {allow: [{host: a.test, inject: {heder: X}}]}\n", `unknown key "heder" in egress.allow.inject, did you mean "header"?`, ""},
		{"tcp without ports", "version: 1\negress: {allow: [{host: a.test, protocol: tcp}]}\n", "p.yml:2:18: egress.allow: protocol: tcp needs ports", ""},
		{"tcp with methods", "version: 1\negress: {allow: [{host: a.test, ports: [1], protocol: tcp, methods: [GET]}]}\n", "nothing is seen of protocol: tcp", ""},
		{"udp", "version: 1\negress: {allow: [{host: a.test, protocol: udp}]}\n", `egress.allow.protocol "udp": want tcp`, ""},
		{"tcp at the resolver's port", "version: 1\negress: {allow: [{host: a.test, ports: [53], protocol: tcp}]}\n", "the gateway's own", ""},
		{"path with dots", "version: 1\negress: {allow: [{host: a.test, paths: [/a/../b]}]}\n", "has no dot segments", ""},
		{"step without match", "version: 1\negress: {steps: [{presets: [npm]}]}\n", `p.yml:2:18: egress.steps: the key "match" is missing`, ""},
		{"step matched by nothing", "version: 1\negress: {steps: [{match: step1}]}\n", `egress.steps.match "step1": match "step1": want id=GLOB`, ""},
		{"step after all", "version: 1\negress:\n  steps:\n    - match: '*'\n    - match: id=x\n", `p.yml:5:7: egress.steps: match "id=x" is never reached`, ""},
		{"misspelt preset of a step", "version: 1\negress: {steps: [{match: '*', presets: [nmp]}]}\n", `did you mean "npm"?`, ""},
		{"expected URL", "version: 1\negress: {expect_denied: ['https://a.test/']}\n", "is a URL", ""},
		{"age without a unit", "version: 1\negress: {npm: {min_release_age: 7}}\n", `want an age such as "7d"`, ""},
		{"no bytes", "version: 1\negress: {limits: {up_bytes_per_host: 0}}\n", "must not be 0", ""},
		{"misspelt mode", "version: 1\negress: {mode: dney}\n", `egress.mode "dney": did you mean "deny"?`, ""},
		{"misspelt preset", "version: 1\negress: {presets: [nmp]}\n", `egress.presets: unknown preset "nmp", did you mean "npm"?`, ""},
		{"unknown preset", "version: 1\negress: {presets: [apples]}\n", `unknown preset "apples"; there are cargo, debian, `, ""},
		{"a text for a list", "version: 1\negress: {presets: npm}\n", `p.yml:2:19: egress.presets: want a list, got "npm"`, "presets: [npm]"},
		{"a URL for a host", "version: 1\negress: {allow: ['https://a.test/']}\n", "is a URL", ""},
		{"an address for a host", "version: 1\negress: {allow: [192.0.2.1]}\n", "is an address", ""},
		{"host with a port", "version: 1\negress: {allow: [{host: 'a.test:80'}]}\n", `use the key "ports"`, ""},
		{"rule without a host", "version: 1\negress: {allow: [{ports: [1]}]}\n", `the key "host" is missing`, ""},
		{"port out of range", "version: 1\negress: {allow: [{host: a.test, ports: [65536]}]}\n", `port "65536"`, ""},
		{"methods need termination", "version: 1\negress: {allow: [{host: a.test, tls: splice, methods: [GET]}]}\n", "cannot be seen with tls: splice", ""},
		{"methods in small letters", "version: 1\negress: {allow: [{host: a.test, methods: [get]}]}\n", "want capital letters", ""},
		{"path without a slash", "version: 1\negress: {allow: [{host: a.test, paths: [x]}]}\n", "begins with a slash", ""},
		{"max_names without a wildcard", "version: 1\negress: {allow: [{host: a.test, max_names: 5}]}\n", "max_names is for wildcards", ""},
		{"yes is no boolean", "version: 1\negress: {allow: [{host: a.test, private: yes}]}\n", `want true or false, got "yes"`, ""},
		{"deny with a port", "version: 1\negress: {deny: ['a.test:443']}\n", "without a port here", ""},
		{"bad DNS server", "version: 1\negress: {upstream: {dns: 192.0.2.1}}\n", "want HOST:PORT", ""},
		{"bad override", "version: 1\negress: {upstream: {hosts: {a.test: b.test}}}\n", "want an address", ""},
		{"wildcard override", "version: 1\negress: {upstream: {hosts: {'*.a.test': 192.0.2.1}}}\n", "a wildcard has no address", ""},
		{"override twice", "version: 1\negress: {upstream: {hosts: {a.test: 192.0.2.1, A.test: 192.0.2.2}}}\n", "a.test is there twice", ""},
		{"relative CA file", "version: 1\negress: {upstream: {ca_file: ca.pem}}\n", "want an absolute path", ""},
		{"SOCKS proxy", "version: 1\negress: {upstream: {proxy: 'socks5://a.test:1'}}\n", "want the URL of an HTTP proxy", ""},
		{"no method at all", "version: 1\negress: {allow: [{host: a.test, methods: []}]}\n", "p.yml:2:42: egress.allow.methods: the list is empty, which would allow all", ""},
		{"every path commented out", "version: 1\negress:\n  allow:\n    - host: a.test\n      paths:\n        # - /x\n", "egress.allow.paths: the list is empty, which would allow all", ""},
		{"no port at all", "version: 1\negress: {allow: [{host: a.test, ports: []}]}\n", "egress.allow.ports: the list is empty", ""},
		{"proxy without a host", "version: 1\negress: {upstream: {proxy: 'http://:3128'}}\n", "p.yml:2:28: egress.upstream.proxy: want the URL", ""},
		{"prebuilt of packages", "version: 1\negress: {packages: {prebuilt: []}}\n", "p.yml:2:31: egress.packages: prebuilt is a key of egress.npm", ""},
		{"prebuilt without a digest", "version: 1\negress: {npm: {prebuilt: [{url: 'https://a.test/x'}]}}\n", `p.yml:2:27: egress.npm.prebuilt: the key "sha256" is missing`, ""},
		{"prebuilt without a URL", "version: 1\negress: {npm: {prebuilt: [{sha256: ab}]}}\n", `the key "url" is missing`, ""},
		{"prebuilt by HTTP", "version: 1\negress: {npm: {prebuilt: [{url: 'http://a.test/x', sha256: ab}]}}\n", "p.yml:2:33: egress.npm.prebuilt.url: want https://HOST/PATH", ""},
		{"prebuilt with half a digest", "version: 1\negress: {npm: {prebuilt: [{url: 'https://a.test/x', sha256: ab}]}}\n", "p.yml:2:61: egress.npm.prebuilt: sha256 \"ab\": want 64", ""},
		{"prebuilt twice", "version: 1\negress: {npm: {prebuilt: [&a {url: 'https://a.test/x', sha256: " + someSHA256 + "}, *a]}}\n", "the URL is there twice, first at p.yml:2", ""},
		{"prebuilt with another key", "version: 1\negress: {npm: {prebuilt: [{url: 'https://a.test/x', sha265: ab}]}}\n", `did you mean "sha256"?`, ""},
		{"prebuilt of a spliced host", "version: 1\negress: {npm: {prebuilt: [{url: 'https://a.test/x', sha256: " + someSHA256 + "}]}, allow: [{host: a.test, tls: splice}]}\n", "p.yml:2:27: egress.npm.prebuilt: by the rule for a.test (p.yml:2) nobody sees", ""},
		{"size without meaning", "version: 1\nlimits: {memory: lots}\n", `limits.memory "lots": want a size`, ""},
		{"time without a unit", "version: 1\nlimits: {timeout: 30}\n", "did you mean 30s?", ""},
		{"both names of the time limit", "version: 1\nlimits: {timeout: 30m, wall: 30m}\n", "keep one", ""},
		{"both names, the other way around", "version: 1\nlimits: {wall: 1h, timeout: 30m}\n", "keep one", ""},
		{"both names, one of them none", "version: 1\nlimits: {timeout: 0, wall: 1h}\n", "keep one", ""},
		{"rootfs of the file's folder", "version: 1\nrootfs: ./root\n", "want an absolute path", ""},
		{"write above", "version: 1\nwrite: [../x]\n", "want a path below the workspace", ""},
		{"a layer that is always required", "version: 1\nallow_missing: [user]\n", `layer "user" is always required`, ""},
		{"unknown layer", "version: 1\nallow_missing: [selinux]\n", `unknown layer "selinux"`, ""},
		{"two documents", "version: 1\n---\nversion: 1\n", "p.yml:2:1: a policy file is one document", ""},
		{"not YAML", "version: 1\negress: [a\n", "not YAML", ""},
		{"NUL", "version: 1\x00\n", "not YAML", ""},
		{"unknown alias", "version: 1\nprofile: *x\n", "p.yml:2:10: not YAML: unknown anchor", ""},
		{"merge key", "version: 1\nlimits:\n  <<: {pids: 5}\n", "merge keys (<<) are not supported", ""},
		{"a number as key", "version: 1\n1: 2\n", "want a word as key", ""},
		{"empty value", "version: 1\nprofile:\n", "profile: want a text, got nothing", ""},
		{"list for a text", "version: 1\nprofile: [ci]\n", "want a text, got a list", ""},
		{"control characters", "version: 1\nprofile: \"ci\\e[2J\"\n", "control characters", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParsePolicy("p.yml", []byte(tt.text))
			e, ok := errors.AsType[*PolicyError](err)
			if !ok {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(e.Error(), tt.want) || !strings.HasPrefix(e.Error(), "p.yml:") {
				t.Errorf("got  %s\nwant %s", e, tt.want)
			}
			if !strings.Contains(e.Hint(), tt.fix) {
				t.Errorf("fix %q, want %q", e.Hint(), tt.fix)
			}
			if e.Code() != "policy.invalid" {
				t.Error(e.Code())
			}
		})
	}
}

// What stands where a credential may stand is in no error: it goes to logs.
func TestPolicyErrorsHoldNoCredential(t *testing.T) {
	const secret = "s3cr3t"
	for _, text := range []string{
		"version: 1\negress: {upstream: {proxy: 'socks5://bob:s3cr3t@a.test:1'}}\n",
		"version: 1\negress: {upstream: {proxy: 'http://bob:s3cr3t%@a.test:1'}}\n",
		"version: 1\negress: {allow: [{host: a.test, inject: {header: X, value_from: s3cr3t}}]}\n",
		"version: 1\negress: {allow: ['https://bob:s3cr3t@a.test/']}\n",
		"version: 1\negress: {allow: [{host: 'https://bob:s3cr3t@a.test/'}]}\n",
		"version: 1\negress: {deny: ['https://bob:s3cr3t@a.test/']}\n",
		"version: 1\negress: {npm: {prebuilt: [{url: 'https://bob:s3cr3t@a.test/x', sha256: ab}]}}\n",
	} {
		if _, err := ParsePolicy("p.yml", []byte(text)); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Aliases are allowed, but not as a bomb.
func TestParsePolicyAliases(t *testing.T) {
	p, err := ParsePolicy("p", []byte("version: 1\negress:\n  allow: &hosts [a.test, b.test]\n  deny: *hosts\n"))
	if err != nil || len(p.Policy.Egress.Rules) != 2 || len(p.Policy.Egress.Deny) != 2 {
		t.Errorf("%+v, %v", p, err)
	}
	var b strings.Builder
	b.WriteString("version: 1\nwrite: &a [x,x,x,x,x,x,x,x,x,x]\negress:\n  allow:\n")
	b.WriteString("  - &r {host: a.test, paths: &p [" + strings.Repeat("/x,", 1000) + "/x]}\n")
	b.WriteString(strings.Repeat("  - *r\n", 1000))
	if _, err := ParsePolicy("p", []byte(b.String())); err == nil || !strings.Contains(err.Error(), "too many values") {
		t.Errorf("a bomb: %v", err)
	}
	if _, err := ParsePolicy("p", []byte("version: 1\negress: &e {limits: *e}\n")); err == nil {
		t.Error("an alias to what holds it")
	}
}

func TestParsePolicySizeCap(t *testing.T) {
	text := "version: 1\n#" + strings.Repeat("x", maxPolicyBytes)
	if _, err := ParsePolicy("p", []byte(text)); err == nil || !strings.Contains(err.Error(), "larger than 1024 KiB") {
		t.Error(err)
	}
}

func TestReadPolicy(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) {
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("good", "version: 1\nprofile: hostile\n")
	write("huge", "version: 1\n#"+strings.Repeat("x", maxPolicyBytes))
	if err := os.Symlink("good", path("link")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"good", "link"} {
		if p, err := ReadPolicy(path(name)); err != nil || p.Policy.Profile != "hostile" {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	for name, want := range map[string]string{
		"missing": "no such file or directory", "huge": "larger than 1024 KiB", "pipe": "not a regular file", ".": "not a regular file",
	} {
		_, err := ReadPolicy(path(name))
		e, ok := errors.AsType[*PolicyError](err)
		if !ok || !strings.Contains(e.Error(), want) || e.Code() != "policy.unreadable" {
			t.Errorf("%s: %v", name, err)
		}
		if got := errors.Is(err, fs.ErrNotExist); got != (name == "missing") {
			t.Errorf("%s: errors.Is(err, fs.ErrNotExist) = %v", name, got)
		}
	}
	if _, err := ReadPolicy("/dev/zero"); err == nil {
		t.Error("a device was read")
	}
}

// Whatever parses means the same after it was written anew, and grants no host
// that the text does not name.
func FuzzParsePolicy(f *testing.F) {
	for _, s := range []string{
		fullPolicy, "version: 1\n", "", "version: 1\negress: {allow: [&a x.test, *a]}\n",
		"version: 1\negress: {allow: [{host: '*.x.test', ports: [0x1bb]}]}\n", "version: 0x1\n", "version: 1\nlimits: {cpus: .5}\n",
		"version: 1\negress: {presets: [npm], upstream: {dns: '[::1]:53'}}\n", "version: 1\negress: {allow: [\"\\x61.test\"]}\n",
		"version: 1\negress: {npm: {publish: true, prebuilt: [{url: 'HTTPS://a.test:8443/%7e%2F\u00e9', sha256: " + someSHA256 + "}]}, steps: [{match: '*', presets: [pnpm]}]}\n",
		"{version: 1, egress: {deny: [a, b]}}", "version: 1\nlimits: {wall: 90s}", "\xef\xbb\xbfversion: 1\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePolicy("p", data)
		if err != nil {
			if _, ok := errors.AsType[*PolicyError](err); !ok {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		text := encodePolicy(p)
		again, err := ParsePolicy("p", []byte(text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		forget(&p)
		forget(&again)
		if !reflect.DeepEqual(p, again) {
			t.Fatalf("%s\n%s", cmp.Diff(p, again), text)
		}
		named := hostsNamed(t, data)
		for _, r := range p.Policy.Egress.Rules {
			if !named[r.Host] {
				t.Fatalf("%q is granted, but not named", r.Host)
			}
		}
		for h := range p.Policy.Egress.Upstream.Hosts {
			if !named[h] {
				t.Fatalf("%q has an address, but is not named", h)
			}
		}
	})
}

// forget drops what writing anew changes: the lines, and the order of a set.
func forget(p *PolicyFile) {
	slices.Sort(p.Policy.AllowMissing)
	p.Origins = nil
	for i := range p.Policy.Egress.Rules {
		p.Policy.Egress.Rules[i].Origin = ""
	}
	for i := range p.Policy.Egress.Steps {
		s := &p.Policy.Egress.Steps[i]
		s.Origin = ""
		for k := range s.Rules {
			s.Rules[k].Origin = ""
		}
	}
}

// hostsNamed returns every text of the file that could name a host.
func hostsNamed(t *testing.T, data []byte) map[string]bool {
	t.Helper()
	named := map[string]bool{}
	var doc yaml.Node
	if err := yaml.Load(data, &doc); err != nil {
		t.Fatal(err)
	}
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode {
			value := n.Value
			if scheme, rest, ok := strings.Cut(value, "://"); ok && strings.EqualFold(scheme, "https") {
				value, _, _ = strings.Cut(rest, "/")
			}
			host, _, _ := strings.Cut(value, ":")
			named[strings.ToLower(strings.TrimSuffix(host, "."))] = true
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(&doc)
	return named
}

// encodePolicy writes a policy file. JSON texts are YAML texts.
func encodePolicy(f PolicyFile) string {
	var b strings.Builder
	line := func(indent int, format string, args ...any) {
		b.WriteString(strings.Repeat("  ", indent) + fmt.Sprintf(format, args...) + "\n")
	}
	num := func(indent int, key string, n int) {
		if n != 0 {
			line(indent, "%s: %d", key, n)
		}
	}
	str := func(indent int, key, s string) {
		if s != "" {
			line(indent, "%s: %s", key, quoteYAML(s))
		}
	}
	strs := func(indent int, key string, list []string) {
		if len(list) > 0 {
			line(indent, "%s:", key)
			for _, s := range list {
				line(indent+1, "- %s", quoteYAML(s))
			}
		}
	}
	p, e := f.Policy, f.Policy.Egress
	line(0, "version: 1")
	line(0, "egress:")
	str(1, "mode", string(e.Mode))
	strs(1, "presets", f.Presets)
	if f.DecidesHosts {
		line(1, "allow:")
	}
	rules := func(indent int, list []egress.Rule) {
		for _, r := range list {
			if r.SHA256 != "" {
				continue // of prebuilt
			}
			line(indent, "- host: %s", quoteYAML(r.Host))
			if len(r.Ports) > 0 {
				line(indent+1, "ports: [%s]", strings.Trim(strings.ReplaceAll(fmt.Sprint(r.Ports), " ", ", "), "[]"))
			}
			str(indent+1, "protocol", r.Protocol)
			str(indent+1, "tls", r.TLS)
			strs(indent+1, "methods", r.Methods)
			strs(indent+1, "paths", r.Paths)
			num(indent+1, "max_names", r.MaxNames)
			if r.Private {
				line(indent+1, "private: true")
			}
			if r.WebSocket {
				line(indent+1, "websocket: true")
			}
			if in := r.Inject; in != nil {
				line(indent+1, "inject:")
				str(indent+2, "header", in.Header)
				str(indent+2, "value_from", in.ValueFrom)
				str(indent+2, "scheme", in.Scheme)
				str(indent+2, "placeholder", in.Placeholder)
			}
		}
	}
	rules(2, e.Rules)
	strs(1, "deny", e.Deny)
	str(1, "on_deny", string(e.OnDeny))
	strs(1, "expect_denied", e.ExpectDenied)
	for key, rules := range map[string]egress.PackageRules{"npm": e.NPM, "packages": e.Packages} {
		line(1, "%s:", key)
		if rules.MinReleaseAge != 0 {
			line(2, "min_release_age: %dh", int(rules.MinReleaseAge.Hours()))
		}
		strs(2, "exclude", rules.Exclude)
		strs(2, "block", rules.Block)
		if rules.LockfileOnly {
			line(2, "lockfile_only: true")
		}
		if key == "packages" {
			continue
		}
		if rules.Publish {
			line(2, "publish: true")
		}
		line(2, "prebuilt:")
		for _, r := range e.Rules {
			if r.SHA256 != "" {
				line(3, "- url: %s", quoteYAML(fmt.Sprintf("https://%s:%d%s", r.Host, r.Ports[0], escapePath(r.Paths[0]))))
				line(3, "  sha256: %s", quoteYAML(r.SHA256))
			}
		}
	}
	line(1, "steps:")
	for _, s := range e.Steps {
		line(2, "- match: %s", quoteYAML(s.Match))
		strs(3, "presets", s.Presets)
		line(3, "allow:")
		rules(4, s.Rules)
	}
	line(1, "limits:")
	num(2, "connections", e.Limits.Connections)
	num(2, "handshakes", e.Limits.Handshakes)
	num(2, "requests", e.Limits.Requests)
	num(2, "dns_per_second", e.Limits.DNSPerSecond)
	num(2, "events", e.Limits.Events)
	num(2, "up_bytes_per_host", int(e.Limits.UpBytes))
	num(2, "misses", e.Limits.Misses)
	if e.Limits.HelloTimeout != 0 {
		str(2, "hello_timeout", e.Limits.HelloTimeout.String())
	}
	if e.Limits.ConnectTimeout != 0 {
		str(2, "connect_timeout", e.Limits.ConnectTimeout.String())
	}
	if e.Limits.IdleTimeout != 0 {
		str(2, "idle_timeout", e.Limits.IdleTimeout.String())
	}
	line(1, "upstream:")
	str(2, "dns", e.Upstream.DNS)
	str(2, "ca_file", e.Upstream.CAFile)
	str(2, "proxy", e.Upstream.Proxy)
	str(2, "no_proxy", e.Upstream.NoProxy)
	line(2, "hosts:")
	for _, h := range slices.Sorted(maps.Keys(e.Upstream.Hosts)) {
		line(3, "%s: %s", quoteYAML(h), quoteYAML(e.Upstream.Hosts[h]))
	}
	line(0, "limits:")
	num(1, "memory", int(p.Limits.MemoryBytes))
	if p.Limits.CPUs != 0 {
		str(1, "cpus", strconv.FormatFloat(p.Limits.CPUs, 'f', -1, 64))
	}
	num(1, "pids", p.Limits.Pids)
	num(1, "open_files", p.Limits.OpenFiles)
	if p.Limits.Wall != 0 {
		str(1, "timeout", p.Limits.Wall.String())
	}
	str(0, "profile", p.Profile)
	str(0, "rootfs", p.Rootfs)
	strs(0, "write", p.Write)
	line(0, "allow_missing:")
	for _, l := range p.AllowMissing {
		line(1, "- %s", l)
	}
	return b.String()
}

// escapePath writes the canonical form of a path as a URL has it.
func escapePath(path string) string {
	var b strings.Builder
	for i := range len(path) {
		if c := path[i]; c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("0123456789/-._~%", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func quoteYAML(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r > '~':
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// The example of docs/policy.md parses, and the page names every key.
func TestPolicyDocs(t *testing.T) {
	data, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "```yaml\n")
	text, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("no example")
	}
	p, err := ParsePolicy("docs/policy.md", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Policy.Egress.Rules) != 5 || p.Policy.Egress.Upstream.Proxy == "" {
		t.Errorf("%+v", p)
	}
	for line := range strings.Lines(fullPolicy) {
		for word := range strings.FieldsFuncSeq(line, func(r rune) bool { return strings.ContainsRune(" {},-\n", r) }) {
			if key, ok := strings.CutSuffix(word, ":"); ok && !strings.Contains(key, ".") && !strings.Contains(string(data), "`"+key) && !strings.Contains(string(data), "."+key+"`") {
				t.Errorf("the page does not describe %q", key)
			}
		}
	}
}
