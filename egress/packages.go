// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Registry is where packages of an ecosystem come from, as a preset found it.
type Registry struct {
	Ecosystem string `json:"ecosystem"` // npm, go, pypi, cargo, debian
	Base      string `json:"base"`      // URL
	// Files are URLs of further places where the registry keeps its files.
	Files []string `json:"files,omitempty"`
	// SumDB is Go's checksum database, as GOSUMDB names it, without a URL.
	SumDB string `json:"sumdb,omitempty"`
	// Credential names the place of the credential that it is asked with, empty if
	// everybody may.
	Credential string `json:"credential,omitempty"`
}

// Packages answers requests to registries: from a store, by rules about packages. It
// stands between the judge of a request and the dial.
type Packages interface {
	// Transport returns what answers one request of a job to a registry. With next it
	// may ask the registry anything that the policy allows; the credential is put in
	// there. Told is called with what was found out, from any goroutine, at the latest
	// when the answer has been read.
	Transport(r Registry, next http.RoundTripper, told func(Fetched)) (http.RoundTripper, error)
	// Strict reports whether rules about packages are in force for a registry.
	Strict(r Registry) bool
}

// Fetched is what was found out about a request to a registry.
type Fetched struct {
	Ecosystem string   `json:"ecosystem"`
	Name      string   `json:"name,omitempty"`
	Version   string   `json:"version,omitempty"`
	Digest    string   `json:"digest,omitempty"`     // that was verified: "sha512-…" as in a lockfile
	Hidden    []string `json:"hidden,omitempty"`     // versions that the job does not see, or the newest of them; the newest last
	FromStore bool     `json:"from_store,omitempty"` // the registry was not asked

	Verdict Verdict `json:"-"`
	Reason  string  `json:"-"`
	Detail  string  `json:"-"` // for people
}

// withheld names what the job did not get of a registry: what was refused, or the newest
// version that was taken out of metadata. Empty if it got all.
func (e *Event) withheld() string {
	p := e.Fetched
	switch {
	case p == nil || p.Name == "":
		return ""
	case len(p.Hidden) > 0:
		return p.Name + "@" + p.Hidden[len(p.Hidden)-1]
	case e.Verdict != VerdictDeny && e.Verdict != VerdictWouldDeny:
		return ""
	case p.Version == "":
		return p.Name
	default:
		return p.Name + "@" + p.Version
	}
}

// HiddenMost bounds Fetched.Hidden: some packages have thousands of versions. The event's
// hint says how many there are.
const HiddenMost = 50

// findings are what a request's transports find out, maybe after it ended.
type findings struct {
	mu         sync.Mutex
	pkg        *Fetched
	up         int64
	injected   bool
	redirected []string
}

func (f *findings) tell(p Fetched) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pkg = &p
}

// into puts them into the request's event.
func (f *findings) into(e *Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e.Up += f.up
	e.Injected = e.Injected || f.injected
	for _, host := range f.redirected {
		if !slices.Contains(e.Redirected, host) {
			e.Redirected = append(e.Redirected, host)
		}
	}
	p := f.pkg
	if p == nil {
		return
	}
	e.Fetched = p
	if p.Verdict != "" && p.Verdict != VerdictAllow {
		e.Verdict, e.Reason, e.Hint = p.Verdict, p.Reason, p.Detail
	}
}

// findRegistry returns the registry that a store answers for; nil if there is none.
func (q *request) findRegistry(out *http.Request, scheme string, to authority) *Registry {
	g := q.web.g
	if g.packages == nil || q.x == nil {
		return nil
	}
	path := out.URL.EscapedPath()
	if q.x.Rule.Preset != "" {
		if r, ok := nearest(g.registries[q.x.Rule.Preset], scheme, to, path); ok {
			return &r
		}
		return nil
	}
	// A rule of its own opens more of the host, but takes no rule about packages back:
	// what reads the registry is judged, also by a path that no preset has.
	if out.Method != http.MethodGet && out.Method != http.MethodHead {
		return nil
	}
	for _, preset := range slices.Sorted(maps.Keys(g.registries)) {
		for _, r := range g.registries[preset] {
			if g.packages.Strict(r) && r.mayHave(to, path) {
				return &r
			}
		}
	}
	return nil
}

// mayHave reports whether a path is below one of the registry's, as some server may read
// it. What answers by TLS may answer without, and the other way round.
func (r Registry) mayHave(to authority, path string) bool {
	path, plain := canonicalPath(path)
	path = strings.NewReplacer("%2F", "/", "%5C", "/").Replace(path)
	for _, raw := range append([]string{r.Base}, r.Files...) {
		u, at, err := parseSource(raw, "")
		if err != nil || at.host != to.host || at.port != to.port && (!isWeb(at.port) || !isWeb(to.port)) {
			continue
		}
		if base, ok := canonicalPath(strings.TrimRight(u.EscapedPath(), "/") + "/"); !ok || !plain || strings.HasPrefix(path, base) {
			return true
		}
	}
	return false
}

func isWeb(port uint16) bool { return port == 80 || port == 443 }

// Unseen returns a rule of the policy by which nobody sees what a registry answers: no
// rule about packages can be kept then.
func (p Policy) Unseen(r Registry) (Rule, bool) {
	rules := slices.Clone(p.Rules)
	for _, s := range p.Steps {
		rules = append(rules, s.Rules...)
	}
	for _, raw := range append([]string{r.Base}, r.Files...) {
		u, to, err := parseSource(raw, "")
		if err != nil {
			continue
		}
		for _, rule := range rules {
			if rule.Hides(Rule{Host: to.host, Ports: []uint16{to.port}}) && (u.Scheme == "https" || rule.Protocol != "") {
				return rule, true
			}
		}
	}
	return Rule{}, false
}

// packages returns what answers in the place of a registry; nil if none is asked.
func (q *request) packages() (http.RoundTripper, error) {
	if q.registry == nil {
		return nil, nil
	}
	q.found = &findings{}
	r := *q.registry
	if in := q.x.inject; in != nil && !strings.Contains(r.Credential, in.ValueFrom) {
		r.Credential = strings.TrimSpace(r.Credential + " " + in.ValueFrom)
	}
	return q.web.g.packages.Transport(r, asking{q, q.found}, q.found.tell)
}

// nearest finds the registry with the longest base that the path is below, else
// one of the same host: rules about packages hold for all that it answers.
func nearest(all []Registry, scheme string, to authority, path string) (best Registry, ok bool) {
	length := -1
	for _, r := range all {
		for _, raw := range append([]string{r.Base}, r.Files...) {
			u, err := url.Parse(raw)
			if err != nil || u.Scheme != scheme {
				continue
			}
			at, err := parseAuthority(u.Host, defaultPort(scheme))
			if err != nil || at != to {
				continue
			}
			n := 0
			if base := strings.TrimRight(u.EscapedPath(), "/") + "/"; strings.HasPrefix(path, base) {
				n = len(base)
			}
			if n > length {
				best, ok, length = r, true, n
			}
		}
	}
	return best, ok
}

func defaultPort(scheme string) uint16 {
	if scheme == "http" {
		return 80
	}
	return 443
}

// asking asks a registry for a store of packages: what the policy allows the job,
// and with the rule's credential.
type asking struct {
	q     *request
	found *findings
}

func (a asking) RoundTrip(r *http.Request) (*http.Response, error) {
	w := a.q.web
	to, err := parseAuthority(r.URL.Host, defaultPort(r.URL.Scheme))
	if err != nil {
		return nil, err
	}
	d := a.q.judge(to)
	var ruled ruling
	if !d.denied() {
		ruled = d.request(r.Method, r.URL.EscapedPath())
	}
	if !ruled.ruled() {
		return nil, fmt.Errorf("no rule allows %s of %s, which the package needs", clip(r.URL.Path), to)
	}
	out := r.Clone(r.Context())
	out.URL.Host = to.String()
	// The store's requests may end after the job's own: nothing of that is touched.
	own := &request{web: w, conn: a.q.conn, start: a.q.start}
	own.x = &Exchange{Host: to.host, Port: to.port, TLS: r.URL.Scheme == "https", Rule: ruled.rule, Asked: http.Header{}, Out: out, Event: &own.event, inject: ruled.inject}
	if _, err := w.g.credentials.Request(own.x); err != nil {
		return nil, err
	}
	head := headSize(out)
	if w.g.budget.take(to.host, head) < head {
		return nil, errUpCap
	}
	resp, err := own.client(d.private()).RoundTrip(out)
	if err == nil {
		if err = w.g.credentials.Response(own.x, resp); err != nil {
			_ = resp.Body.Close()
		}
	}
	a.found.mu.Lock()
	defer a.found.mu.Unlock()
	a.found.up += int64(head) + own.event.Up
	a.found.injected = a.found.injected || own.event.Injected
	a.found.redirected = append(a.found.redirected, own.event.Redirected...)
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// CredentialFor returns what is put into a request to read a URL of one of the preset's
// hosts, nil if nothing is.
func (p Preset) CredentialFor(rawURL string) *Inject {
	_, to, path, err := Question{URL: rawURL}.parse()
	if err != nil {
		return nil
	}
	return newJudge(Policy{Rules: p.Rules}, &nameCounter{}, "").host(to.host, to.port).request("GET", path).inject
}

// PublishRules are those that let a job write packages to the npm registries of
// presets, and nothing else there (github.com/npm/registry, docs/REGISTRY-API.md).
func PublishRules(presets []Preset) []Rule {
	var out []Rule
	for _, p := range presets {
		for _, r := range p.Registries {
			if r.Ecosystem != "npm" {
				continue
			}
			u, to, err := parseSource(r.Base, "")
			if err != nil {
				continue
			}
			base := strings.TrimRight(u.EscapedPath(), "/")
			rule := Rule{Host: to.host, Ports: []uint16{to.port}, TLS: TLSTerminate, Methods: []string{"PUT"}, Paths: []string{base + "/*", base + "/@*%2F*"}, Origin: "egress.npm.publish"}
			rule.Inject = p.CredentialFor(strings.TrimRight(r.Base, "/") + "/package")
			out = append(out, rule)
		}
	}
	return out
}

// registries are those of presets by the preset's name.
func registries(presets []Preset) map[string][]Registry {
	out := map[string][]Registry{}
	for _, p := range presets {
		out[p.Name] = append(out[p.Name], p.Registries...)
	}
	return out
}

// errOffline says that nothing outside may be asked.
var errOffline = errors.New("offline: only the package store answers")
