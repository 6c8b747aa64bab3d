// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/zviz/run/internal/canary"
)

// policies are those in force in a job: that of the running step, and those of
// earlier steps as long as their processes live.
type policies struct {
	names *nameCounter
	// stepOf returns the step of a process, empty if it is not known; alive those
	// that have a process. Nil means that a job has no steps.
	stepOf func(pid int) string
	alive  func() []string

	// canaries finds planted credentials in names; nil if there are none.
	canaries func() *canary.Finder

	mu      sync.RWMutex
	base    *judge
	policy  Policy // that base is made of
	running string
	left    []string // the steps that had a process when it began
	name    string   // of the running step, for people
	steps   map[string]*judge
}

func newPolicies(p Policy) *policies {
	names := &nameCounter{}
	return &policies{names: names, policy: p, base: newJudge(p, names, ""), steps: map[string]*judge{}}
}

// host judges a host for a process. Port 0 asks whether it is open on any port.
func (p *policies) host(o origin, host string, port uint16) decision {
	if p.canaries != nil && p.canaries().FindInName(host) != "" {
		return decision{verdict: VerdictDeny, reason: ReasonCanary, rule: "default"}
	}
	running, others := p.of(o)
	d := running.host(host, port)
	for _, j := range others {
		d.others = append(d.others, j.host(host, port))
	}
	return d.settle()
}

// nameless judges a connection of a process that names no host.
func (p *policies) nameless(o origin, reason string) decision {
	running, others := p.of(o)
	d := running.nameless(reason)
	for _, j := range others {
		d.others = append(d.others, j.nameless(reason))
	}
	return d.settle()
}

// of returns the policy of the running step, and those that bind the process
// besides: a process that a step left behind does not get what a later step may. If
// it is not known whose a connection is, every step counts that has a process, or had
// one when the running step began, and the one that ran when the connection was made:
// who made it may have ended since, and be the last of its step.
func (p *policies) of(o origin) (running *judge, others []*judge) {
	p.mu.RLock()
	running, now, left := p.base, p.running, p.left
	if j, ok := p.steps[now]; ok {
		running = j
	}
	one := len(p.steps) < 2
	p.mu.RUnlock()
	if one || p.stepOf == nil {
		return running, nil
	}
	ids := []string{p.stepOf(o.PID)}
	if o.PID == 0 || ids[0] == "" {
		ids = slices.Concat(p.alive(), left, []string{o.step})
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, id := range ids {
		if j := p.steps[id]; j != nil && j != running && !slices.Contains(others, j) {
			others = append(others, j)
		}
	}
	return running, others
}

// many reports whether it matters whose a request is.
func (p *policies) many() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return len(p.steps) > 1 && p.stepOf != nil
}

// step returns the name of the running step.
func (p *policies) step() string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.name
}

// now returns the id and the name of the running step.
func (p *policies) now() (id, name string) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.running, p.name
}

// set makes a step the running one.
func (p *policies) set(id, name string, policy Policy) {
	j := p.base
	if !reflect.DeepEqual(p.policy.withoutSteps(), policy) { // many steps of one policy have one judge
		j = newJudge(policy, p.names, "")
	}
	var left []string
	if p.alive != nil {
		left = p.alive()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running, p.left, p.name, p.steps[id] = id, left, name, j
}

// doors are the ports on which every address leads to us. The resolver's and the
// proxy's are open at the gateway's address only; the explicit proxy reaches
// hosts on those ports too.
func doors(rules []Rule) []uint16 {
	ports := []uint16{80, 443}
	for _, r := range rules {
		for _, p := range r.Ports {
			if p != 53 && p != ProxyPort && !slices.Contains(ports, p) {
				ports = append(ports, p)
			}
		}
	}
	slices.Sort(ports)
	return ports
}

// terminated are the hosts that the job's CA is for.
func terminated(rules []Rule) []string {
	var hosts []string
	for _, r := range rules {
		if r.Terminates() {
			hosts = append(hosts, strings.TrimPrefix(r.Host, "*."))
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// allRules are the rules of a policy and of everything in it, with those of the
// presets that may be named.
func (p Policy) allRules(presets []Preset) []Rule {
	out := slices.Clone(p.Rules)
	for _, s := range p.Steps {
		out = append(out, s.Rules...)
	}
	for _, w := range p.Within {
		out = append(out, w.allRules(nil)...)
	}
	for _, preset := range presets {
		out = append(out, presetRules(presets, []string{preset.Name})...)
	}
	return out
}
