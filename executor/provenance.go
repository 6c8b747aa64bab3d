// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/zviz/run/sandbox"
)

// The types of our statements, by their specifications: in-toto Statement v1 with the
// predicate SLSA Provenance v1.
const (
	StatementType  = "https://in-toto.io/Statement/v1"
	ProvenanceType = "https://slsa.dev/provenance/v1"
	buildType      = "https://zviz.run/exec/v1"
	builderID      = "https://zviz.run/zviz-runner"
)

// Statement is an in-toto statement about files: where they come from.
type Statement struct {
	Type          string       `json:"_type"`
	Subject       []Descriptor `json:"subject"`
	PredicateType string       `json:"predicateType"`
	Predicate     Provenance   `json:"predicate"`
}

// Descriptor is a file, a package or another thing by its digests, in hex, by the name
// of the algorithm.
type Descriptor struct {
	Name   string            `json:"name,omitempty"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest"`
}

// Provenance is SLSA's predicate, with what we know on top.
type Provenance struct {
	BuildDefinition struct {
		BuildType            string         `json:"buildType"`
		ExternalParameters   map[string]any `json:"externalParameters"`
		InternalParameters   map[string]any `json:"internalParameters"`
		ResolvedDependencies []Descriptor   `json:"resolvedDependencies,omitempty"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder struct {
			ID      string            `json:"id"`
			Version map[string]string `json:"version,omitempty"`
		} `json:"builder"`
		Metadata struct {
			InvocationID string    `json:"invocationId"`
			StartedOn    time.Time `json:"startedOn"`
			FinishedOn   time.Time `json:"finishedOn"`
		} `json:"metadata"`
		Byproducts []Descriptor `json:"byproducts"`
	} `json:"runDetails"`
	Run Evidence `json:"zviz_run"`
}

// Evidence is what a Provenance says of the run, so that a policy needs no report.
type Evidence struct {
	Conclusion    Conclusion      `json:"conclusion"`
	ExitCode      int             `json:"exit_code"`
	Complete      bool            `json:"complete"` // ReportEgress.Complete
	Head          string          `json:"head"`     // ReportEgress.Head
	Denied        int             `json:"denied"`   // decisions of the network, expected ones too
	MissingLayers []sandbox.Layer `json:"missing_layers"`
}

// reportName is the report among the byproducts of a statement.
const reportName = "report.json"

// NewStatement says where the subjects come from. Without subjects the packages that
// were fetched are it, and without those the report; of a run that failed nothing but
// the report is. digest is SHA-256, in hex, of the report as it is stored.
func NewStatement(r Report, digest string, subjects []Descriptor, version string) Statement {
	report := Descriptor{Name: reportName, Digest: map[string]string{"sha256": digest}}
	var packages, fetched []Descriptor
	for _, p := range r.Packages {
		d := Descriptor{Name: p.String(), URI: p.purl(), Digest: digestSet(p.Digest)}
		if len(d.Digest) > 0 {
			packages = append(packages, d)
			if !p.Available {
				fetched = append(fetched, d)
			}
		}
	}
	if len(subjects) == 0 {
		subjects = fetched
	}
	if len(subjects) == 0 || r.Conclusion != Success {
		subjects = []Descriptor{report}
	}
	s := Statement{Type: StatementType, Subject: subjects, PredicateType: ProvenanceType}
	def, run := &s.Predicate.BuildDefinition, &s.Predicate.RunDetails
	def.BuildType = buildType
	def.ExternalParameters = map[string]any{"command": r.Command}
	def.InternalParameters = map[string]any{"profile": r.Profile, "rootfs": r.Rootfs, "limits": r.Limits}
	def.ResolvedDependencies = packages
	run.Builder.ID, run.Builder.Version = builderID, map[string]string{"zviz-runner": version}
	run.Metadata.InvocationID, run.Metadata.StartedOn, run.Metadata.FinishedOn = r.ID, r.Started, r.Ended
	run.Byproducts = []Descriptor{report}
	s.Predicate.Run = Evidence{Conclusion: r.Conclusion, ExitCode: r.ExitCode, Complete: r.Egress.Complete, Head: r.Egress.Head, MissingLayers: r.missing()}
	for _, row := range r.Egress.Summary {
		if row.Verdict == "deny" {
			s.Predicate.Run.Denied += row.Count
		}
	}
	return s
}

// missing are the layers that the operator did without.
func (r Report) missing() []sandbox.Layer {
	out := []sandbox.Layer{}
	for _, l := range r.Layers {
		if l.State == sandbox.MissingAllowed {
			out = append(out, l.Name)
		}
	}
	return out
}

// ReadStatement reads a statement of ours.
func ReadStatement(payload []byte) (Statement, error) {
	var s Statement
	if err := json.Unmarshal(payload, &s); err != nil {
		return s, err
	}
	if s.Type != StatementType || s.PredicateType != ProvenanceType || s.Predicate.BuildDefinition.BuildType != buildType {
		return s, errors.New("is no provenance of zviz-runner")
	}
	return s, nil
}

// About reports whether the statement is about the report with the digest.
func (s Statement) About(digest string) bool {
	for _, d := range s.Predicate.RunDetails.Byproducts {
		if d.Name == reportName && d.Digest["sha256"] == digest && digest != "" {
			return true
		}
	}
	return false
}

// String is NAME@VERSION, or NAME of a file that is known by its URL.
func (p ReportPackage) String() string {
	if p.Version == "" {
		return p.Name
	}
	return p.Name + "@" + p.Version
}

// purl is the package in the form of github.com/package-url/purl-spec.
func (p ReportPackage) purl() string {
	kind, ok := map[string]string{"npm": "npm", "go": "golang", "pypi": "pypi", "cargo": "cargo", "debian": "deb/debian", "maven": "maven", "rubygems": "gem", "nuget": "nuget"}[p.Ecosystem]
	if !ok {
		kind = "generic"
	}
	parts := strings.Split(p.Name, "/")
	for i := range parts {
		parts[i] = strings.ReplaceAll(url.PathEscape(parts[i]), "@", "%40")
	}
	out := "pkg:" + kind + "/" + strings.Join(parts, "/")
	if p.Version != "" {
		out += "@" + url.PathEscape(p.Version)
	}
	return out
}

// digestSet reads "sha256:HEX", "sha512-BASE64" (npm's integrity) and "h1:BASE64" (Go's
// checksums); empty if it is none of them.
func digestSet(digest string) map[string]string {
	if name, rest, ok := strings.Cut(digest, ":"); ok {
		if raw, err := hex.DecodeString(rest); err == nil && len(raw) >= 20 {
			return map[string]string{name: rest}
		}
		if raw, err := base64.StdEncoding.DecodeString(rest); err == nil && name == "h1" && len(raw) == 32 {
			return map[string]string{"dirHash": hex.EncodeToString(raw)}
		}
		return nil
	}
	name, rest, _ := strings.Cut(digest, "-")
	if raw, err := base64.StdEncoding.DecodeString(rest); err == nil && len(raw) >= 20 {
		return map[string]string{name: hex.EncodeToString(raw)}
	}
	return nil
}
