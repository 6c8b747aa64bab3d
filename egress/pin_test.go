// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"reflect"
	"strings"
	"testing"
)

const someSHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestPinRule(t *testing.T) {
	got, err := PinRule("https://Files.Test:8443/a%2Fb/x-1.0.tgz", someSHA256)
	want := Rule{
		Host: "files.test", Ports: []uint16{8443}, TLS: TLSTerminate, Methods: []string{"GET", "HEAD"},
		Paths: []string{"/a%2Fb/x-1.0.tgz"}, Redirects: true, Preset: "prebuilt", SHA256: someSHA256,
	}
	if err != nil || !reflect.DeepEqual(got, want) || got.check() != nil {
		t.Errorf("got %+v, %v, %v", got, err, got.check())
	}
	for _, tt := range []struct{ url, digest, want string }{
		{"http://files.test/x", someSHA256, "want https://"},
		{"files.test/x", someSHA256, "want https://"},
		{"https://u:p@files.test/x", someSHA256, "credential"},
		{"https://files.test/x?a", someSHA256, "query"},
		{"https://files.test/x?", someSHA256, "query"},
		{"https://files.test/x#a", someSHA256, "query"},
		{"https://192.0.2.1/x", someSHA256, "address"},
		{"https://*.files.test/x", someSHA256, ""},
		{"https://files.test/", someSHA256, "path"},
		{"https://files.test", someSHA256, "path"},
		{"https://files.test/a/../x", someSHA256, "path"},
		{"https://files.test/a%252fx", someSHA256, "path"},
		{"https://files.test/*.tgz", someSHA256, "no *"},
		{"https://files.test/x", someSHA256[1:], "64 hex"},
		{"https://files.test/x", strings.ToUpper(someSHA256), "64 hex"},
		{"https://files.test/x", "", "64 hex"},
	} {
		if r, err := PinRule(tt.url, tt.digest); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %+v, %v; want …%s…", tt.url, r, err, tt.want)
		}
	}
}

// A rule by which nobody looks into what comes would leave the file unverified.
func TestPinBesideOpaqueRule(t *testing.T) {
	pin, err := PinRule("https://files.test/x", someSHA256)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		rule Rule
		ok   bool
	}{
		{"splice", Rule{Host: "files.test", TLS: TLSSplice}, false},
		{"tcp", Rule{Host: "files.test", Protocol: ProtocolTCP, Ports: []uint16{443}}, false},
		{"splice of another port", Rule{Host: "files.test", TLS: TLSSplice, Ports: []uint16{8443}}, true},
		{"splice of another host", Rule{Host: "*.files.test", TLS: TLSSplice}, true},
		{"spliced unless somebody looks", Rule{Host: "files.test"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, p := range []Policy{
				{Rules: []Rule{tt.rule, pin}},
				{Steps: []StepPolicy{{Match: "*", Rules: []Rule{pin, tt.rule}}}},
			} {
				if err := p.check(); (err == nil) != tt.ok {
					t.Errorf("got %v", err)
				}
			}
		})
	}
	// And where one only terminates, the digest holds all the same.
	d := newJudge(Policy{Rules: []Rule{{Host: "files.test", TLS: TLSTerminate}, pin}}, &nameCounter{}, "").host("files.test", 443)
	if r := d.request("GET", "/x"); len(r.digests) != 1 || !r.rule.Redirects {
		t.Errorf("got %+v", r)
	}
	// A policy that narrows has its say too.
	other := pin
	other.SHA256 = strings.Repeat("0", 64)
	d = newJudge(Intersect(Policy{Rules: []Rule{pin}}, Policy{Rules: []Rule{other}}), &nameCounter{}, "").host("files.test", 443)
	if r := d.request("GET", "/x"); len(r.digests) != 2 {
		t.Errorf("got %+v", r)
	}
}
