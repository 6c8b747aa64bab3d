// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Question is a request that nobody makes: Ask says what would become of it.
type Question struct {
	Method string // empty means GET
	URL    string // https://, http:// or tcp://; a host and a port alone means https
	Step   StepName
}

// Answer is what a policy makes of a Question.
type Answer struct {
	URL     string  `json:"url"`
	Method  string  `json:"method,omitempty"`
	Host    string  `json:"host"`
	Port    uint16  `json:"port"`
	Allowed bool    `json:"allowed"`
	Verdict Verdict `json:"verdict"`
	Reason  string  `json:"reason,omitempty"`
	Rule    string  `json:"rule"`
	Origin  string  `json:"origin,omitempty"` // where the rule was written
	// Seen says how much of the request the gateway sees: "request", or "host" of
	// what is spliced or plain tcp, where method and path say nothing.
	Seen     string `json:"seen"`
	Injected bool   `json:"injected,omitempty"`
	Fix      string `json:"fix,omitempty"` // the flag that would allow it
}

// Ask judges a request without making it. What only shows at run time is not
// looked at: the address of a name, limits, what a request carries.
func (p Policy) Ask(presets, stepPresets []Preset, q Question) (Answer, error) {
	if err := p.check(); err != nil {
		return Answer{}, err
	}
	scheme, to, path, err := q.parse()
	if err != nil {
		return Answer{}, err
	}
	policy := withPresets(p, presets).ForStep(q.Step, slices.Concat(presets, stepPresets))
	d := newJudge(policy, &nameCounter{}, "").host(to.host, to.port)
	a := Answer{URL: q.URL, Host: to.host, Port: to.port, Verdict: d.verdict, Reason: d.reason, Rule: d.rule, Seen: "host"}
	if len(d.rules) > 0 && !d.denied() {
		a.Origin = d.rules[0].Origin
	}
	switch {
	case d.denied():
	case scheme == "tcp" && !d.tcp:
		a.Verdict, a.Reason = d.missing, ReasonNoName
		if a.Verdict == "" {
			a.Verdict = d.verdict
		}
	case scheme == "http" || d.terminate:
		a.Seen, a.Method = "request", q.method()
		r := d.request(a.Method, path)
		a.Verdict, a.Reason, a.Injected = r.verdict, r.reason, r.inject != nil
		if r.rule.Host != "" {
			a.Rule, a.Origin = ruleName(r.rule), r.rule.Origin
		}
		if a.Injected && scheme == "http" {
			a.Verdict, a.Reason, a.Injected = VerdictDeny, ReasonPlaintext, false
		}
	}
	a.Allowed = a.Verdict != VerdictDeny
	if slices.ContainsFunc(p.Steps, func(s StepPolicy) bool { return s.Matches(q.Step) }) {
		return a, nil // --allow is for what no step has a policy of its own for
	}
	a.Fix = fix(Event{Verdict: a.Verdict, Reason: a.Reason, Host: a.Host, Port: a.Port, Rule: a.Rule})
	return a, nil
}

// Reaches returns what tells whether a command may read URLs, for who asks about many: as
// Ask does, but what is only let through to be told about is no yes. It must see the
// request, so a spliced host is none.
func (p Policy) Reaches(presets []Preset) (func(url string) bool, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	p.Steps = nil
	j := newJudge(withPresets(p, presets), &nameCounter{}, "")
	return func(raw string) bool {
		scheme, to, path, err := Question{URL: raw}.parse()
		if err != nil {
			return false
		}
		d := j.host(to.host, to.port)
		if d.denied() || d.verdict != VerdictAllow || scheme != "http" && !d.terminate {
			return false
		}
		r := d.request("GET", path)
		return r.verdict == VerdictAllow && (scheme != "http" || r.inject == nil)
	}, nil
}

func (q Question) method() string {
	if q.Method == "" {
		return "GET"
	}
	return q.Method
}

// parse reads the URL.
func (q Question) parse() (scheme string, to authority, path string, err error) {
	raw := q.URL
	if !strings.Contains(raw, "://") {
		raw = "https://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", to, "", fmt.Errorf("%q is no URL", clip(redactURL(q.URL)))
	}
	port, ok := map[string]uint16{"https": 443, "http": 80, "tcp": 0}[u.Scheme]
	switch {
	case !ok:
		return "", to, "", fmt.Errorf("%q: want https://, http:// or tcp://", clip(redactURL(q.URL)))
	case u.User != nil:
		return "", to, "", fmt.Errorf("%q: a request names no user in its URL", clip(redactURL(q.URL)))
	}
	if to, err = parseAuthority(u.Host, port); err != nil {
		if u.Scheme == "tcp" && u.Port() == "" {
			err = errors.New("tcp:// needs a port")
		}
		return "", to, "", fmt.Errorf("host %q: %w", clip(u.Host), err)
	}
	if path = u.EscapedPath(); path == "" {
		path = "/"
	}
	return u.Scheme, to, path, nil
}
