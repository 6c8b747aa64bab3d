// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"slices"
	"strings"
	"sync"
)

// judge decides by names. It is the one engine behind every door.
type judge struct {
	audit bool
	rules []Rule
	deny  []string

	mu    sync.Mutex
	names map[string]map[string]bool // wildcard → names asked for
}

// decision is what was decided about a host.
type decision struct {
	verdict   Verdict
	reason    string
	rule      string // for events
	rules     []Rule // the most specific ones, of equal standing
	terminate bool
}

func (d decision) denied() bool { return d.verdict == VerdictDeny }

func newJudge(p Policy, presets []Preset) *judge {
	j := &judge{audit: p.Mode == ModeAudit, deny: p.Deny, names: map[string]map[string]bool{}}
	j.rules = slices.Clone(p.Rules)
	for _, preset := range presets {
		for _, r := range preset.Rules {
			r.Preset = preset.Name
			j.rules = append(j.rules, r)
		}
	}
	return j
}

// host judges a normal host. Port 0 asks whether it is open on any port.
func (j *judge) host(host string, port uint16) decision {
	for _, pattern := range j.deny {
		if matchPattern(pattern, host) {
			return decision{verdict: VerdictDeny, reason: ReasonDenied, rule: "deny"}
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
	d := decision{verdict: VerdictAllow, rules: rules}
	// An explicit splice is the way out for clients that pin a certificate. Else
	// one rule that terminates is enough, and only such rules then say what is
	// allowed: --allow of a registry's host does not open it for writing.
	if !slices.ContainsFunc(rules, func(r Rule) bool { return r.TLS == TLSSplice }) {
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

// refuse is the decision about what no rule allows.
func (j *judge) refuse(reason string) decision {
	if j.audit {
		return decision{verdict: VerdictWouldDeny, reason: reason, rule: "default"}
	}
	return decision{verdict: VerdictDeny, reason: reason, rule: "default"}
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
	j.mu.Lock()
	defer j.mu.Unlock()
	names := j.names[rules[0].Host]
	if names[host] {
		return true
	}
	if len(names) >= most {
		return false
	}
	if names == nil {
		names = map[string]bool{}
		j.names[rules[0].Host] = names
	}
	names[host] = true
	return true
}

// private reports whether the host may be at an address that is not global.
func (d decision) private() bool {
	return slices.ContainsFunc(d.rules, func(r Rule) bool { return r.Private })
}

// request judges a request to an allowed host and returns the rule that allows
// it, or the reason why none does.
func (d decision) request(method, path string) (rule Rule, reason string) {
	reason = ReasonMethod
	for _, r := range d.rules {
		if !matchMethod(r, method) {
			continue
		}
		if len(r.Paths) == 0 || !dotted(path) && slices.ContainsFunc(r.Paths, func(glob string) bool { return matchPath(glob, path) }) {
			return r, ""
		}
		reason = ReasonPath
	}
	return Rule{}, reason
}

func matchMethod(r Rule, method string) bool {
	if len(r.Methods) > 0 {
		return slices.Contains(r.Methods, method)
	}
	return r.Preset == "" || method == "GET" || method == "HEAD"
}

// dotted reports whether a decoded path could be another one to the server.
func dotted(path string) bool {
	for seg := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
		if seg == "." || seg == ".." || strings.HasPrefix(seg, "..;") {
			return true
		}
	}
	return false
}

// matchPath matches a path with a glob: "*" stays within a segment, "**" does not.
func matchPath(glob, path string) bool {
	i := strings.IndexByte(glob, '*')
	if i < 0 {
		return glob == path
	}
	if !strings.HasPrefix(path, glob[:i]) {
		return false
	}
	rest, deep := strings.CutPrefix(glob[i+1:], "*")
	path = path[i:]
	if rest == "" && deep {
		return true
	}
	for n := 0; ; n++ {
		if matchPath(rest, path[n:]) {
			return true
		}
		if n == len(path) || !deep && path[n] == '/' {
			return false
		}
	}
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
