// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Reasons why a name is no host name. Their text is the reason of an event.
var (
	errMalformed = errors.New("malformed")
	errIPLiteral = errors.New("ip-literal")
)

// hostError says what is wrong with a host, for people; it wraps the reason.
type hostError struct {
	reason error
	why    string
}

func (e *hostError) Error() string { return e.why }
func (e *hostError) Unwrap() error { return e.reason }

func malformed(format string, args ...any) error {
	return &hostError{errMalformed, fmt.Sprintf(format, args...)}
}

// normalizeHost returns the one form of a host name in which names are
// compared: lower case, no trailing dot, letters, digits, '-' and '_' only.
// International names must come as punycode and are compared byte by byte, so a
// homoglyph is another name (threat 16).
func normalizeHost(s string) (string, error) {
	host := strings.TrimSuffix(s, ".")
	if host == "" {
		return "", malformed("empty host name")
	}
	if len(host) > 253 { // RFC 1035 section 2.3.4, in text form
		return "", malformed("host name is longer than 253 bytes")
	}
	if strings.Contains(host, ":") {
		return "", &hostError{errIPLiteral, "is an address or has a port; a host name is wanted"}
	}
	host = lowerASCII(host)
	var last string
	for label := range strings.SplitSeq(host, ".") {
		if label == "" {
			return "", malformed("empty label in host name")
		}
		if len(label) > 63 {
			return "", malformed("label of host name is longer than 63 bytes")
		}
		if label[0] == '-' || label[len(label)-1] == '-' {
			return "", malformed("label of host name begins or ends with a hyphen")
		}
		for i := range len(label) {
			if !hostByte(label[i]) {
				r, _ := utf8.DecodeRuneInString(label[i:])
				return "", malformed("character %q in host name; international names are written in punycode (xn--)", r)
			}
		}
		last = label
	}
	if numeric(last) {
		return "", &hostError{errIPLiteral, "is an address; only names can be allowed (an address is granted by egress.upstream.hosts)"}
	}
	return host, nil
}

func hostByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// lowerASCII leaves every byte that is not ASCII alone: strings.ToLower would
// fold the Kelvin sign to 'k'.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// numeric reports whether a last label makes the host an IPv4 address in one of
// the forms that some resolver accepts: decimal, octal, hex (WHATWG URL,
// "ends in a number").
func numeric(label string) bool {
	if digits, ok := strings.CutPrefix(label, "0x"); ok {
		for _, c := range digits {
			if !strings.ContainsRune("0123456789abcdef", c) {
				return false
			}
		}
		return true
	}
	for _, c := range label {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// authority is a host and a port that a client named.
type authority struct {
	host string
	port uint16
}

func (a authority) String() string { return a.host + ":" + strconv.Itoa(int(a.port)) }

// parseAuthority reads "host" or "host:port" once; what it returns is what is
// judged and dialled. A missing port becomes def; with def 0 it must be there.
func parseAuthority(s string, def uint16) (authority, error) {
	if len(s) > 300 {
		return authority{}, malformed("authority is too long")
	}
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end > 0 {
			if _, err := netip.ParseAddr(s[1:end]); err == nil {
				return authority{}, &hostError{errIPLiteral, "is an address; a host name is wanted"}
			}
		}
		return authority{}, malformed("bracket in authority")
	}
	host, portText, hasPort := strings.Cut(s, ":")
	port := def
	switch {
	case hasPort:
		n, err := parsePort(portText)
		if err != nil {
			return authority{}, malformed("%v", err)
		}
		port = n
	case def == 0:
		return authority{}, malformed("authority without a port")
	}
	host, err := normalizeHost(host)
	if err != nil {
		return authority{}, err
	}
	return authority{host, port}, nil
}

// clip caps an untrusted text in an error or an event.
func clip(s string) string { return clipTo(s, 120) }

func clipTo(s string, most int) string {
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
