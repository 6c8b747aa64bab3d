// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
)

// doorsMost bounds how many listeners a policy can ask for.
const doorsMost = 64

// newGateway checks the configuration and makes everything that needs no kernel.
func newGateway(cfg Config) (*gateway, JobFiles, error) {
	if err := cfg.Policy.check(); err != nil {
		return nil, JobFiles{}, err
	}
	for _, preset := range cfg.Presets {
		for _, r := range preset.Rules {
			if err := r.check(); err != nil {
				return nil, JobFiles{}, fmt.Errorf("preset %s: %w", preset.Name, err)
			}
		}
	}
	bundle, err := rootsPEM(cfg.Roots)
	if err != nil {
		return nil, JobFiles{}, err
	}
	if file := cfg.Policy.Upstream.CAFile; file != "" {
		more, err := os.ReadFile(file)
		if err != nil {
			return nil, JobFiles{}, fmt.Errorf("upstream CA: %w", err)
		}
		if !hasCertificate(more) {
			return nil, JobFiles{}, fmt.Errorf("upstream CA %s: no certificate in it", file)
		}
		bundle = slices.Concat(bundle, []byte("\n"), more) // spliced hosts show it to the job
	}
	limits := cfg.Policy.Limits.withDefaults()
	g := &gateway{
		limits: limits,
		judge:  newJudge(cfg.Policy, cfg.Presets),
		rec:    newRecorder(cfg.ID, limits.Events, cfg.Observe),
		log:    cfg.Log,
		roots:  sync.OnceValue(func() *x509.CertPool { return parseRoots(bundle) }),
		hellos: make(chan struct{}, limits.Handshakes),
		conns:  connSet{most: limits.Connections},
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	if ports := g.judge.doors(); len(ports) > doorsMost {
		return nil, JobFiles{}, fmt.Errorf("egress rules name %d ports, at most %d can be open", len(ports), doorsMost)
	}
	if g.dial, err = newDialer(cfg.Policy.Upstream, g.roots); err != nil {
		return nil, JobFiles{}, err
	}
	if hosts := g.judge.terminated(); len(hosts) > 0 {
		if g.ca, err = newJobCA(cfg.ID, hosts); err != nil {
			return nil, JobFiles{}, err
		}
	}
	return g, jobFiles(g.ca, bundle, cfg.Presets), nil
}

// check finds what is wrong with a policy that was not made by ParseRule.
func (p Policy) check() error {
	if p.Mode != "" && p.Mode != ModeDeny && p.Mode != ModeAudit {
		return fmt.Errorf("egress mode %q: want deny or audit", clip(string(p.Mode)))
	}
	for _, r := range p.Rules {
		if err := r.check(); err != nil {
			return err
		}
	}
	for _, host := range p.Deny {
		if want, err := parsePattern(host); err != nil {
			return fmt.Errorf("deny %q: %w", clip(host), err)
		} else if want != host {
			return fmt.Errorf("deny %q: write %q", clip(host), want)
		}
	}
	return nil
}

func (r Rule) check() error {
	want, err := parsePattern(r.Host)
	switch {
	case err != nil:
		return fmt.Errorf("rule for %q: %w", clip(r.Host), err)
	case want != r.Host:
		return fmt.Errorf("rule for %q: write %q", clip(r.Host), want)
	case r.TLS != "" && r.TLS != TLSSplice && r.TLS != TLSTerminate:
		return fmt.Errorf("rule for %s: tls %q: want %s or %s", r.Host, clip(r.TLS), TLSSplice, TLSTerminate)
	case r.TLS == TLSSplice && (len(r.Methods) > 0 || len(r.Paths) > 0):
		return fmt.Errorf("rule for %s: methods and paths need tls: %s", r.Host, TLSTerminate)
	case slices.Contains(r.Ports, 0):
		return fmt.Errorf("rule for %s: port 0", r.Host)
	}
	for _, m := range r.Methods {
		if m == "" || m != strings.ToUpper(m) {
			return fmt.Errorf("rule for %s: method %q: write it in capitals", r.Host, clip(m))
		}
	}
	for _, p := range r.Paths {
		if !strings.HasPrefix(p, "/") {
			return fmt.Errorf("rule for %s: path %q: begins with a slash", r.Host, clip(p))
		}
	}
	return nil
}

// doors are the ports on which every address leads to us. The resolver's and the
// proxy's are open at the gateway's address only; the explicit proxy reaches
// hosts on those ports too.
func (j *judge) doors() []uint16 {
	ports := []uint16{80, 443}
	for _, r := range j.rules {
		for _, p := range r.Ports {
			if p != 53 && p != ProxyPort && !slices.Contains(ports, p) {
				ports = append(ports, p)
			}
		}
	}
	slices.Sort(ports)
	return ports
}

// terminated are the hosts that the job's CA is for.
func (j *judge) terminated() []string {
	var hosts []string
	for _, r := range j.rules {
		if r.Terminates() {
			hosts = append(hosts, strings.TrimPrefix(r.Host, "*."))
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// rootsPEM returns the certificates that this process trusts.
func rootsPEM(given []byte) ([]byte, error) {
	if len(given) > 0 {
		if !hasCertificate(given) {
			return nil, errors.New("trusted roots: no certificate in them")
		}
		return given, nil
	}
	// Where crypto/x509 looks on Linux (root_linux.go).
	for _, path := range []string{
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem",
		"/etc/pki/tls/cacert.pem",
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
		"/etc/ssl/cert.pem",
	} {
		b, err := os.ReadFile(path)
		if err == nil && hasCertificate(b) {
			return b, nil
		}
	}
	return nil, nil // a machine without roots can still splice
}

// hasCertificate looks at the first block only: parsing a system's roots costs
// some milliseconds, so that is left to the first request that needs them.
func hasCertificate(b []byte) bool {
	block, _ := pem.Decode(b)
	return block != nil && block.Type == "CERTIFICATE"
}

func parseRoots(bundle []byte) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(bundle)
	return pool
}

// jobFiles is what the job needs to find its network and to trust it.
func jobFiles(ca *jobCA, roots []byte, presets []Preset) JobFiles {
	f := JobFiles{
		ResolvConf: []byte("nameserver " + GatewayAddr + "\noptions timeout:2 attempts:1 ndots:1\n"),
		Hosts:      []byte("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"),
		CABundle:   roots,
		Env:        caEnv(),
		Files:      map[string][]byte{},
	}
	if ca != nil {
		f.JobCA = ca.pem
		f.CABundle = slices.Concat(roots, []byte("\n"), ca.pem)
		f.Env["NODE_EXTRA_CA_CERTS"] = JobCAPath // it adds to Node's own roots
	}
	for _, p := range presets {
		maps.Copy(f.Env, p.Env)
		maps.Copy(f.Files, p.Files)
	}
	return f
}

// caEnv names the bundle to every tool that does not look for it where the
// system has it. A variable beats the configuration file of the same tool, in
// which an operator may have named another bundle.
func caEnv() map[string]string {
	env := map[string]string{
		"NODE_EXTRA_CA_CERTS": CABundlePath,
		"NODE_USE_ENV_PROXY":  "1", // Node 22.21 and 24: a proxy that a job names counts for fetch too
	}
	for _, name := range []string{
		"SSL_CERT_FILE", "GIT_SSL_CAINFO", "CURL_CA_BUNDLE", "PIP_CERT", "REQUESTS_CA_BUNDLE",
		"CARGO_HTTP_CAINFO", "AWS_CA_BUNDLE", "DENO_CERT", "npm_config_cafile",
	} {
		env[name] = CABundlePath
	}
	return env
}
