// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Bounds of what is kept and read of tokens.
const (
	ociTokensMost = 1024
	ociTokenBytes = 64 << 10
	ociTokenLife  = 50 * time.Second // the least that a token lives is 60 s (distribution, docs: token)
)

// ociTokens gets the tokens that registries of images ask for
// (distribution.github.io/distribution/spec/auth/token), so that the job has neither
// the token nor a way to the host that gives it out: a scope is only ever asked for
// reading what the request itself names.
type ociTokens struct {
	mu     sync.Mutex
	tokens map[string]ociToken
}

type ociToken struct {
	value string
	until time.Time
}

func (t *ociTokens) get(key string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k := t.tokens[key]; time.Now().Before(k.until) {
		return k.value
	}
	return ""
}

func (t *ociTokens) put(key, value string, life time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tokens == nil || len(t.tokens) >= ociTokensMost {
		t.tokens = map[string]ociToken{}
	}
	t.tokens[key] = ociToken{value, time.Now().Add(life)}
}

// ociAuth answers the challenges of one request's registry.
type ociAuth struct {
	q    *request
	next http.RoundTripper
}

func (a ociAuth) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		return a.next.RoundTrip(r)
	}
	tokens := &a.q.web.tokens
	basic := r.Header.Get("Authorization") // which the injector has put in
	scope := ociScope(r.URL.Path)
	key := r.URL.Host + " " + scope + " " + basic
	plain := r.Clone(r.Context())
	plain.Header.Del("Authorization")
	if token := tokens.get(key); token != "" {
		plain.Header.Set("Authorization", schemeBearer+" "+token)
	}
	resp, err := a.next.RoundTrip(plain)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	again := r.Clone(r.Context())
	again.Header.Del("Authorization")
	switch c := parseChallenge(resp.Header.Values("Www-Authenticate")); {
	case c.scheme == "basic" && basic != "":
		again.Header.Set("Authorization", basic)
	case c.scheme == "bearer":
		token, why := a.fetch(r.Context(), c, scope, basic)
		if why != nil {
			a.q.event.Hint = clip("token of the registry: " + why.Error())
			break
		}
		tokens.put(key, token, ociTokenLife)
		again.Header.Set("Authorization", schemeBearer+" "+token)
	default:
	}
	if again.Header.Get("Authorization") == "" || again.Header.Get("Authorization") == plain.Header.Get("Authorization") {
		return withoutChallenge(resp), nil // the registry's word is the answer
	}
	drained(resp)
	resp, err = a.next.RoundTrip(again)
	if err != nil {
		return nil, err
	}
	return withoutChallenge(resp), nil
}

// withoutChallenge leaves a refusal without what would send the job to another host.
func withoutChallenge(resp *http.Response) *http.Response {
	resp.Header.Del("Www-Authenticate")
	return resp
}

// fetch asks the host that gives out tokens. It is told the service that the
// registry named, and the scope that the request needs.
func (a ociAuth) fetch(ctx context.Context, c challenge, scope, basic string) (string, error) {
	u, err := url.Parse(c.realm)
	if err != nil || u.Scheme != "https" || u.User != nil {
		return "", errors.New("the registry names no place by https to ask for it")
	}
	to, err := parseAuthority(u.Host, 443)
	if err != nil {
		return "", err
	}
	if d := a.q.judge(to); d.reason == ReasonDenied {
		return "", fmt.Errorf("%s is denied", to.host)
	}
	query := url.Values{}
	if c.service != "" {
		query.Set("service", c.service)
	}
	if scope != "" {
		query.Set("scope", scope)
	}
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", err
	}
	if basic != "" {
		req.Header.Set("Authorization", basic)
	}
	a.q.event.Up += int64(headSize(req))
	resp, err := a.q.web.client(false).RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer drained(resp)
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answered %d", to.host, resp.StatusCode)
	}
	var answer struct {
		Token  string `json:"token"`
		Access string `json:"access_token"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, ociTokenBytes)).Decode(&answer); err != nil {
		return "", fmt.Errorf("%s did not answer with a token", to.host)
	}
	if answer.Token == "" {
		answer.Token = answer.Access
	}
	if answer.Token == "" || strings.ContainsAny(answer.Token, "\r\n\x00") {
		return "", fmt.Errorf("%s did not answer with a token", to.host)
	}
	return answer.Token, nil
}

// ociScope is the right to read the repository that a path names, empty for none.
func ociScope(path string) string {
	rest, ok := strings.CutPrefix(path, "/v2/")
	if !ok {
		return ""
	}
	for _, part := range []string{"/manifests/", "/blobs/", "/tags/list", "/referrers/"} {
		if i := strings.LastIndex(rest, part); i > 0 && plainName(rest[:i]) { // else it might be two scopes
			return "repository:" + rest[:i] + ":pull"
		}
	}
	return ""
}

// challenge is a WWW-Authenticate header (RFC 9110 section 11.6.1).
type challenge struct{ scheme, realm, service string }

// parseChallenge prefers Bearer where a registry offers both.
func parseChallenge(headers []string) challenge {
	var found challenge
	for _, h := range headers {
		scheme, rest, _ := strings.Cut(strings.TrimSpace(h), " ")
		c := challenge{scheme: lowerASCII(scheme)}
		for rest != "" {
			var key, value string
			if key, rest, _ = strings.Cut(rest, "="); rest == "" {
				break
			}
			if rest[0] == '"' {
				end := strings.IndexByte(rest[1:], '"')
				if end < 0 {
					break
				}
				value, rest = rest[1:1+end], rest[2+end:]
				_, rest, _ = strings.Cut(rest, ",")
			} else {
				value, rest, _ = strings.Cut(rest, ",")
			}
			switch lowerASCII(strings.TrimSpace(key)) {
			case "realm":
				c.realm = value
			case "service":
				c.service = strings.TrimSpace(value)
			default:
			}
		}
		if c.scheme == "bearer" || c.scheme == "basic" && found.scheme == "" {
			found = c
		}
	}
	return found
}
