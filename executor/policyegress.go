// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/egress"
	"github.com/zviz/run/internal/spell"
)

// This file decodes the key "egress" of a policy file.

func (d *policyDecoder) egress(n *yaml.Node) error {
	const where = "egress"
	p := &d.out.Policy.Egress
	var pins pins
	err := d.mapping(n, where, []field{
		parsed(d, where, "mode", &p.Mode, words(egress.ModeDeny, egress.ModeAudit, egress.ModeLearn)),
		parsed(d, where, "on_deny", &p.OnDeny, words(egress.FailRequest, egress.FailStep, egress.FailJob)),
		{"presets", func(n *yaml.Node) error {
			d.out.DecidesHosts = true
			return d.texts(where, "presets", preset(&d.out.Presets)).set(n)
		}},
		{"allow", func(n *yaml.Node) error {
			d.out.DecidesHosts = true
			return d.list(n, join(where, "allow"), d.rule(join(where, "allow"), &d.out.Presets, &p.Rules))
		}},
		d.texts(where, "deny", func(s string) error {
			r, err := hostRule(s)
			if err == nil {
				addNew(&p.Deny, r.Host)
			}
			return err
		}),
		d.texts(where, "expect_denied", func(s string) error {
			err := egress.CheckExpected(s)
			if err == nil {
				addNew(&p.ExpectDenied, strings.ToLower(s))
			}
			return err
		}),
		{"npm", d.packageRules("npm", &p.NPM, &pins)},
		{"packages", d.packageRules("packages", &p.Packages, nil)},
		{"limits", d.egressLimits},
		{"steps", func(n *yaml.Node) error { return d.list(n, join(where, "steps"), d.step) }},
		{"upstream", d.upstream},
	})
	if err != nil {
		return err
	}
	return pins.into(d, p)
}

// words reads one of a few words.
func words[T ~string](list ...T) func(string) (T, error) {
	plain := make([]string, len(list))
	for i, w := range list {
		plain[i] = string(w)
	}
	return func(s string) (T, error) {
		s, err := oneOf(plain...)(s)
		return T(s), err
	}
}

// preset adds the name of a preset.
func preset(to *[]string) func(string) error {
	return func(s string) error {
		known := egress.Presets()
		if slices.Contains(known, s) {
			addNew(to, s)
			return nil
		}
		err := fmt.Errorf("unknown preset %q; there are %s", clip(s), strings.Join(known, ", "))
		if n, ok := spell.Nearest(s, known); ok {
			err = fmt.Errorf("unknown preset %q, did you mean %q?", clip(s), n)
		}
		return err
	}
}

// step decodes an item of egress.steps.
func (d *policyDecoder) step(item *yaml.Node) error {
	const where = "egress.steps"
	s := egress.StepPolicy{Origin: d.place(item)}
	err := d.mapping(item, where, []field{
		parsed(d, where, "match", &s.Match, func(m string) (string, error) { return m, egress.CheckMatch(m) }),
		d.texts(where, "presets", preset(&s.Presets)),
		{"allow", func(n *yaml.Node) error {
			return d.list(n, join(where, "allow"), d.rule(join(where, "allow"), &s.Presets, &s.Rules))
		}},
	})
	switch {
	case err != nil:
		return err
	case s.Match == "":
		return d.errorf(item, `%s: the key "match" is missing`, where)
	}
	p := &d.out.Policy.Egress
	if i := slices.IndexFunc(p.Steps, func(o egress.StepPolicy) bool { return o.Match == "*" || o.Match == s.Match }); i >= 0 {
		return d.errorf(item, "%s: match %q is never reached: the first one that matches counts, and %s matches it", where, clip(s.Match), p.Steps[i].Origin)
	}
	p.Steps = append(p.Steps, s)
	return nil
}

// place is "FILE:LINE" of a node.
func (d *policyDecoder) place(n *yaml.Node) string { return fmt.Sprintf("%s:%d", d.name, n.Line) }

// rule decodes an item of a list of hosts: what --allow takes, or a mapping.
func (d *policyDecoder) rule(where string, presets *[]string, rules *[]egress.Rule) func(*yaml.Node) error {
	return func(item *yaml.Node) error {
		n, err := d.visit(item)
		if err != nil {
			return err
		}
		if n.Kind != yaml.ScalarNode {
			r, err := d.ruleKeys(item, n, where)
			if err == nil {
				*rules = append(*rules, r)
			}
			return err
		}
		s, at, err := d.text(item, where)
		if err != nil {
			return err
		}
		if egress.IsPreset(s) {
			if err := preset(presets)(s); err != nil {
				return d.wrap(at, where, err)
			}
			return nil
		}
		r, err := egress.ParseRule(s)
		if err != nil {
			return d.wrap(at, where, err)
		}
		r.Origin = d.place(item)
		*rules = append(*rules, r)
		return nil
	}
}

func (d *policyDecoder) ruleKeys(item, n *yaml.Node, where string) (egress.Rule, error) {
	r := egress.Rule{Origin: d.place(item)}
	if d.rules[r.Origin] == nil {
		d.rules[r.Origin] = item
	}
	err := d.mapping(n, where, []field{
		unquoted(d, where, "host", &r.Host, func(s string) (string, error) {
			h, err := hostRule(s)
			return h.Host, err
		}),
		d.some(where, "ports", func(s string) error {
			port, err := strconv.ParseUint(s, 10, 16)
			if err != nil || port == 0 {
				return fmt.Errorf("port %q: want a number from 1 to 65535", clip(s))
			}
			addNew(&r.Ports, uint16(port))
			return nil
		}),
		parsed(d, where, "protocol", &r.Protocol, func(s string) (string, error) {
			if s != egress.ProtocolTCP {
				return "", errors.New("want tcp, or leave the key out for TLS and HTTP")
			}
			return s, nil
		}),
		parsed(d, where, "tls", &r.TLS, oneOf(egress.TLSSplice, egress.TLSTerminate)),
		d.some(where, "methods", func(s string) error {
			if strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
				return fmt.Errorf("method %q: want capital letters, such as GET", clip(s))
			}
			addNew(&r.Methods, s)
			return nil
		}),
		d.some(where, "paths", func(s string) error {
			if err := egress.CheckPath(s); err != nil {
				return fmt.Errorf("path %q: %w", clip(s), err)
			}
			addNew(&r.Paths, s)
			return nil
		}),
		parsed(d, where, "max_names", &r.MaxNames, func(s string) (int, error) { return parseCount(s, 1, 1<<20) }),
		{"private", func(n *yaml.Node) error { return d.boolean(n, join(where, "private"), &r.Private) }},
		{"websocket", func(n *yaml.Node) error { return d.boolean(n, join(where, "websocket"), &r.WebSocket) }},
		{"inject", func(n *yaml.Node) error { return d.inject(n, join(where, "inject"), &r) }},
	})
	if err != nil {
		return r, err
	}
	if r.Host == "" {
		return r, d.errorf(item, `%s: the key "host" is missing`, where)
	}
	if err := r.CheckKeys(); err != nil {
		return r, d.wrap(item, where, err)
	}
	return r, nil
}

// inject decodes a credential that the job does not hold.
func (d *policyDecoder) inject(n *yaml.Node, where string, r *egress.Rule) error {
	in := egress.Inject{}
	plain := func(s string) (string, error) { return s, nil }
	err := d.mapping(n, where, []field{
		parsed(d, where, "header", &in.Header, plain),
		unquoted(d, where, "value_from", &in.ValueFrom, func(s string) (string, error) {
			if !strings.HasPrefix(s, "env:") && !strings.HasPrefix(s, "file:/") {
				return "", errors.New("want env:NAME or file:/PATH; a credential itself does not stand in a policy file")
			}
			return s, nil
		}),
		parsed(d, where, "scheme", &in.Scheme, plain),
		parsed(d, where, "placeholder", &in.Placeholder, plain),
	})
	if err != nil {
		return err
	}
	if in.ValueFrom == "" {
		return d.errorf(n, `%s: the key "value_from" is missing`, where)
	}
	if in.Header == "" {
		return d.errorf(n, `%s: the key "header" is missing`, where)
	}
	r.Inject = &in
	return nil
}

// packageRules decodes egress.npm, or egress.packages, which has no files beside its
// packages.
func (d *policyDecoder) packageRules(key string, p *egress.PackageRules, files *pins) func(*yaml.Node) error {
	where := join("egress", key)
	return func(n *yaml.Node) error {
		return d.mapping(n, where, []field{
			parsed(d, where, "min_release_age", &p.MinReleaseAge, ParseAge),
			d.texts(where, "exclude", func(s string) error { addNew(&p.Exclude, s); return nil }),
			{"lockfile_only", func(n *yaml.Node) error { return d.boolean(n, join(where, "lockfile_only"), &p.LockfileOnly) }},
			{"publish", func(n *yaml.Node) error {
				if key != "npm" {
					return d.errorf(n, "%s: publish is a grant of egress.npm; other registries need a rule with methods and paths", where)
				}
				return d.boolean(n, join(where, "publish"), &p.Publish)
			}},
			{"prebuilt", func(n *yaml.Node) error {
				if files == nil {
					return d.errorf(n, "%s: prebuilt is a key of egress.npm", where)
				}
				return d.list(n, join(where, "prebuilt"), func(item *yaml.Node) error { return d.pin(item, join(where, "prebuilt"), files) })
			}},
			d.texts(where, "block", func(s string) error {
				b, err := registry.ParseBlocked(s)
				if err == nil && key == "npm" {
					err = b.Check(registry.NPM)
				}
				if err == nil {
					addNew(&p.Block, s)
				}
				return err
			}),
		})
	}
}

// hostRule reads a host or a wildcard without a port.
func hostRule(s string) (egress.Rule, error) {
	r, err := egress.ParseRule(s)
	if err == nil && len(r.Ports) > 0 {
		return r, fmt.Errorf("host %q: without a port here; use the key \"ports\"", clip(s))
	}
	return r, err
}

func (d *policyDecoder) egressLimits(n *yaml.Node) error {
	const where = "egress.limits"
	l := &d.out.Policy.Egress.Limits
	count := func(s string) (int, error) { return parseCount(s, 1, 1<<20) }
	wait := func(s string) (time.Duration, error) {
		t, err := ParseWall(s)
		if err == nil && t == 0 {
			return 0, errors.New("must not be 0")
		}
		return t, err
	}
	return d.mapping(n, where, []field{
		parsed(d, where, "connections", &l.Connections, count),
		parsed(d, where, "handshakes", &l.Handshakes, count),
		parsed(d, where, "requests", &l.Requests, count),
		parsed(d, where, "dns_per_second", &l.DNSPerSecond, count),
		parsed(d, where, "events", &l.Events, count),
		parsed(d, where, "hello_timeout", &l.HelloTimeout, wait),
		parsed(d, where, "connect_timeout", &l.ConnectTimeout, wait),
		parsed(d, where, "idle_timeout", &l.IdleTimeout, wait),
		parsed(d, where, "up_bytes_per_host", &l.UpBytes, func(s string) (int64, error) {
			size, err := ParseBytes(s)
			if err == nil && size == 0 {
				return 0, errors.New("must not be 0: to allow a host nothing, leave it out of allow")
			}
			return size, err
		}),
		parsed(d, where, "misses", &l.Misses, count),
	})
}

func (d *policyDecoder) upstream(n *yaml.Node) error {
	const where = "egress.upstream"
	u := &d.out.Policy.Egress.Upstream
	return d.mapping(n, where, []field{
		parsed(d, where, "dns", &u.DNS, func(s string) (string, error) {
			if host, port, ok := cutPort(s); !ok || host == "" || port == 0 {
				return "", errors.New("want HOST:PORT, such as 192.0.2.53:53")
			}
			return s, nil
		}),
		{"hosts", d.upstreamHosts},
		parsed(d, where, "ca_file", &u.CAFile, absolute),
		unquoted(d, where, "proxy", &u.Proxy, func(s string) (string, error) {
			p, err := url.Parse(s)
			if err != nil || (p.Scheme != "http" && p.Scheme != "https") || p.Hostname() == "" {
				return "", errors.New("want the URL of an HTTP proxy, such as http://proxy.example.com:3128")
			}
			return s, nil
		}),
		parsed(d, where, "no_proxy", &u.NoProxy, func(s string) (string, error) { return s, nil }),
	})
}

// upstreamHosts decodes names with the addresses that they stand for.
func (d *policyDecoder) upstreamHosts(n *yaml.Node) error {
	const where = "egress.upstream.hosts"
	u := &d.out.Policy.Egress.Upstream
	n, err := d.visit(n)
	if err != nil {
		return err
	}
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return d.errorf(n, "%s: want NAME: ADDRESS, got %s", where, describeNode(n))
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, at, err := d.text(n.Content[i], where)
		if err != nil {
			return err
		}
		r, err := hostRule(name)
		if err == nil && strings.HasPrefix(r.Host, "*.") {
			err = errors.New("a wildcard has no address")
		}
		if err != nil {
			return d.wrap(at, where, err)
		}
		addr, at, err := d.text(n.Content[i+1], where)
		if err != nil {
			return err
		}
		if _, err := netip.ParseAddr(addr); err != nil {
			if ap, err := netip.ParseAddrPort(addr); err != nil || ap.Port() == 0 {
				return d.errorf(at, "%s %q: want an address such as 192.0.2.7 or 192.0.2.7:8443", where, clip(addr))
			}
		}
		if _, dup := u.Hosts[r.Host]; dup {
			return d.errorf(n.Content[i], "%s: %s is there twice", where, r.Host)
		}
		if u.Hosts == nil {
			u.Hosts = map[string]string{}
		}
		u.Hosts[r.Host] = addr
	}
	return nil
}

// cutPort splits HOST:PORT; the host may be an IPv6 address in brackets.
func cutPort(s string) (host string, port uint16, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", 0, false
	}
	n, err := strconv.ParseUint(s[i+1:], 10, 16)
	host = s[:i]
	if inner, v6 := strings.CutPrefix(host, "["); v6 {
		inner, closed := strings.CutSuffix(inner, "]")
		if a, err := netip.ParseAddr(inner); !closed || err != nil || !a.Is6() {
			return "", 0, false
		}
		return host, uint16(n), err == nil
	}
	return host, uint16(n), err == nil && !strings.ContainsAny(host, ":/ ")
}
