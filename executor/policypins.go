// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/zviz/run/egress"
)

// This file decodes the key "prebuilt" of egress.npm: files that packages fetch when
// they are installed, each by its URL and digest.

// pins are the rules for such files, with where each stands.
type pins []pin

type pin struct {
	rule egress.Rule
	at   *yaml.Node
}

// pin decodes an item of the list.
func (d *policyDecoder) pin(item *yaml.Node, where string, to *pins) error {
	var url, digest string
	var urlAt, digestAt *yaml.Node
	text := func(name string, dst *string, at **yaml.Node) field {
		return field{name, func(n *yaml.Node) (err error) {
			*dst, *at, err = d.text(n, join(where, name))
			return err
		}}
	}
	if err := d.mapping(item, where, []field{text("url", &url, &urlAt), text("sha256", &digest, &digestAt)}); err != nil {
		return err
	}
	for _, missing := range []struct {
		key string
		at  *yaml.Node
	}{{"url", urlAt}, {"sha256", digestAt}} {
		if missing.at == nil {
			return d.errorf(item, "%s: the key %q is missing", where, missing.key)
		}
	}
	// First with a digest that is one, so that each error has the place of its value.
	if _, err := egress.PinRule(url, anyDigest); err != nil {
		return d.wrap(urlAt, where+".url", err)
	}
	r, err := egress.PinRule(url, digest)
	if err != nil {
		return d.wrap(digestAt, where, err)
	}
	r.Origin = d.place(item)
	if i := slices.IndexFunc(*to, func(o pin) bool {
		return o.rule.Host == r.Host && slices.Equal(o.rule.Ports, r.Ports) && slices.Equal(o.rule.Paths, r.Paths)
	}); i >= 0 {
		return d.errorf(urlAt, "%s: the URL is there twice, first at %s", where, (*to)[i].rule.Origin)
	}
	*to = append(*to, pin{r, item})
	return nil
}

const anyDigest = "0000000000000000000000000000000000000000000000000000000000000000"

// into adds the rules to those of the policy, and of the steps that have npm's registries.
func (l pins) into(d *policyDecoder, p *egress.Policy) error {
	ofNPM := func(preset string) bool { return slices.Contains([]string{"npm", "yarn", "pnpm"}, preset) }
	lists := []*[]egress.Rule{&p.Rules}
	for i := range p.Steps {
		if slices.ContainsFunc(p.Steps[i].Presets, ofNPM) {
			lists = append(lists, &p.Steps[i].Rules)
		}
	}
	for _, pin := range l {
		for _, rules := range lists {
			for _, o := range *rules {
				if o.Hides(pin.rule) {
					return d.errorf(pin.at, "egress.npm.prebuilt: by the rule for %s (%s) nobody sees what comes from there, so no digest could be compared", o.Host, o.Origin)
				}
			}
			*rules = append(*rules, pin.rule)
		}
	}
	return nil
}
