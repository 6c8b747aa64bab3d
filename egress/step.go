// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"fmt"
	"slices"
	"strings"
)

// StepPolicy is what the steps that it matches may reach, in the place of
// Policy.Rules. Everything else of the policy holds for every step.
type StepPolicy struct {
	// Match is "*", or "name=GLOB", "id=GLOB" or "uses=GLOB", in which "*" is any
	// text.
	Match   string   `json:"match"`
	Presets []string `json:"presets,omitempty"` // names; their rules come from Config.Presets
	Rules   []Rule   `json:"rules,omitempty"`
	Origin  string   `json:"origin,omitempty"`
}

// StepName is how a step is told from others.
type StepName struct{ ID, Name, Uses string }

// Matches reports whether the step is meant.
func (s StepPolicy) Matches(n StepName) bool {
	key, glob, _ := strings.Cut(s.Match, "=")
	switch key {
	case "*":
		return true
	case "id":
		return matchText(glob, n.ID)
	case "name":
		return matchText(glob, n.Name)
	case "uses":
		return matchText(glob, n.Uses)
	default:
		return false
	}
}

// CheckMatch says what is wrong with a StepPolicy.Match.
func CheckMatch(s string) error {
	if s == "*" {
		return nil
	}
	key, glob, ok := strings.Cut(s, "=")
	if !ok || glob == "" || !slices.Contains([]string{"id", "name", "uses"}, key) {
		return fmt.Errorf("match %q: want id=GLOB, name=GLOB, uses=GLOB or *", clip(s))
	}
	return nil
}

// ForStep returns the policy of a step: that of the first of Steps which matches
// it, else p. What it returns has the rules of presets in it and no Steps; presets
// are those that may be named.
func (p Policy) ForStep(n StepName, presets []Preset) Policy {
	steps, within := p.Steps, p.Within
	p = p.withoutSteps()
	for i, w := range within {
		p.Within[i] = w.ForStep(n, presets)
	}
	for _, s := range steps {
		if s.Matches(n) {
			p.Rules = slices.Concat(s.Rules, presetRules(presets, s.Presets))
			return p
		}
	}
	return p
}

// withoutSteps is the policy of what is no step, or of a step that none of Steps matches.
func (p Policy) withoutSteps() Policy {
	p.Steps, p.Within = nil, slices.Clone(p.Within)
	for i, w := range p.Within {
		p.Within[i] = w.withoutSteps()
	}
	return p
}

// presetRules are the rules of the presets that are named, each with its preset.
func presetRules(presets []Preset, names []string) []Rule {
	var out []Rule
	for _, preset := range presets {
		if !slices.Contains(names, preset.Name) {
			continue
		}
		for _, r := range preset.Rules {
			r.Preset = preset.Name
			out = append(out, r)
		}
	}
	return out
}

// matchText matches a text with a glob in which "*" is any text.
func matchText(glob, text string) bool {
	head, rest, star := strings.Cut(glob, "*")
	if !star {
		return glob == text
	}
	text, ok := strings.CutPrefix(text, head)
	if !ok {
		return false
	}
	for { // the leftmost place of each part is as good as any
		part, more, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(text, part)
		}
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text, rest = text[i+len(part):], more
	}
}
