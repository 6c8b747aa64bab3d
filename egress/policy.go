// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"slices"
	"strconv"
	"time"
)

// Mode says what becomes of a request that no rule allows.
type Mode string

// The modes. The zero Mode is ModeDeny.
const (
	ModeDeny  Mode = "deny"
	ModeAudit Mode = "audit" // let through and reported as would-deny; private addresses and raw protocols stay closed
	ModeLearn Mode = "learn" // as audit, reported as learned; nothing is injected
)

// OnDeny says what a refusal that nobody expected ends.
type OnDeny string

// What a refusal ends. The zero OnDeny is FailRequest. The network ends requests
// only: who runs the steps ends the rest, by Event.Unexpected.
const (
	FailRequest OnDeny = "fail-request"
	FailStep    OnDeny = "fail-step"
	FailJob     OnDeny = "fail-job"
)

// Policy says which hosts a job may reach. It is plain data; the zero Policy
// denies all. The order of rules does not matter.
type Policy struct {
	Mode   Mode     `json:"mode,omitempty"`
	OnDeny OnDeny   `json:"on_deny,omitempty"`
	Rules  []Rule   `json:"rules,omitempty"`
	Deny   []string `json:"deny,omitempty"` // hosts or wildcards that win over every rule, audit too
	// ExpectDenied are attempts that are known: refused as others, but quiet. A host
	// or wildcard, or an address, each with an optional port.
	ExpectDenied []string     `json:"expect_denied,omitempty"`
	NPM          PackageRules `json:"npm,omitzero"`      // of npm's registries
	Packages     PackageRules `json:"packages,omitzero"` // of every ecosystem
	Limits       Limits       `json:"limits,omitzero"`
	Steps        []StepPolicy `json:"steps,omitempty"` // the first one that matches a step stands in the place of Rules
	Upstream     Upstream     `json:"upstream,omitzero"`

	// Within are policies that must allow a request too. They only narrow: see
	// Intersect.
	Within []Policy `json:"within,omitempty"`
	// Origin is how events name what no rule allows, in the place of "default".
	Origin string `json:"origin,omitempty"`
}

// PackageRules are rules about packages of registries. Packages of Config keeps them.
type PackageRules struct {
	MinReleaseAge time.Duration `json:"min_release_age,omitempty"` // younger versions do not exist for the job
	Exclude       []string      `json:"exclude,omitempty"`         // packages, or "@scope/*", of which any age will do
	LockfileOnly  bool          `json:"lockfile_only,omitempty"`   // nothing that the lockfile does not name
	Publish       bool          `json:"publish,omitempty"`         // npm: packages may be published too
	Block         []string      `json:"block,omitempty"`           // "name@version" or "name@range" that do not exist for the job
}

// Zero reports whether there is no rule.
func (n PackageRules) Zero() bool {
	return !n.Publish && n.MinReleaseAge == 0 && len(n.Exclude) == 0 && !n.LockfileOnly && len(n.Block) == 0
}

// And returns rules that are kept if both are. Publish is no rule but a grant: that of n.
func (n PackageRules) And(o PackageRules) PackageRules {
	out := PackageRules{
		MinReleaseAge: max(n.MinReleaseAge, o.MinReleaseAge), LockfileOnly: n.LockfileOnly || o.LockfileOnly, Publish: n.Publish,
		Block: slices.Compact(slices.Sorted(slices.Values(slices.Concat(n.Block, o.Block)))),
	}
	switch {
	case n.MinReleaseAge == 0:
		out.Exclude = slices.Clone(o.Exclude)
	case o.MinReleaseAge == 0:
		out.Exclude = slices.Clone(n.Exclude)
	default: // what only one lets through is held back by the other
		for _, s := range n.Exclude {
			if slices.Contains(o.Exclude, s) {
				out.Exclude = append(out.Exclude, s)
			}
		}
	}
	return out
}

// Limits bound what a job can take of the runner, and what it can send. Zero
// means the default.
type Limits struct {
	Connections  int           `json:"connections,omitempty"`    // open at the same time; default 512
	Handshakes   int           `json:"handshakes,omitempty"`     // connections that have not said yet what they want; default 128
	Requests     int           `json:"requests,omitempty"`       // of HTTP, served at the same time; default 128
	DNSPerSecond int           `json:"dns_per_second,omitempty"` // questions; default 500
	Events       int           `json:"events,omitempty"`         // kept one by one as long as they fit 4 MiB, the rest is counted; default 20000
	HelloTimeout time.Duration `json:"hello_timeout,omitempty"`  // for the first bytes of a connection; default 5 s
	// ConnectTimeout is for reaching a host, with the operator's proxy and its TLS
	// handshake each; default 10 s.
	ConnectTimeout time.Duration `json:"connect_timeout,omitempty"`
	// IdleTimeout ends a connection through which nothing goes, and a request whose
	// answer does not begin: a long poll; default 10 min.
	IdleTimeout time.Duration `json:"idle_timeout,omitempty"`
	UpBytes     int64         `json:"up_bytes_per_host,omitempty"` // that a job may send to one host; default: no limit
	Misses      int           `json:"misses,omitempty"`            // paths that a preset's hosts do not have; default 50
}

// withDefaults returns the limits that are in force.
func (l Limits) withDefaults() Limits {
	set := func(n *int, def int) {
		if *n <= 0 {
			*n = def
		}
	}
	set(&l.Connections, 512)
	set(&l.Handshakes, 128)
	set(&l.Requests, 128)
	set(&l.DNSPerSecond, 500)
	set(&l.Events, 20000)
	set(&l.Misses, 50)
	if l.HelloTimeout <= 0 {
		l.HelloTimeout = 5 * time.Second
	}
	if l.ConnectTimeout <= 0 {
		l.ConnectTimeout = 10 * time.Second
	}
	if l.IdleTimeout <= 0 {
		l.IdleTimeout = 10 * time.Minute
	}
	return l
}

// least returns the smaller one of each limit.
func (l Limits) least(m Limits) Limits {
	l.Connections = least(l.Connections, m.Connections)
	l.Handshakes = least(l.Handshakes, m.Handshakes)
	l.Requests = least(l.Requests, m.Requests)
	l.DNSPerSecond = least(l.DNSPerSecond, m.DNSPerSecond)
	l.Events = least(l.Events, m.Events)
	l.HelloTimeout = least(l.HelloTimeout, m.HelloTimeout)
	l.ConnectTimeout = least(l.ConnectTimeout, m.ConnectTimeout)
	l.IdleTimeout = least(l.IdleTimeout, m.IdleTimeout)
	l.UpBytes = least(l.UpBytes, m.UpBytes)
	l.Misses = least(l.Misses, m.Misses)
	return l
}

// least is the smaller one of two limits, of which zero is none.
func least[T int | int64 | time.Duration](a, b T) T {
	switch {
	case a <= 0:
		return b
	case b <= 0:
		return a
	default:
		return min(a, b)
	}
}

// Upstream says how the runner itself reaches the outside.
type Upstream struct {
	DNS string `json:"dns,omitempty"` // HOST:PORT of the resolver; default: the host's configuration
	// Hosts sends a name to ADDR or ADDR:PORT instead of what DNS says. It is an
	// explicit grant of that address, private or not.
	Hosts  map[string]string `json:"hosts,omitempty"`
	CAFile string            `json:"ca_file,omitempty"` // PEM, trusted on top of Config.Roots for terminated hosts
	// Proxy is the URL of an HTTP proxy that every dial without an override goes
	// through. It takes the place of Config.Proxies.
	Proxy   string `json:"proxy,omitempty"`
	NoProxy string `json:"no_proxy,omitempty"` // what is reached without Proxy, in the form of NO_PROXY
}

// Intersect returns a policy that allows what both allow and nothing else:
// whatever inner says of private addresses, credentials, expected refusals and the
// runner's own way out is not looked at, since it could only widen. Of limits the
// smaller ones count. Rules of presets must be in inner.Rules; those of its steps stand
// in the place of these for the same steps.
func Intersect(outer, inner Policy) Policy {
	p := outer
	p.Limits = outer.Limits.least(inner.Limits)
	p.NPM, p.Packages = outer.NPM.And(inner.NPM), outer.Packages.And(inner.Packages)
	narrow := Policy{Mode: inner.Mode, Rules: narrowing(inner.Rules), Deny: inner.Deny, Origin: inner.Origin}
	for _, s := range inner.Steps {
		s.Rules = narrowing(s.Rules)
		narrow.Steps = append(narrow.Steps, s)
	}
	p.Within = slices.Concat(outer.Within, []Policy{narrow}, inner.Within)
	return p
}

// narrowing are rules as a policy within another one has them.
func narrowing(rules []Rule) []Rule {
	rules = slices.Clone(rules)
	for i := range rules {
		rules[i].Inject = nil
		rules[i].Private = true // says nothing against it
	}
	return rules
}

// Limit is one of Limits, as a policy file writes it.
type Limit struct{ Key, Value string }

// List returns the limits that are in force.
func (l Limits) List() []Limit {
	l = l.withDefaults()
	up := "none"
	if l.UpBytes > 0 {
		up = strconv.FormatInt(l.UpBytes, 10)
	}
	return []Limit{
		{"connections", strconv.Itoa(l.Connections)},
		{"handshakes", strconv.Itoa(l.Handshakes)},
		{"requests", strconv.Itoa(l.Requests)},
		{"dns_per_second", strconv.Itoa(l.DNSPerSecond)},
		{"events", strconv.Itoa(l.Events)},
		{"hello_timeout", l.HelloTimeout.String()},
		{"connect_timeout", l.ConnectTimeout.String()},
		{"idle_timeout", l.IdleTimeout.String()},
		{"up_bytes_per_host", up},
		{"misses", strconv.Itoa(l.Misses)},
	}
}
