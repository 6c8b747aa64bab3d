// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/zviz/run/cache/registry"
	"github.com/zviz/run/cache/store"
)

// transport answers the requests of one job to one registry.
type transport struct {
	pool  *Pool
	next  http.RoundTripper
	c     Config
	base  *url.URL
	bases []*url.URL // the first that fits
}

// asked is a request that is being answered.
type asked struct {
	registry.Request
	http *http.Request
	base *url.URL
}

func (p *Pool) transport(next http.RoundTripper, c Config) (*transport, error) {
	t := &transport{pool: p, next: next, c: c}
	if !c.Ecosystem.Known() {
		return nil, fmt.Errorf("packages: ecosystem %q is not known", c.Ecosystem)
	}
	if t.c.Now == nil {
		t.c.Now = time.Now
	}
	if t.c.Observe == nil {
		t.c.Observe = func(Event) {}
	}
	for i, raw := range append([]string{c.Base}, c.Files...) {
		u, err := url.Parse(raw)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf("packages: base %d of %s is no URL of http or https", i, c.Ecosystem)
		}
		u = &url.URL{Scheme: u.Scheme, Host: normalHost(u), Path: strings.TrimRight(u.Path, "/") + "/"}
		t.bases = append(t.bases, u)
	}
	t.base = t.bases[0]
	return t, nil
}

// normalHost is a host in lower case without the port that its scheme has.
func normalHost(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if u.Scheme == "https" {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}

// below finds the base of a URL, and the path below it. What is on one of our
// hosts but below no base is ours too: "/%70refix/x" is the same to a server as
// "/prefix/x", and what is judged by its path must not get past like that.
func (t *transport) below(u *url.URL) (base *url.URL, path string, ours bool) {
	for _, b := range t.bases {
		ours = ours || b.Hostname() == strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
		if b.Scheme == u.Scheme && b.Host == normalHost(u) {
			if path, ok := strings.CutPrefix(u.EscapedPath(), b.EscapedPath()); ok {
				return b, path, true
			}
		}
	}
	return nil, "", ours
}

// RoundTrip answers from the store or from upstream.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	base, path, ours := t.below(r.URL)
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if base == nil || !reads {
		return t.other(r, asked{http: r}, ours)
	}
	q := asked{registry.Classify(t.c.Ecosystem, path), r, base}
	if r.URL.RawQuery != "" {
		q.Kind = registry.Other
	}
	if r.Body != nil {
		_ = r.Body.Close() // a registry takes none; see http.RoundTripper
	}
	resp, err := t.answer(r.Context(), q)
	if refused, ok := errors.AsType[*refusedError](err); ok {
		return t.deny(q, refused), nil
	}
	if up, ok := errors.AsType[*upstreamError](err); ok {
		if redirects(up.status) && q.Kind != registry.File && t.c.Rules.Strict() {
			return t.deny(q, &refusedError{registry.ReasonUnknown, "the registry keeps the metadata of " + t.label(q) + " elsewhere, where no rule of the policy would see it", http.StatusBadGateway}), nil
		}
		return up.response(r), nil
	}
	if err != nil && r.Context().Err() == nil && !t.c.Offline && !t.c.Rules.Strict() && full(err) {
		// A store that cannot be written is no reason for a job to fail. With rules in
		// force it is: they need the metadata.
		ev := t.event(q)
		ev.Verdict, ev.Detail = Note, "passed on without the store: "+err.Error()
		t.c.Observe(ev)
		return t.next.RoundTrip(r)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.label(q), err)
	}
	return resp, nil
}

// full reports whether an error is that of a disk which takes nothing more.
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EROFS) || errors.Is(err, store.ErrNoSpace)
}

func (t *transport) answer(ctx context.Context, q asked) (*http.Response, error) {
	if q.Name != "" {
		if d := t.c.Rules.JudgeName(t.c.Ecosystem, q.Name); !d.Allowed() {
			return nil, refuse(d)
		}
	}
	switch q.Kind {
	case registry.File:
		return t.file(ctx, q)
	case registry.Index, registry.Manifest:
		switch t.c.Ecosystem {
		case registry.NPM:
			return t.npm(ctx, q)
		case registry.Go:
			return t.golang(ctx, q)
		case registry.PyPI:
			return t.pypi(ctx, q)
		case registry.Cargo:
			return t.crate(ctx, q)
		default:
		}
	case registry.Service, registry.Sum, registry.Release:
		return t.plain(ctx, q)
	default:
	}
	return t.other(q.http, q, true)
}

// other lets a request pass that is for no package, unless the rules would have
// to judge it.
func (t *transport) other(r *http.Request, q asked, ours bool) (*http.Response, error) {
	switch {
	case t.c.Offline:
		return t.deny(q, &refusedError{registry.ReasonOffline, "offline, and this is no request that the store can answer: " + r.Method + " " + r.URL.Path, offlineStatus(t.c.Ecosystem)}), nil
	case ours && t.c.Rules.Strict():
		return t.deny(q, &refusedError{registry.ReasonUnknown, "a rule of the policy (minimum age, lockfile, block list) cannot judge this request: " + r.Method + " " + r.URL.Path, http.StatusForbidden}), nil
	default:
		return t.next.RoundTrip(r)
	}
}

// refusedError is a refusal by rule.
type refusedError struct {
	reason, detail string
	status         int
}

func (e *refusedError) Error() string { return e.detail }

func refuse(d registry.Decision) error {
	return &refusedError{d.Reason, d.Detail, http.StatusForbidden}
}

func (t *transport) offline(what string) error {
	return &refusedError{registry.ReasonOffline, "offline, and the package store has no " + what, offlineStatus(t.c.Ecosystem)}
}

// offlineStatus is an answer that a tool does not ask for again: npm does after any
// 5xx, for minutes. apt goes on without a file that a 5xx stands for.
func offlineStatus(e registry.Ecosystem) int {
	if e == registry.NPM {
		return http.StatusForbidden
	}
	return http.StatusGatewayTimeout
}

func (t *transport) deny(q asked, e *refusedError) *http.Response {
	ev := t.event(q)
	ev.Verdict, ev.Reason, ev.Detail = Deny, e.reason, e.detail
	t.c.Observe(ev)
	return refusal(q.http, t.c.Ecosystem, e.status, e.reason, e.detail)
}

func (t *transport) event(q asked) Event {
	return Event{Ecosystem: t.c.Ecosystem, Kind: q.Kind, Name: q.Name, Version: q.Version, Verdict: Allow}
}

// label names a request for people.
func (t *transport) label(q asked) string {
	switch {
	case q.Version != "":
		return q.Name + "@" + q.Version
	case q.Name != "":
		return q.Name
	case q.Path() != "":
		return q.Path()
	default:
		return q.http.URL.Path
	}
}

// key names an entry of the store.
func (t *transport) key(kind string, base *url.URL, path, form string) string {
	return strings.Join([]string{kind, string(t.c.Ecosystem), t.c.Scope, base.String(), path, form}, "\n")
}

// upstreamError is an answer of upstream that is no success.
type upstreamError struct {
	status int
	header http.Header
	body   []byte
}

func (e *upstreamError) Error() string { return fmt.Sprintf("the registry answered %d", e.status) }

func (e *upstreamError) response(r *http.Request) *http.Response {
	header := http.Header{}
	for _, k := range []string{"Content-Type", "Location", "Retry-After"} {
		if v := e.header.Get(k); v != "" {
			header.Set(k, v)
		}
	}
	return respond(r, e.status, header, bytesBody(e.body), int64(len(e.body)))
}

// lockDigests are what the lockfile says of a file, those of its kind.
func (t *transport) lockDigests(q asked, version string) ([]store.Digest, error) {
	lock := t.c.Rules.Lock
	if lock == nil {
		return nil, nil
	}
	all := lock.Digests(t.c.Ecosystem, q.Name, version)
	switch {
	case t.c.Ecosystem == registry.Go:
		algorithm := store.GoZip
		if q.File == registry.GoMod {
			algorithm = store.GoModule
		}
		var kind []store.Digest
		for _, d := range all {
			if d.Algorithm() == algorithm {
				kind = append(kind, d)
			}
		}
		if kind == nil && algorithm == store.GoZip {
			return nil, &refusedError{registry.ReasonLockfile, fmt.Sprintf("%s@%s: go.sum has its go.mod only", q.Name, version), http.StatusForbidden}
		}
		return kind, nil
	case strings.HasSuffix(q.File, registry.MetadataSuffix) && t.c.Ecosystem == registry.PyPI:
		return nil, nil // of the wheel, not of this
	default:
		return all, nil
	}
}
