// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// check finds what is wrong with a policy, whoever made it.
func (p Policy) check() error {
	switch p.Mode {
	case "", ModeDeny, ModeAudit, ModeLearn:
	default:
		return fmt.Errorf("egress mode %q: want deny, audit or learn", clip(string(p.Mode)))
	}
	switch p.OnDeny {
	case "", FailRequest, FailStep, FailJob:
	default:
		return fmt.Errorf("egress on_deny %q: want fail-request, fail-step or fail-job", clip(string(p.OnDeny)))
	}
	for _, r := range p.Rules {
		if err := r.check(); err != nil {
			return err
		}
	}
	if err := checkPins(p.Rules); err != nil {
		return err
	}
	for _, host := range p.Deny {
		if want, err := parsePattern(host); err != nil {
			return fmt.Errorf("deny %q: %w", clip(host), err)
		} else if want != host {
			return fmt.Errorf("deny %q: write %q", clip(host), want)
		}
	}
	for _, s := range p.ExpectDenied {
		if _, err := parseExpected(s); err != nil {
			return fmt.Errorf("expect_denied %q: %w", clip(s), err)
		}
	}
	for _, s := range p.Steps {
		if err := CheckMatch(s.Match); err != nil {
			return fmt.Errorf("steps: %w", err)
		}
		for _, r := range s.Rules {
			if err := r.check(); err != nil {
				return fmt.Errorf("steps, %s: %w", s.Match, err)
			}
		}
		if err := checkPins(s.Rules); err != nil {
			return fmt.Errorf("steps, %s: %w", s.Match, err)
		}
	}
	for _, w := range p.Within {
		if err := w.check(); err != nil {
			return err
		}
	}
	return nil
}

func (r Rule) check() error {
	want, err := parsePattern(r.Host)
	if err != nil {
		return fmt.Errorf("rule for %q: %w", clip(r.Host), err)
	}
	if want != r.Host {
		return fmt.Errorf("rule for %q: write %q", clip(r.Host), want)
	}
	if err := r.CheckKeys(); err != nil {
		return fmt.Errorf("rule for %s: %w", r.Host, err)
	}
	for _, m := range r.Methods {
		if m == "" || strings.Trim(m, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") != "" {
			return fmt.Errorf("rule for %s: method %q: want capital letters, such as GET", r.Host, clip(m))
		}
	}
	for _, p := range slices.Concat(r.Paths, r.Except) {
		if err := CheckPath(p); err != nil {
			return fmt.Errorf("rule for %s: path %q: %w", r.Host, clip(p), err)
		}
	}
	return nil
}

// CheckKeys says which keys of a rule contradict each other.
func (r Rule) CheckKeys() error {
	switch {
	case r.TLS != "" && r.TLS != TLSSplice && r.TLS != TLSTerminate:
		return fmt.Errorf("tls %q: want %s or %s", clip(r.TLS), TLSSplice, TLSTerminate)
	case r.Protocol != "" && r.Protocol != ProtocolTCP:
		return fmt.Errorf("protocol %q: want %s, or leave it out for TLS and HTTP", clip(r.Protocol), ProtocolTCP)
	case r.Protocol != "" && (r.TLS != "" || r.seen()):
		return errors.New("nothing is seen of protocol: tcp, so it goes with none of tls, methods, paths and inject")
	case r.Protocol != "" && len(r.Ports) == 0:
		return errors.New("protocol: tcp needs ports")
	case r.TLS == TLSSplice && (len(r.Methods) > 0 || len(r.Paths) > 0):
		return errors.New("methods and paths cannot be seen with tls: splice")
	case r.TLS == TLSSplice && r.Inject != nil:
		return errors.New("inject cannot be done with tls: splice")
	case r.WebSocket && (r.Protocol != "" || r.Inject != nil || r.Preset != ""):
		return errors.New("websocket goes with none of protocol: tcp, inject and a preset")
	case slices.Contains(r.Ports, 0):
		return errors.New("port 0")
	case r.Protocol != "" && (slices.Contains(r.Ports, 53) || slices.Contains(r.Ports, ProxyPort)):
		return fmt.Errorf("protocol: tcp cannot have the ports 53 and %d, which are the gateway's own", ProxyPort)
	case r.MaxNames != 0 && !r.wildcard():
		return fmt.Errorf("max_names is for wildcards, and %s is none", clip(r.Host))
	case r.SHA256 != "":
		return r.checkPin()
	case r.Inject != nil:
		return r.Inject.check()
	}
	return nil
}

// expected is an item of Policy.ExpectDenied.
type expected struct {
	host string     // pattern; empty for an address
	addr netip.Addr // of a connection without a name
	port uint16     // 0: any
}

// CheckExpected says what is wrong with an item of Policy.ExpectDenied.
func CheckExpected(s string) error {
	_, err := parseExpected(s)
	return err
}

func parseExpected(s string) (expected, error) {
	if ap, err := netip.ParseAddrPort(s); err == nil && ap.Port() != 0 && ap.Addr().Is4() {
		return expected{addr: ap.Addr(), port: ap.Port()}, nil
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Is4() {
		return expected{addr: a}, nil
	}
	r, err := ParseRule(s)
	if err != nil {
		return expected{}, err
	}
	x := expected{host: r.Host}
	if len(r.Ports) > 0 {
		x.port = r.Ports[0]
	}
	return x, nil
}

// meets reports whether a refusal is the one that was expected.
func (x expected) meets(e Event) bool {
	if x.port != 0 && e.Port != x.port && e.Door != DoorDNS {
		return false
	}
	if x.addr.IsValid() {
		addr := e.Host
		if addr == "" {
			addr = e.Dst
			if ap, err := netip.ParseAddrPort(e.Dst); err == nil {
				addr = ap.Addr().String()
			}
		}
		return addr == x.addr.String()
	}
	return e.Host != "" && matchPattern(x.host, e.Host)
}

// checkPackages finds rules about packages that nobody keeps: silence would be an
// open door.
func (c Config) checkPackages() error {
	if c.Packages != nil {
		return nil
	}
	if !c.Policy.NPM.Zero() || !c.Policy.Packages.Zero() || c.Offline {
		return errors.New("rules about packages, and offline, need a package store")
	}
	return nil
}
