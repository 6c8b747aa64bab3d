// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"sync"
)

// doorsMost bounds how many listeners a policy can ask for.
const doorsMost = 64

// newGateway checks the configuration and makes everything that needs no kernel.
func newGateway(cfg Config) (*gateway, JobFiles, error) {
	if err := cfg.Policy.check(); err != nil {
		return nil, JobFiles{}, err
	}
	if err := cfg.checkPackages(); err != nil {
		return nil, JobFiles{}, err
	}
	presets := slices.Concat(cfg.Presets, cfg.StepPresets)
	for _, preset := range presets {
		for _, r := range preset.Rules {
			if err := r.check(); err != nil {
				return nil, JobFiles{}, fmt.Errorf("preset %s: %w", preset.Name, err)
			}
		}
	}
	rules := cfg.Policy.allRules(presets)
	expect, err := allExpected(cfg.Policy.ExpectDenied)
	if err != nil {
		return nil, JobFiles{}, err
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
		if more = onlyCertificates(more); !hasCertificate(more) {
			return nil, JobFiles{}, fmt.Errorf("upstream CA %s: no certificate in it", file)
		}
		bundle = slices.Concat(bundle, []byte("\n"), more) // spliced hosts show it to the job
	}
	limits := cfg.Policy.Limits.withDefaults()
	g := &gateway{
		limits:   limits,
		policies: newPolicies(withPresets(cfg.Policy, cfg.Presets)),
		budget:   budget{most: limits.UpBytes},
		rec:      newRecorder(cfg.ID, limits.Events, cfg.Observe),
		log:      cfg.Log,
		roots:    sync.OnceValue(func() *x509.CertPool { return parseRoots(bundle) }),
		patience: cmp.Or(cfg.patience, slotPatience),
		hellos:   make(chan struct{}, limits.Handshakes),
		conns:    connSet{most: limits.Connections},
		ports:    doors(rules),
		signed:   terminated(rules),
	}
	g.policies.stepOf, g.policies.alive = cfg.StepOf, cfg.LiveSteps
	g.policies.canaries, g.rec.canaries = cfg.Canaries, cfg.Canaries
	g.canaries = cfg.Canaries
	g.rec.expected, g.rec.step = expect, g.policies.step
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	credentials := &injector{off: true}
	if cfg.Policy.Mode != ModeLearn {
		if credentials, err = newInjector(rules, cfg.Credential); err != nil {
			return nil, JobFiles{}, err
		}
	}
	g.lacks = credentials.lacks
	// The credential goes in last and is masked first: no other filter sees it.
	g.credentials, g.packages, g.registries = credentials, cfg.Packages, registries(presets)
	g.filters = slices.Concat([]Filter{pinFilter{}, newMisses(limits.Misses)}, cfg.Filters, []Filter{credentials})
	if len(g.ports) > doorsMost {
		return nil, JobFiles{}, fmt.Errorf("egress rules name %d ports, at most %d can be open", len(g.ports), doorsMost)
	}
	if g.services, err = newServices(g, cfg.Services); err != nil {
		return nil, JobFiles{}, err
	}
	if g.dial, err = newDialer(cfg.Policy.Upstream, cfg.Proxies, limits.ConnectTimeout, g.roots); err != nil {
		return nil, JobFiles{}, err
	}
	if cfg.Offline {
		g.dial.proxies = proxies{skips: func(*url.URL) bool { return true }}
		g.dial.connect = func(context.Context, *net.Dialer, string) (net.Conn, error) { return nil, errOffline }
	}
	if len(g.signed) > 0 {
		if g.ca, err = newJobCA(cfg.ID, g.signed); err != nil {
			return nil, JobFiles{}, err
		}
	}
	files := jobFiles(g.ca, bundle, presets)
	if len(g.services) > 0 {
		// A job that names a proxy, ours too, is to reach them without.
		files.Env["NO_PROXY"], files.Env["no_proxy"] = GatewayAddr, GatewayAddr
	}
	return g, files, files.trustJava(presets)
}

// withPresets adds the rules of presets to those of a policy.
func withPresets(p Policy, presets []Preset) Policy {
	names := make([]string, 0, len(presets))
	for _, preset := range presets {
		names = append(names, preset.Name)
	}
	p.Rules = slices.Concat(p.Rules, presetRules(presets, names))
	return p
}

func allExpected(items []string) ([]expected, error) {
	out := make([]expected, 0, len(items))
	for _, s := range items {
		x, err := parseExpected(s)
		if err != nil {
			return nil, fmt.Errorf("expect_denied %q: %w", clip(s), err)
		}
		out = append(out, x)
	}
	return out, nil
}

// rootsPEM returns the certificates that this process trusts.
func rootsPEM(given []byte) ([]byte, error) {
	if len(given) > 0 {
		if given = onlyCertificates(given); !hasCertificate(given) {
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

// onlyCertificates leaves out a key that stands beside a certificate: the job gets
// the bundle.
func onlyCertificates(b []byte) []byte {
	if !bytes.Contains(b, []byte("PRIVATE KEY-----")) {
		return b
	}
	var out []byte
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			out = append(out, pem.EncodeToMemory(block)...)
		}
	}
	return out
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
