// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zviz/run/sandbox"
)

func TestStatement(t *testing.T) {
	r := fullReport()
	r.Conclusion = Success
	r.Layers = append(r.Layers, sandbox.LayerReport{Name: sandbox.LayerLandlock, State: sandbox.MissingAllowed})
	r.Packages = []ReportPackage{
		{"npm", "@scope/a", "1.0.0", "sha512-" + strings.Repeat("A", 86) + "==", false},
		{"go", "example.test/m", "v1.0.0", "h1:" + strings.Repeat("A", 43) + "=", false},
		{"debian", "bash", "5.2", "sha256:" + strings.Repeat("0a", 32), false},
		{"npm", "unknown", "1", "?", false},
		{"prebuilt", "files.test/a/x.tgz", "", "sha256:" + strings.Repeat("0b", 32), false},
	}
	packages := []Descriptor{
		{"@scope/a@1.0.0", "pkg:npm/%40scope/a@1.0.0", map[string]string{"sha512": strings.Repeat("00", 64)}},
		{"example.test/m@v1.0.0", "pkg:golang/example.test/m@v1.0.0", map[string]string{"dirHash": strings.Repeat("00", 32)}},
		{"bash@5.2", "pkg:deb/debian/bash@5.2", map[string]string{"sha256": strings.Repeat("0a", 32)}},
		{"files.test/a/x.tgz", "pkg:generic/files.test/a/x.tgz", map[string]string{"sha256": strings.Repeat("0b", 32)}},
	}
	digest := strings.Repeat("f0", 32)
	report := Descriptor{Name: "report.json", Digest: map[string]string{"sha256": digest}}
	file := []Descriptor{{Name: "out", Digest: map[string]string{"sha256": strings.Repeat("1", 64)}}}

	s := NewStatement(r, digest, file, "v1")
	if diff := cmp.Diff(file, s.Subject); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(packages, s.Predicate.BuildDefinition.ResolvedDependencies); diff != "" {
		t.Error(diff)
	}
	want := Evidence{Conclusion: Success, ExitCode: 137, Complete: true, Denied: 1, MissingLayers: []sandbox.Layer{sandbox.LayerLandlock}}
	if diff := cmp.Diff(want, s.Predicate.Run); diff != "" {
		t.Error(diff)
	}
	if s = NewStatement(r, digest, nil, "v1"); cmp.Diff(packages, s.Subject) != "" {
		t.Errorf("without files: %v", s.Subject)
	}
	r.Conclusion = Failure
	if s = NewStatement(r, digest, file, "v1"); cmp.Diff([]Descriptor{report}, s.Subject) != "" {
		t.Errorf("a run that failed vouches for %v", s.Subject)
	}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ReadStatement(data)
	if err != nil {
		t.Fatal(err)
	}
	if !again.About(digest) || again.About("") || again.About(strings.Repeat("f1", 32)) {
		t.Errorf("about %v", again.Predicate.RunDetails.Byproducts)
	}
	if _, err := ReadStatement([]byte(`{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://example.test/other"}`)); err == nil {
		t.Error("a statement of others is taken for ours")
	}
}
