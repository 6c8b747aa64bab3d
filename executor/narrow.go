// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"maps"
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
	d, err := decodePolicy(name, data)
	if err != nil {
		return PolicyFile{}, err
	}
	f := d.out
	fail := func(key, why string) error {
		e := d.errorf(d.keys[key], "key %s: %s", key, why)
		e.Fix = "it belongs into the operator's policy file"
		return e
	}
	for _, key := range slices.Sorted(maps.Keys(f.Origins)) {
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
			e := d.errorf(d.rules[r.Origin], "rule for %s: private and inject cannot be granted by a repository's policy", r.Host)
			e.Fix = "they belong into the operator's policy file"
			return PolicyFile{}, e
		}
	}
	return f, nil
}

// Narrow returns the operator's policy, narrowed by a repository's. presets are those
// that the operator grants, and more those that single steps get besides; a preset that the repository names and the operator does
// not opens nothing, and neither does its npm.publish. A file that names no hosts
// takes none away. Events name the file where it was what refused.
func Narrow(operator egress.Policy, repository PolicyFile, presets, more []egress.Preset) egress.Policy {
	inner := repository.Policy.Egress
	inner.Origin = RepositoryPolicyName
	if repository.DecidesHosts {
		presets = slices.DeleteFunc(slices.Concat(presets, more), func(p egress.Preset) bool { return !slices.Contains(repository.Presets, p.Name) })
	}
	for _, p := range presets {
		for _, r := range p.Rules {
			r.Preset = p.Name
			inner.Rules = append(slices.Clone(inner.Rules), r)
		}
	}
	if inner.NPM.Publish {
		inner.Rules = slices.Concat(inner.Rules, egress.PublishRules(presets))
	}
	if !repository.DecidesHosts {
		if inner.Mode == "" {
			inner.Mode = operator.Mode // what it does not name is as it was
		}
		inner.Rules = slices.Concat(inner.Rules, operator.Rules)
		inner.Steps = operator.Steps
	}
	return egress.Intersect(operator, inner)
}
