// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ProtocolTCP opens a host's ports to any protocol: the host gets an address of its
// own inside, since nothing in the connection names it. It is opaque.
const ProtocolTCP = "tcp"

// How the TLS of an allowed host is treated.
const (
	TLSSplice    = "splice"    // bytes pass as they are; opaque
	TLSTerminate = "terminate" // decrypted with the job's CA, each request judged
)

// Rule allows a host.
type Rule struct {
	// Host is a name in lower case without a trailing dot, or "*.name": one or
	// more labels below name, never name itself.
	Host  string   `json:"host"`
	Ports []uint16 `json:"ports,omitempty"` // default 443, and 80 for plain HTTP
	// Protocol is empty for TLS and HTTP, or ProtocolTCP, which needs Ports.
	Protocol string `json:"protocol,omitempty"`
	// TLS is TLSSplice or TLSTerminate; empty means terminate for a rule that has
	// a Preset, Methods, Paths or Inject, else splice.
	TLS     string   `json:"tls,omitempty"`
	Methods []string `json:"methods,omitempty"` // default: GET and HEAD for a Preset or with Inject, else all
	// Paths are globs, default all: "*" is anything within a segment, "**" anything
	// at all. A path that servers read in different ways matches none.
	Paths []string `json:"paths,omitempty"`
	// Except are globs of paths that are not among Paths, though these match them.
	Except   []string `json:"except,omitempty"`
	MaxNames int      `json:"max_names,omitempty"` // distinct names of a wildcard in one job; default 64
	Private  bool     `json:"private,omitempty"`   // may resolve to an address that is not global
	// WebSocket lets requests become WebSockets where they are seen, on HTTP and on
	// terminated hosts. What then goes through is opaque.
	WebSocket bool    `json:"websocket,omitempty"`
	Inject    *Inject `json:"inject,omitempty"` // a credential that the job does not hold
	// Redirects has the gateway itself follow the host's redirects to hosts that the
	// job may not reach: GET and HEAD, by https, of that one URL, without a credential.
	Redirects bool `json:"redirects,omitempty"`
	// SHA256, in hex, is what the one file of the rule must have: see PinRule.
	SHA256 string `json:"sha256,omitempty"`
	Preset string `json:"preset,omitempty"` // the preset that made it
	Origin string `json:"origin,omitempty"` // where it was written: "--allow", a file, a tool
}

// defaultMaxNames is the cap on names of one wildcard (threat 7).
const defaultMaxNames = 64

// ParseRule reads an item of --allow: "host", "host:port", "*.host" or
// "*.host:port". The host is a name; addresses, URLs and paths are refused.
func ParseRule(s string) (Rule, error) {
	if strings.Contains(s, "://") {
		return Rule{}, fmt.Errorf("host %q: is a URL; write only its host, and a port after a colon if it is not 443 or 80", clip(redactURL(s)))
	}
	if i := strings.LastIndexByte(s, '@'); i >= 0 { // what stands before it may be a password
		return Rule{}, fmt.Errorf("host %q: only a host name and a port, no path or user", clip(s[i+1:]))
	}
	if strings.ContainsAny(s, "/?#") {
		return Rule{}, fmt.Errorf("host %q: only a host name and a port, no path or user", clip(s))
	}
	host, port, hasPort := strings.Cut(s, ":")
	if strings.Contains(port, ":") || strings.HasPrefix(s, "[") {
		return Rule{}, fmt.Errorf("host %q: is an IPv6 address; only names can be allowed (an address is granted by egress.upstream.hosts)", clip(s))
	}
	r := Rule{}
	if hasPort {
		n, err := parsePort(port)
		if err != nil {
			return Rule{}, fmt.Errorf("host %q: %w", clip(s), err)
		}
		r.Ports = []uint16{n}
	}
	pattern, err := parsePattern(host)
	if err != nil {
		return Rule{}, fmt.Errorf("host %q: %w", clip(s), err)
	}
	r.Host = pattern
	return r, nil
}

// parsePattern reads a host or a wildcard.
func parsePattern(s string) (string, error) {
	rest, wild := strings.CutPrefix(s, "*.")
	if strings.Contains(rest, "*") {
		return "", fmt.Errorf("a wildcard is only the whole first label: %q", "*.example.test")
	}
	host, err := normalizeHost(rest)
	if err != nil {
		return "", err
	}
	if !wild {
		return host, nil
	}
	if !strings.Contains(host, ".") {
		return "", fmt.Errorf("wildcard over a whole top-level domain %q", host)
	}
	return "*." + host, nil
}

// parsePort reads a port in its one decimal form.
func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("port %q: want a number from 1 to 65535", clip(s))
	}
	return uint16(n), nil
}

// String returns the rule in the form that ParseRule reads; with more than one
// port they are joined by commas.
func (r Rule) String() string {
	if len(r.Ports) == 0 {
		return r.Host
	}
	ports := make([]string, len(r.Ports))
	for i, p := range r.Ports {
		ports[i] = strconv.Itoa(int(p))
	}
	return r.Host + ":" + strings.Join(ports, ",")
}

// MatchHost reports whether the rule names host, which must be normal.
func (r Rule) MatchHost(host string) bool { return matchPattern(r.Host, host) }

// MatchPort reports whether the rule opens the port.
func (r Rule) MatchPort(port uint16) bool {
	if len(r.Ports) == 0 {
		return port == 443 || port == 80
	}
	return slices.Contains(r.Ports, port)
}

// Terminates reports whether the TLS of the host ends at the gateway.
func (r Rule) Terminates() bool {
	switch r.TLS {
	case TLSTerminate:
		return true
	case TLSSplice:
		return false
	default:
		return r.Protocol == "" && (r.Preset != "" || len(r.Methods) > 0 || len(r.Paths) > 0 || r.Inject != nil)
	}
}

// seen reports whether a rule can only be kept if each request is seen.
func (r Rule) seen() bool { return len(r.Methods) > 0 || len(r.Paths) > 0 || r.Inject != nil }

func (r Rule) wildcard() bool { return strings.HasPrefix(r.Host, "*.") }

// matchPattern matches a normal host with a host or a wildcard.
func matchPattern(pattern, host string) bool {
	suffix, wild := strings.CutPrefix(pattern, "*")
	if !wild {
		return pattern == host
	}
	return len(host) > len(suffix) && strings.HasSuffix(host, suffix)
}
