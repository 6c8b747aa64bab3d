// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"net/url"
	"strings"
)

// keptQuery returns what goes out of a query, and whether anything was taken out: a
// few keys that tools cannot do without, with values of their form.
func keptQuery(preset, path, raw string) (kept string, redacted bool) {
	if raw == "" {
		return "", false
	}
	values, err := url.ParseQuery(raw)
	out := url.Values{}
	for key, v := range values {
		if len(v) == 1 && queryAllowed(preset, path, key, v[0]) {
			out[key] = v
		} else {
			redacted = true
		}
	}
	return out.Encode(), redacted || err != nil
}

// queryAllowed says which keys a preset's tools need, and with which values.
func queryAllowed(preset, path, key, value string) bool {
	switch preset {
	case "github", "gitlab", "gitea":
		switch {
		case strings.HasSuffix(path, "/info/refs"): // gitprotocol-http(5)
			return key == "service" && value == "git-upload-pack"
		case strings.Contains(path, "/api/v") || strings.HasPrefix(path, "/repos/"):
			return (key == "page" || key == "per_page" || key == "limit") && number(value) || (key == "ref" || key == "sha") && word(value)
		}
	case "oci": // distribution-spec, end-8b
		return key == "n" && number(value) || (key == "last" || key == "ns") && word(value)
	default:
	}
	return false
}

func number(s string) bool { return s != "" && len(s) <= 6 && strings.Trim(s, "0123456789") == "" }

// word is a name of a branch, a tag, a commit or a host.
func word(s string) bool { return len(s) <= 128 && plainName(s) }

// plainName is one of letters, digits and what joins them.
func plainName(s string) bool {
	return s != "" && strings.Trim(lowerASCII(s), "abcdefghijklmnopqrstuvwxyz0123456789._-/") == ""
}
