// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// source is a registry as a configuration names it.
type source struct {
	url    string
	origin string
	// forms are globs of the paths below the URL's own that the ecosystem's protocol
	// has; none means everything below.
	forms []string
	// except are globs of paths below the URL's own that are not meant by forms.
	except []string
	whole  bool // every path of the host, whatever the URL's own
	// wide are globs of paths anywhere on the host, without a credential: a registry
	// may keep its archives beside its index.
	wide      []string
	inject    *Inject
	redirects bool
	ecosystem string // of packages below the URL, if a store knows it
}

// add opens a registry for reading and returns its URL without a user and a
// password: a job never holds a token.
func (p *Preset) add(s source) (clean string, err error) {
	u, to, err := parseSource(s.url, s.origin)
	if err != nil {
		return "", err
	}
	if u.User != nil {
		u.User = nil
		if s.inject == nil {
			p.note("%s: the credentials in its URL are not handed to the job", s.origin)
		}
	}
	if s.inject != nil && u.Scheme == "http" {
		p.note("%s: its credential is not used, since http would show it to everybody on the way", s.origin)
		s.inject = nil
	}
	if u.Scheme == "http" {
		p.plain = append(p.plain, to)
	}
	if s.ecosystem != "" {
		p.registry(Registry{Ecosystem: s.ecosystem, Base: u.String()})
	}
	base := strings.TrimRight(u.EscapedPath(), "/")
	r := Rule{Host: to.host, Ports: []uint16{to.port}, TLS: TLSTerminate, Methods: []string{"GET", "HEAD"}, Origin: s.origin, Inject: s.inject, Redirects: s.redirects}
	switch {
	case s.whole:
	case len(s.forms) > 0:
		for _, form := range s.forms {
			r.Paths = append(r.Paths, base+form)
		}
		for _, form := range s.except {
			r.Except = append(r.Except, base+form)
		}
	case base != "":
		r.Paths = []string{base + "/**"}
	}
	for _, path := range r.Paths {
		if err := CheckPath(path); err != nil || strings.Contains(base, "*") {
			return "", fmt.Errorf("%s: the path of %q cannot be written as a rule", s.origin, clip(redactURL(s.url)))
		}
	}
	p.rule(r)
	if beside := func(w string) bool { return base != "" || !slices.Contains(s.forms, w) }; slices.ContainsFunc(s.wide, beside) {
		r.Paths, r.Except, r.Inject = s.wide, nil, nil
		p.rule(r)
	}
	return u.String(), nil
}

// parseSource reads the URL of a registry.
func parseSource(raw, origin string) (*url.URL, authority, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil || u.Host == "" {
		return nil, authority{}, fmt.Errorf("%s: what it names is no URL", origin) // it may be a password
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, authority{}, fmt.Errorf("%s: the URL of a registry has no query", origin)
	}
	def := uint16(443)
	switch u.Scheme {
	case "https":
	case "http":
		def = 80
	default:
		return nil, authority{}, fmt.Errorf("%s: %q: only http and https can be reached", origin, clip(redactURL(raw)))
	}
	to, err := parseAuthority(u.Host, def)
	if err != nil {
		return nil, authority{}, fmt.Errorf("%s: host %q: %w", origin, clip(u.Host), err)
	}
	return u, to, nil
}

// rule adds a rule unless one like it is there.
func (p *Preset) rule(r Rule) {
	same := func(o Rule) bool {
		return o.Host == r.Host && slices.Equal(o.Ports, r.Ports) && slices.Equal(o.Paths, r.Paths) && slices.Equal(o.Methods, r.Methods) && (o.Inject == nil) == (r.Inject == nil)
	}
	if !slices.ContainsFunc(p.Rules, same) {
		p.Rules = append(p.Rules, r)
	}
}

// finish names the preset in its rules and puts those with a credential first, the
// one for the longest path before others: the first that allows a request counts.
func (p *Preset) finish(name string) {
	p.Name = name
	for i := range p.Rules {
		p.Rules[i].Preset = name
	}
	for i := range p.Registries {
		p.Registries[i].Credential = p.credentialsOf(p.Registries[i])
	}
	rank := func(r Rule) int {
		if r.Inject == nil || len(r.Paths) == 0 {
			return 0
		}
		return -len(slices.MinFunc(r.Paths, func(a, b string) int { return cmp.Compare(len(a), len(b)) }))
	}
	slices.SortStableFunc(p.Rules, func(a, b Rule) int {
		if (a.Inject == nil) != (b.Inject == nil) {
			if a.Inject != nil {
				return -1
			}
			return 1
		}
		return cmp.Compare(rank(a), rank(b))
	})
}

// opens reports whether the preset leads to a host and a port.
func (p *Preset) opens(to authority) bool {
	return slices.ContainsFunc(p.Rules, func(r Rule) bool { return r.Host == to.host && slices.Contains(r.Ports, to.port) })
}

func (p *Preset) note(format string, args ...any) {
	n := fmt.Sprintf(format, args...)
	if !slices.Contains(p.Notes, n) {
		p.Notes = append(p.Notes, n)
	}
}

func (p *Preset) setenv(key, value string) {
	if p.Env == nil {
		p.Env = map[string]string{}
	}
	p.Env[key] = value
}

func (p *Preset) file(path string, content []byte) {
	if p.Files == nil {
		p.Files = map[string][]byte{}
	}
	p.Files[path] = content
}

// RedactURL returns a URL without the user and the password in it.
func RedactURL(s string) string { return redactURL(s) }

// redactURL takes what stands before an '@' out of a text that may be a URL.
func redactURL(s string) string {
	head, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	return head + "://" + rest
}

// registry notes a registry unless it is known.
func (p *Preset) registry(r Registry) {
	for _, o := range p.Registries {
		if o.Ecosystem == r.Ecosystem && o.Base == r.Base {
			return
		}
	}
	p.Registries = append(p.Registries, r)
}

// credentialsOf names the places of all credentials that may be sent to a registry's
// host: what they get may not be everybody's.
func (p *Preset) credentialsOf(r Registry) string {
	_, to, err := parseSource(r.Base, "")
	if err != nil {
		return ""
	}
	var places []string
	for _, rule := range p.Rules {
		if rule.Inject != nil && rule.Host == to.host && slices.Contains(rule.Ports, to.port) && !slices.Contains(places, rule.Inject.ValueFrom) {
			places = append(places, rule.Inject.ValueFrom)
		}
	}
	slices.Sort(places)
	return strings.Join(places, " ")
}
