// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"slices"
	"strings"

	"github.com/zviz/run/egress"
)

// ParseNarrowing reads a policy that lies in a job's repository, where whoever wrote
// the code could have written it. It has the form of a policy file, but only those
// keys that can narrow: version, and of egress mode, presets, allow, deny, limits, npm
// and packages.
// A key that could only widen is an error and not ignored, since its author expects an
// effect.
func ParseNarrowing(name string, data []byte) (PolicyFile, error) {
	f, err := ParsePolicy(name, data)
	if err != nil {
		return PolicyFile{}, err
	}
	fail := func(key, why string) error {
		return &PolicyError{File: name, Line: lineOf(f.Origins[key]), What: "key " + key + ": " + why, Fix: "it belongs into the operator's policy file"}
	}
	for key := range f.Origins {
		top, _, _ := strings.Cut(key, ".")
		if top != "version" && top != "egress" {
			return PolicyFile{}, fail(key, "a repository's policy is about egress only")
		}
	}
	for _, key := range []string{"egress.on_deny", "egress.expect_denied", "egress.upstream", "egress.steps"} {
		if f.Origins[key] != "" {
			return PolicyFile{}, fail(key, "a repository's policy only narrows")
		}
	}
	if f.Policy.Egress.Mode == egress.ModeLearn {
		return PolicyFile{}, fail("egress.mode", "learn is for the operator; want deny, or audit to report what it would take away")
	}
	if f.Origins["egress.limits.events"] != "" {
		return PolicyFile{}, fail("egress.limits.events", "what a run leaves as evidence is not the repository's to say")
	}
	for _, r := range f.Policy.Egress.Rules {
		if r.Inject != nil || r.Private {
			return PolicyFile{}, &PolicyError{
				File: name, Line: lineOf(r.Origin), What: "rule for " + r.Host + ": private and inject cannot be granted by a repository's policy",
				Fix: "they belong into the operator's policy file",
			}
		}
	}
	return f, nil
}

// lineOf is the line of "FILE:LINE".
func lineOf(origin string) int {
	n := 0
	for _, c := range origin[strings.LastIndexByte(origin, ':')+1:] {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// Narrow returns the operator's policy, narrowed by a repository's. presets are those
// that the operator grants; a preset that the repository names and the operator does
// not opens nothing, and neither does its npm.publish. A file that names no hosts
// takes none away. Events name the file where it was what refused.
func Narrow(operator egress.Policy, repository PolicyFile, presets []egress.Preset) egress.Policy {
	inner := repository.Policy.Egress
	inner.Origin = RepositoryPolicyName
	var kept []egress.Preset
	for _, p := range presets {
		if repository.DecidesHosts && !slices.Contains(repository.Presets, p.Name) {
			continue
		}
		kept = append(kept, p)
		for _, r := range p.Rules {
			r.Preset = p.Name
			inner.Rules = append(slices.Clone(inner.Rules), r)
		}
	}
	if inner.NPM.Publish {
		inner.Rules = slices.Concat(inner.Rules, egress.PublishRules(kept))
	}
	if !repository.DecidesHosts {
		if inner.Mode == "" {
			inner.Mode = operator.Mode // what it does not name is as it was
		}
		inner.Rules = slices.Concat(inner.Rules, operator.Rules)
		for _, s := range operator.Steps {
			inner.Rules = append(inner.Rules, s.Rules...)
		}
	}
	return egress.Intersect(operator, inner)
}
