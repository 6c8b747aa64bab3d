// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"net/http"
	"slices"
	"strings"
)

// sanitize leaves only what a registry needs of a request and returns what was
// taken out: an attacker's token in a header, or data in a query, would make of
// every GET a message (threats 28 and 29).
func sanitize(r *http.Request, preset string) (redacted []string) {
	for name, values := range r.Header {
		switch {
		case name == "User-Agent":
			r.Header[name] = []string{firstToken(values[0])}
		case len(values) == 1 && headerAllowed(preset, name):
		case hopByHop(name):
			r.Header.Del(name)
		default:
			r.Header.Del(name)
			redacted = append(redacted, strings.ToLower(clip(name)))
		}
	}
	r.Trailer = nil
	query, less := keptQuery(preset, r.URL.Path, r.URL.RawQuery)
	if less || r.URL.ForceQuery && query == "" {
		redacted = append(redacted, "query")
	}
	r.URL.RawQuery, r.URL.ForceQuery = query, false
	slices.Sort(redacted)
	if len(redacted) > 16 {
		redacted = append(redacted[:16], "…")
	}
	return redacted
}

// overrides takes out the headers by which some servers read another method or another
// path than the request has, and returns their names: rules about those would be about
// nothing.
func overrides(r *http.Request) (redacted []string) {
	for name := range r.Header {
		switch strings.ToLower(strings.ReplaceAll(name, "_", "-")) { // both are one in the way of CGI
		case "x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url":
			delete(r.Header, name)
			redacted = append(redacted, strings.ToLower(name))
		default:
		}
	}
	slices.Sort(redacted)
	return redacted
}

// headerAllowed says which headers a preset's tools need.
func headerAllowed(preset, name string) bool {
	switch name {
	case "Accept", "Accept-Encoding", "Cache-Control", "Pragma", "Range", "If-Range", "If-None-Match", "If-Modified-Since":
		return true
	case "Disable-Module-Fetch": // the module proxy protocol (go.dev/ref/mod)
		return preset == "go"
	case "Git-Protocol", "Content-Type", "Content-Encoding", "Content-Length": // gitprotocol-http(5)
		return isForge(preset)
	default:
		return false
	}
}

// isForge reports whether a preset is one of git.
func isForge(preset string) bool {
	return preset == "github" || preset == "gitlab" || preset == "gitea"
}

// hopByHop headers are about the connection; ReverseProxy drops them itself.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Proxy-Connection":
		return true
	default:
		return false
	}
}

// firstToken is the tool and its version, without what it says about the job.
func firstToken(agent string) string {
	token, _, _ := strings.Cut(strings.TrimSpace(agent), " ")
	return token[:min(len(token), 64)]
}
