// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// add opens the host of a registry's URL and returns the URL without a user and
// a password: a job never holds a token. below closes everything but its path.
func (p *Preset) add(name, rawURL, origin string, below bool) (clean string, err error) {
	u, err := url.Parse(strings.TrimSpace(rawURL))
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("%s: %q is no URL", origin, clip(redactURL(rawURL)))
	}
	def := uint16(443)
	switch u.Scheme {
	case "https":
	case "http":
		def = 80
	default:
		return "", fmt.Errorf("%s: %q: only http and https can be reached", origin, clip(redactURL(rawURL)))
	}
	to, err := parseAuthority(u.Host, def)
	if err != nil {
		return "", fmt.Errorf("%s: host %q: %w", origin, clip(u.Host), err)
	}
	if u.User != nil {
		u.User = nil
		p.note("%s: the credentials in its URL are not handed to the job", origin)
	}
	r := Rule{Host: to.host, Ports: []uint16{to.port}, TLS: TLSTerminate, Methods: []string{"GET", "HEAD"}, Preset: name, Origin: origin}
	if base := strings.TrimRight(u.Path, "/"); below && base != "" {
		r.Paths = []string{base + "/**"}
	}
	p.rule(r)
	return u.String(), nil
}

// rule adds a rule unless one like it is there.
func (p *Preset) rule(r Rule) {
	same := func(o Rule) bool {
		return o.Host == r.Host && slices.Equal(o.Ports, r.Ports) && slices.Equal(o.Paths, r.Paths)
	}
	if !slices.ContainsFunc(p.Rules, same) {
		p.Rules = append(p.Rules, r)
	}
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
