// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/zviz/run/egress"
	"github.com/zviz/run/sandbox"
)

// RegistryAccess is how the runner itself asks a registry, outside of any job.
type RegistryAccess struct {
	Base          string       // URL
	Client        *http.Client // goes through the operator's proxy
	Authorization string       // the header's value for the registry's host; empty: everybody may ask
}

// Registry finds the registry of a preset by the operator's toolchain, and the operator's
// way to it.
func (x *Executor) Registry(ctx context.Context, preset string, way egress.Upstream, allowMissing []sandbox.Layer) (RegistryAccess, error) {
	found, err := x.Presets(ctx, []string{preset}, allowMissing)
	if err != nil {
		return RegistryAccess{}, err
	}
	if len(found) != 1 || len(found[0].Registries) == 0 {
		return RegistryAccess{}, fmt.Errorf("preset %s names no registry", preset)
	}
	reg := found[0].Registries[0]
	client, err := x.client(way)
	if err != nil {
		return RegistryAccess{}, err
	}
	a := RegistryAccess{Base: reg.Base, Client: client}
	in := found[0].CredentialFor(strings.TrimRight(reg.Base, "/") + "/package")
	if in == nil {
		return a, nil
	}
	value, err := x.credential(in.ValueFrom, nil)
	if err != nil {
		return RegistryAccess{}, fmt.Errorf("credential of the %s registry: %w", preset, err)
	}
	a.Authorization = authorization(*in, strings.TrimSpace(value))
	return a, nil
}

// authorization is the header's value as a preset's rule says it.
func authorization(in egress.Inject, value string) string {
	if in.Scheme == "Basic" {
		value = base64.StdEncoding.EncodeToString([]byte(value))
	}
	return strings.TrimSpace(in.Scheme + " " + value)
}

// client goes the way of the operator's policy: its resolver, addresses, certificates and
// proxy, else those of the environment.
func (x *Executor) client(way egress.Upstream) (*http.Client, error) {
	proxies := httpproxy.Config{HTTPSProxy: x.proxyVariable("HTTPS_PROXY"), HTTPProxy: x.proxyVariable("HTTP_PROXY"), NoProxy: x.proxyVariable("NO_PROXY")}
	if way.Proxy != "" {
		proxies = httpproxy.Config{HTTPSProxy: way.Proxy, HTTPProxy: way.Proxy, NoProxy: way.NoProxy}
	}
	proxyFor := proxies.ProxyFunc()
	var roots *x509.CertPool
	for _, file := range []string{x.environ("SSL_CERT_FILE"), way.CAFile} {
		if file == "" {
			continue
		}
		if roots == nil {
			var err error
			if roots, err = x509.SystemCertPool(); err != nil {
				return nil, err
			}
		}
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		roots.AppendCertsFromPEM(pem)
	}
	dialer := &net.Dialer{Timeout: 30 * time.Second}
	if way.DNS != "" {
		dialer.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, way.DNS)
		}}
	}
	return &http.Client{Transport: &http.Transport{
		Proxy:           func(r *http.Request) (*url.URL, error) { return proxyFor(r.URL) },
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, override(way.Hosts, addr))
		},
		TLSHandshakeTimeout: 30 * time.Second, ResponseHeaderTimeout: time.Minute, IdleConnTimeout: 10 * time.Second,
	}}, nil
}

// override is the address that a policy gives for a host: ADDR or ADDR:PORT.
func override(hosts map[string]string, addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	to, ok := hosts[strings.ToLower(host)]
	if !ok {
		return addr
	}
	if ip, err := netip.ParseAddr(to); err == nil {
		return net.JoinHostPort(ip.String(), port)
	}
	return to
}
