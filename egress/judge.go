// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"cmp"
	"slices"
	"strconv"
	"sync"
)

// judge decides by names for one policy. It is the one engine behind every door.
type judge struct {
	missing Verdict // of what no rule allows
	rules   []Rule
	deny    []string
	within  []*judge // that must allow it too
	names   *nameCounter
	scope   string // of the counter: which policy it counts for
	origin  string // of the policy, in events
}

// decision is what was decided about a host.
type decision struct {
	verdict   Verdict
	reason    string
	rule      string // for events
	rules     []Rule // the most specific ones, of equal standing
	terminate bool
	tcp       bool    // opaque, by ProtocolTCP
	missing   Verdict // of a request that no rule allows
	denies    bool    // the policy has hosts that no Mode lets through

	narrow []decision // of policies that have a say in each request too
	others []decision // of other steps' policies: as narrow, and they must grant what is special as well
}

func (d decision) denied() bool { return d.verdict == VerdictDeny }

// newJudge compiles a policy; its rules have those of presets in them. The policies
// of steps share a counter: the cap on names is the job's.
func newJudge(p Policy, names *nameCounter, scope string) *judge {
	j := &judge{missing: VerdictDeny, rules: p.Rules, deny: p.Deny, names: names, scope: scope, origin: cmp.Or(p.Origin, "default")}
	switch p.Mode {
	case ModeAudit:
		j.missing = VerdictWouldDeny
	case ModeLearn:
		j.missing = VerdictLearned
	default:
	}
	for i, w := range p.Within {
		j.within = append(j.within, newJudge(w, names, scope+"."+strconv.Itoa(i)))
	}
	return j
}

// host judges a normal host. Port 0 asks whether it is open on any port.
func (j *judge) host(host string, port uint16) decision {
	d := j.own(host, port)
	d.denies = len(j.deny) > 0
	for _, w := range j.within {
		d.narrow = append(d.narrow, w.host(host, port))
	}
	return d.settle()
}

// settle makes one verdict of all that have a say: the strictest.
func (d decision) settle() decision {
	for _, list := range [][]decision{d.narrow, d.others} {
		for _, o := range list {
			// A host of "deny" is one whoever else does not allow it: the gateway follows
			// no redirect there.
			if o.verdict.strictness() > d.verdict.strictness() || o.reason == ReasonDenied && d.reason != ReasonDenied {
				d.verdict, d.reason, d.rule = o.verdict, o.reason, o.rule
			}
			// One policy that looks into requests is enough to make us look.
			d.terminate = d.terminate || o.terminate
		}
	}
	if d.tcp && d.terminate && !d.denied() { // and where nobody can look, nobody may pass
		d.verdict, d.reason = VerdictDeny, ReasonMethod
	}
	return d
}

// hidden is the verdict about a connection whose true name nobody sees: it may be any.
func (d decision) hidden() Verdict {
	if d.denies {
		return VerdictDeny
	}
	v := cmp.Or(d.missing, d.verdict)
	for _, o := range slices.Concat(d.narrow, d.others) {
		if h := o.hidden(); h.strictness() > v.strictness() {
			v = h
		}
	}
	return v
}

// strictness orders verdicts: a refusal counts more than letting through.
func (v Verdict) strictness() int {
	switch v {
	case VerdictDeny:
		return 2
	case VerdictWouldDeny, VerdictLearned:
		return 1
	default:
		return 0
	}
}

func (j *judge) own(host string, port uint16) decision {
	for _, pattern := range j.deny {
		if matchPattern(pattern, host) {
			return j.deniedHost()
		}
	}
	var rules []Rule
	best, known := 0, false
	for _, r := range j.rules {
		if !r.MatchHost(host) {
			continue
		}
		known = true
		if port != 0 && !r.MatchPort(port) {
			continue
		}
		if s := specificity(r); s > best {
			best, rules = s, nil
		}
		if specificity(r) == best {
			rules = append(rules, r)
		}
	}
	switch {
	case rules != nil:
	case known:
		return j.refuse(ReasonPort)
	default:
		return j.refuse(ReasonHost)
	}
	d := decision{verdict: VerdictAllow, rules: rules, missing: j.missing}
	// An explicit splice is the way out for clients that pin a certificate. Else
	// one rule that terminates is enough, and only such rules then say what is
	// allowed: --allow of a registry's host does not open it for writing.
	switch {
	case port != 0 && slices.ContainsFunc(rules, func(r Rule) bool { return r.Protocol == ProtocolTCP }):
		d.tcp = true
	case !slices.ContainsFunc(rules, func(r Rule) bool { return r.TLS == TLSSplice }):
		if strict := slices.DeleteFunc(slices.Clone(rules), func(r Rule) bool { return !r.Terminates() }); len(strict) > 0 {
			d.terminate, d.rules = true, strict
		}
	}
	d.rule = ruleName(d.rules[0])
	if rules[0].wildcard() && !j.admit(rules, host) {
		return j.refuse(ReasonMaxNames)
	}
	return d
}

// deniedHost is the decision about a host of "deny".
func (j *judge) deniedHost() decision {
	d := decision{verdict: VerdictDeny, reason: ReasonDenied, rule: "deny"}
	if j.origin != "default" {
		d.rule = j.origin
	}
	return d
}

// refuse is the decision about what no rule allows.
func (j *judge) refuse(reason string) decision {
	return decision{verdict: j.missing, reason: reason, rule: j.origin}
}

// nameless judges a connection that names no host.
func (j *judge) nameless(reason string) decision {
	d := j.refuse(reason)
	for _, w := range j.within {
		d.narrow = append(d.narrow, w.nameless(reason))
	}
	return d.settle()
}

// admit counts the distinct names under a wildcard (threat 7).
func (j *judge) admit(rules []Rule, host string) bool {
	most := 0
	for _, r := range rules {
		n := r.MaxNames
		if n <= 0 {
			n = defaultMaxNames
		}
		most = max(most, n)
	}
	return j.names.admit(j.scope+" "+strconv.Itoa(most)+" "+rules[0].Host, host, most)
}

// nameCounter counts distinct names by wildcard.
type nameCounter struct {
	mu    sync.Mutex
	names map[string]map[string]bool
}

func (c *nameCounter) admit(key, name string, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := c.names[key]
	if names[name] {
		return true
	}
	if len(names) >= most {
		return false
	}
	if names == nil {
		names = map[string]bool{}
		if c.names == nil {
			c.names = map[string]map[string]bool{}
		}
		c.names[key] = names
	}
	names[name] = true
	return true
}

// private reports whether the host may be at an address that is not global.
func (d decision) private() bool {
	if !slices.ContainsFunc(d.rules, func(r Rule) bool { return r.Private }) {
		return false
	}
	return !slices.ContainsFunc(d.others, func(o decision) bool { return !o.private() })
}

// ruling is what was decided about a request to an allowed host.
type ruling struct {
	rule    Rule // that allows it
	inject  *Inject
	verdict Verdict
	reason  string

	judged    bool     // by its method or its path
	websocket bool     // it may become one
	digests   []string // SHA-256, in hex, that the answer must have, all of them
}

// request judges a request by its method and its path as it was sent, escaped.
func (d decision) request(method, escapedPath string) ruling {
	out := d.ownRequest(method, escapedPath)
	out.inject, out.websocket = out.rule.Inject, out.rule.WebSocket
	for _, n := range d.narrow {
		r := n.request(method, escapedPath)
		out.judged = out.judged || r.judged
		out.websocket = out.websocket && r.websocket
		out.digests = append(out.digests, r.digests...)
		out = out.strictest(r)
	}
	for _, o := range d.others {
		r := o.request(method, escapedPath)
		if r.inject == nil || out.inject == nil || *r.inject != *out.inject {
			out.inject = nil
		}
		out.judged = out.judged || r.judged
		out.websocket = out.websocket && r.websocket
		out.digests = append(out.digests, r.digests...)
		// What one of them opens as a registry only is one.
		out.rule.Preset = cmp.Or(out.rule.Preset, r.rule.Preset)
		out = out.strictest(r)
	}
	return out
}

func (r ruling) strictest(o ruling) ruling {
	if o.verdict.strictness() > r.verdict.strictness() {
		r.verdict, r.reason = o.verdict, o.reason
	}
	return r
}

func (d decision) ownRequest(method, escapedPath string) ruling {
	if d.rules == nil { // let through without a rule, or refused
		return ruling{verdict: d.verdict, reason: d.reason}
	}
	out := ruling{verdict: d.missing, reason: ReasonMethod}
	path, plain := canonicalPath(escapedPath)
	free := false
	for _, r := range d.rules {
		free = free || r.Preset == "" && !r.seen()
		switch {
		case !matchMethod(r, method):
		case !r.matchPath(path, plain):
			if out.verdict != VerdictAllow {
				out.reason = ReasonPath
			}
		case out.verdict != VerdictAllow:
			out = ruling{rule: r, verdict: VerdictAllow}
			out.pin(r)
		default: // another one allows it too: a registry stays one, with a credential or not
			out.rule.Preset = cmp.Or(out.rule.Preset, r.Preset)
			out.rule.Inject = cmp.Or(out.rule.Inject, r.Inject)
			out.pin(r)
		}
	}
	out.judged = !free
	return out
}

// ruled reports whether a rule lets the request out, if only because a policy that
// narrows reports what it would refuse. Then all that the rule means is kept: what the
// request may carry, and the filters. Else it is Mode that lets it out, or nothing.
func (r ruling) ruled() bool { return r.rule.Host != "" && r.verdict != VerdictDeny }

// pin takes a rule's digest over, whatever else allows the request.
func (r *ruling) pin(by Rule) {
	if by.SHA256 != "" {
		r.digests = append(r.digests, by.SHA256)
		r.rule.Redirects = true
	}
}

func matchMethod(r Rule, method string) bool {
	if len(r.Methods) > 0 {
		return slices.Contains(r.Methods, method)
	}
	return r.Preset == "" && r.Inject == nil || method == "GET" || method == "HEAD"
}

// matchPath matches a path in canonical form; plain is false if it has none.
func (r Rule) matchPath(path string, plain bool) bool {
	meets := func(path string) bool {
		match := func(glob string) bool { return matchPath(glob, path) }
		return slices.ContainsFunc(r.Paths, match) && !slices.ContainsFunc(r.Except, match)
	}
	// "/user;.tgz" is an archive to us, and "/user" to servers in Java.
	return len(r.Paths) == 0 || plain && meets(path) && meets(withoutParameters(path))
}

// specificity orders rules: an exact host before any wildcard, a longer wildcard
// before a shorter one.
func specificity(r Rule) int {
	if r.wildcard() {
		return len(r.Host)
	}
	return 1000
}

// ruleName is how an event names a rule.
func ruleName(r Rule) string {
	if r.Preset != "" {
		return r.Preset
	}
	return r.String()
}
