// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/internal/spell"
	"github.com/zviz/run/sandbox"
	"github.com/zviz/run/sandbox/seccomp"
)

// maxPolicyBytes bounds a policy file.
const maxPolicyBytes = 1 << 20

// maxPolicyNodes bounds what aliases may make of a policy file: an alias is
// followed like a copy, so that a file of one screen could stand for billions
// of values.
const maxPolicyNodes = 100_000

// PolicyFile is what a policy file says.
type PolicyFile struct {
	Policy  Policy
	Presets []string // names that egress.Discover knows
	// DecidesHosts tells a file that has "presets" or "allow", if only to say
	// "none", from one that leaves the hosts to the flags and the built-ins.
	DecidesHosts bool
}

// PolicyError is an error in a policy file, with its place.
type PolicyError struct {
	File      string
	Line, Col int // from 1; 0 if unknown
	What      string
	Fix       string // what was probably meant, empty if nothing is known
	err       error
}

func (e *PolicyError) Error() string {
	s := e.File
	if e.Line > 0 {
		s += ":" + strconv.Itoa(e.Line)
		if e.Col > 0 {
			s += ":" + strconv.Itoa(e.Col)
		}
	}
	return s + ": " + e.What
}

func (e *PolicyError) Unwrap() error { return e.err }

// Hint says what was probably meant.
func (e *PolicyError) Hint() string { return e.Fix }

// Code is the stable name of the error: policy.unreadable or policy.invalid.
func (e *PolicyError) Code() string {
	if e.err != nil {
		return "policy.unreadable"
	}
	return "policy.invalid"
}

// ReadPolicy reads the policy file name. An error that wraps fs.ErrNotExist
// means that there is none.
func ReadPolicy(name string) (PolicyFile, error) {
	data, err := readRegular(name, maxPolicyBytes)
	if err != nil {
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err
		}
		return PolicyFile{}, &PolicyError{File: name, What: "cannot read the policy file: " + err.Error(), err: err}
	}
	return ParsePolicy(name, data)
}

// readRegular reads a regular file of at most most bytes. It does not wait for
// a pipe and does not read a device.
func readRegular(name string, most int) ([]byte, error) {
	// Stat first, since opening some devices does something; then the file that
	// was opened, since the name may mean another by now.
	if fi, err := os.Stat(name); err != nil {
		return nil, err
	} else if !fi.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if fi, err := f.Stat(); err != nil {
		return nil, err
	} else if !fi.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err != nil {
		return nil, err
	}
	if len(data) > most {
		return nil, fmt.Errorf("larger than %d KiB", most>>10)
	}
	return data, nil
}

// ParsePolicy reads the text of a policy file; name stands in errors. A key that
// is not known is an error, since what it would have restricted would be open.
func ParsePolicy(name string, data []byte) (PolicyFile, error) {
	d := &policyDecoder{name: name, left: maxPolicyNodes}
	if len(data) > maxPolicyBytes {
		return PolicyFile{}, &PolicyError{File: name, What: fmt.Sprintf("larger than %d KiB", maxPolicyBytes>>10)}
	}
	root, err := d.load(data)
	if err != nil {
		return PolicyFile{}, err
	}
	if err := d.file(root); err != nil {
		return PolicyFile{}, err
	}
	return d.out, nil
}

// policyDecoder walks the nodes of a policy file. It decodes by hand, because a
// policy file is read by people first: each error has its line and column and
// says what was meant.
type policyDecoder struct {
	name string
	left int // nodes that may still be visited
	out  PolicyFile
}

// file decodes the whole.
func (d *policyDecoder) file(root *yaml.Node) error {
	p := &d.out.Policy
	version := 0
	err := d.mapping(root, "the policy file", []field{
		parsed(d, "", "version", &version, func(s string) (int, error) {
			if s != "1" {
				return 0, errors.New("this version reads version 1")
			}
			return 1, nil
		}),
		{"egress", d.egress},
		{"limits", d.limits},
		parsed(d, "", "profile", &p.Profile, oneOf(seccomp.ProfileNames()...)),
		parsed(d, "", "rootfs", &p.Rootfs, absolute),
		d.texts("", "write", func(s string) error {
			if !filepath.IsLocal(s) {
				return fmt.Errorf("%q: want a path below the workspace, such as .git", clip(s))
			}
			addNew(&p.Write, filepath.Clean(s))
			return nil
		}),
		d.texts("", "allow_missing", func(s string) error {
			layers, err := sandbox.ParseLayer(s)
			addNew(&p.AllowMissing, layers...)
			return err
		}),
		{"steps", nil},
	})
	if err == nil && version == 0 {
		e := d.errorf(root, `the key "version" is missing`)
		e.Fix = "begin the file with: version: 1"
		return e
	}
	return err
}

func (d *policyDecoder) limits(n *yaml.Node) error {
	const where = "limits"
	l := &d.out.Policy.Limits
	wall := parsed(d, where, "wall", &l.Wall, ParseWall)
	return d.mapping(n, where, []field{
		parsed(d, where, "memory", &l.MemoryBytes, ParseMemory),
		parsed(d, where, "cpus", &l.CPUs, ParseCPUs),
		parsed(d, where, "pids", &l.Pids, ParsePids),
		parsed(d, where, "timeout", &l.Wall, ParseWall),
		{"wall", func(n *yaml.Node) error {
			if l.Wall != 0 {
				return d.errorf(n, "limits.wall and limits.timeout are the same; keep one")
			}
			return wall.set(n)
		}},
		parsed(d, where, "open_files", &l.OpenFiles, ParseOpenFiles),
	})
}

func (d *policyDecoder) egress(n *yaml.Node) error {
	const where = "egress"
	p := &d.out.Policy.Egress
	return d.mapping(n, where, []field{
		parsed(d, where, "mode", &p.Mode, func(s string) (egress.Mode, error) {
			if s == "learn" {
				return "", errors.New("not supported by this version")
			}
			s, err := oneOf(string(egress.ModeDeny), string(egress.ModeAudit))(s)
			return egress.Mode(s), err
		}),
		{"presets", func(n *yaml.Node) error {
			d.out.DecidesHosts = true
			return d.texts(where, "presets", d.preset).set(n)
		}},
		{"allow", func(n *yaml.Node) error {
			d.out.DecidesHosts = true
			return d.list(n, join(where, "allow"), d.rule)
		}},
		d.texts(where, "deny", func(s string) error {
			r, err := hostRule(s)
			if err == nil {
				addNew(&p.Deny, r.Host)
			}
			return err
		}),
		{"limits", d.egressLimits},
		{"upstream", d.upstream},
		{"on_deny", nil},
		{"npm", nil},
		{"steps", nil},
		{"expect_denied", nil},
	})
}

func (d *policyDecoder) preset(s string) error {
	known := egress.Presets()
	switch {
	case slices.Contains(known, s):
		addNew(&d.out.Presets, s)
		return nil
	case egress.IsPreset(s):
		return fmt.Errorf("preset %q is not supported by this version; there are %s", s, strings.Join(known, ", "))
	}
	err := fmt.Errorf("unknown preset %q; there are %s", clip(s), strings.Join(known, ", "))
	if n, ok := spell.Nearest(s, known); ok {
		err = fmt.Errorf("unknown preset %q, did you mean %q?", clip(s), n)
	}
	return err
}

// rule decodes an item of egress.allow: what --allow takes, or a mapping.
func (d *policyDecoder) rule(item *yaml.Node) error {
	const where = "egress.allow"
	p := &d.out.Policy.Egress
	origin := fmt.Sprintf("%s:%d", d.name, item.Line)
	n, err := d.visit(item)
	if err != nil {
		return err
	}
	if n.Kind == yaml.ScalarNode {
		s, at, err := d.text(item, where)
		if err != nil {
			return err
		}
		if egress.IsPreset(s) {
			if err := d.preset(s); err != nil {
				return d.wrap(at, where, err)
			}
			return nil
		}
		r, err := egress.ParseRule(s)
		if err != nil {
			return d.wrap(at, where, err)
		}
		r.Origin = origin
		p.Rules = append(p.Rules, r)
		return nil
	}

	r := egress.Rule{Origin: origin}
	err = d.mapping(n, where, []field{
		parsed(d, where, "host", &r.Host, func(s string) (string, error) {
			h, err := hostRule(s)
			return h.Host, err
		}),
		d.texts(where, "ports", func(s string) error {
			port, err := strconv.ParseUint(s, 10, 16)
			if err != nil || port == 0 {
				return fmt.Errorf("port %q: want a number from 1 to 65535", clip(s))
			}
			addNew(&r.Ports, uint16(port))
			return nil
		}),
		parsed(d, where, "tls", &r.TLS, oneOf(egress.TLSSplice, egress.TLSTerminate)),
		d.texts(where, "methods", func(s string) error {
			if s == "" || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
				return fmt.Errorf("method %q: want capital letters, such as GET", clip(s))
			}
			addNew(&r.Methods, s)
			return nil
		}),
		d.texts(where, "paths", func(s string) error {
			if s[0] != '/' || strings.ContainsAny(s, "?#") {
				return fmt.Errorf("path %q: want a pattern that begins with / and has no query", clip(s))
			}
			addNew(&r.Paths, s)
			return nil
		}),
		parsed(d, where, "max_names", &r.MaxNames, func(s string) (int, error) { return parseCount(s, 1, 1<<20) }),
		{"private", func(n *yaml.Node) error { return d.boolean(n, join(where, "private"), &r.Private) }},
		{"inject", nil},
		{"protocol", nil},
	})
	switch {
	case err != nil:
		return err
	case r.Host == "":
		return d.errorf(item, `%s: the key "host" is missing`, where)
	case r.TLS == egress.TLSSplice && len(r.Methods)+len(r.Paths) > 0:
		return d.errorf(item, "%s: methods and paths cannot be seen with tls: splice", where)
	case r.MaxNames != 0 && !strings.HasPrefix(r.Host, "*."):
		return d.errorf(item, "%s: max_names is for wildcards, and %s is none", where, r.Host)
	}
	p.Rules = append(p.Rules, r)
	return nil
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
	return d.mapping(n, where, []field{
		parsed(d, where, "connections", &l.Connections, count),
		parsed(d, where, "handshakes", &l.Handshakes, count),
		parsed(d, where, "requests", &l.Requests, count),
		parsed(d, where, "dns_per_second", &l.DNSPerSecond, count),
		parsed(d, where, "events", &l.Events, count),
		parsed(d, where, "hello_timeout", &l.HelloTimeout, func(s string) (time.Duration, error) {
			t, err := ParseWall(s)
			if err == nil && t == 0 {
				return 0, errors.New("must not be 0")
			}
			return t, err
		}),
		{"up_bytes_per_host", nil},
		{"misses", nil},
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
		parsed(d, where, "proxy", &u.Proxy, func(s string) (string, error) {
			p, err := url.Parse(s)
			if err != nil || (p.Scheme != "http" && p.Scheme != "https") || p.Host == "" {
				return "", errors.New("want the URL of an HTTP proxy, such as http://proxy.example.com:3128")
			}
			return s, nil
		}),
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

func oneOf(words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		if slices.Contains(words, s) {
			return s, nil
		}
		if n, ok := spell.Nearest(s, words); ok {
			return "", fmt.Errorf("did you mean %q?", n)
		}
		return "", errors.New("want " + strings.Join(words, " or "))
	}
}

func absolute(s string) (string, error) {
	if !filepath.IsAbs(s) {
		return "", errors.New("want an absolute path")
	}
	return filepath.Clean(s), nil
}

// addNew appends the values that are not there yet.
func addNew[T comparable](dst *[]T, values ...T) {
	for _, v := range values {
		if !slices.Contains(*dst, v) {
			*dst = append(*dst, v)
		}
	}
}
