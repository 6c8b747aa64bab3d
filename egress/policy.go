// SPDX-License-Identifier: Apache-2.0

package egress

import "time"

// Mode says what becomes of a request that no rule allows.
type Mode string

// The modes. The zero Mode is ModeDeny.
const (
	ModeDeny  Mode = "deny"
	ModeAudit Mode = "audit" // let through and reported as would-deny; private addresses and raw protocols stay closed
)

// Policy says which hosts a job may reach. It is plain data; the zero Policy
// denies all. The order of rules does not matter.
type Policy struct {
	Mode     Mode     `json:"mode,omitempty"`
	Rules    []Rule   `json:"rules,omitempty"`
	Deny     []string `json:"deny,omitempty"` // hosts or wildcards that win over every rule, audit too
	Limits   Limits   `json:"limits,omitzero"`
	Upstream Upstream `json:"upstream,omitzero"`
}

// Limits bound what a job can take of the runner. Zero means the default.
type Limits struct {
	Connections  int           `json:"connections,omitempty"`    // open at the same time; default 512
	Handshakes   int           `json:"handshakes,omitempty"`     // connections that have not said yet what they want; default 128
	Requests     int           `json:"requests,omitempty"`       // of HTTP, served at the same time; default 128
	DNSPerSecond int           `json:"dns_per_second,omitempty"` // questions; default 500
	Events       int           `json:"events,omitempty"`         // kept one by one as long as they fit 4 MiB, the rest is counted; default 20000
	HelloTimeout time.Duration `json:"hello_timeout,omitempty"`  // for the first bytes of a connection; default 5 s
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
	if l.HelloTimeout <= 0 {
		l.HelloTimeout = 5 * time.Second
	}
	return l
}

// Upstream says how the runner itself reaches the outside.
type Upstream struct {
	DNS string `json:"dns,omitempty"` // HOST:PORT of the resolver; default: the host's configuration
	// Hosts sends a name to ADDR or ADDR:PORT instead of what DNS says. It is an
	// explicit grant of that address, private or not.
	Hosts  map[string]string `json:"hosts,omitempty"`
	CAFile string            `json:"ca_file,omitempty"` // PEM, trusted on top of Config.Roots for terminated hosts
	Proxy  string            `json:"proxy,omitempty"`   // URL of an HTTP proxy that every dial without an override goes through
}
