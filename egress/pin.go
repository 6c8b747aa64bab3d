// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// pinHeld is how much of a pinned file is held back until its digest was compared: no
// client takes a file for whole whose end it did not get.
const pinHeld = 32 << 10

// PinRule returns the rule that lets one file be read: an https URL without user, query
// and wildcard, whose bytes have the SHA-256 digest, in hex. The gateway follows the
// host's redirects for the job; what comes in the end is what is verified.
func PinRule(rawURL, digest string) (Rule, error) {
	u, err := url.Parse(rawURL)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "":
		return Rule{}, errors.New("want https://HOST/PATH")
	case u.User != nil:
		return Rule{}, errors.New("names a user or a password; a credential does not stand in a policy file")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return Rule{}, errors.New("has a query or a fragment: nothing of a query goes out")
	}
	to, err := parseAuthority(u.Host, 443)
	if err != nil {
		return Rule{}, err
	}
	path, plain := canonicalPath(u.EscapedPath())
	if !plain || path == "/" {
		return Rule{}, errors.New("its path is none of a file, or servers read it in different ways")
	}
	r := Rule{
		Host: to.host, Ports: []uint16{to.port}, TLS: TLSTerminate, Methods: []string{"GET", "HEAD"}, Paths: []string{path},
		Redirects: true, Preset: PresetPinned, SHA256: digest,
	}
	return r, r.checkPin()
}

// PresetPinned stands as the preset of rules for one file: what goes out is as little as
// for a registry.
const PresetPinned = "prebuilt"

// checkPin says what is wrong with a rule that has a digest.
func (r Rule) checkPin() error {
	switch raw, err := hex.DecodeString(r.SHA256); {
	case err != nil || len(raw) != sha256.Size || r.SHA256 != lowerASCII(r.SHA256):
		return fmt.Errorf("sha256 %q: want 64 hexadecimal digits in lower case", clip(r.SHA256))
	case len(r.Paths) != 1 || strings.Contains(r.Paths[0], "*"):
		return errors.New("a digest is of one file: its path has no *")
	case r.Inject != nil:
		return errors.New("a file with a digest is fetched without a credential")
	case r.wildcard() || r.TLS != TLSTerminate:
		return errors.New("a digest is of a file of one host whose TLS ends at the gateway")
	default:
		return nil
	}
}

// checkPins finds what would leave a pinned file unverified: another rule by which
// nobody looks into requests to its host.
func checkPins(rules []Rule) error {
	for _, r := range rules {
		if r.SHA256 == "" {
			continue
		}
		for _, o := range rules {
			if o.Hides(r) {
				return fmt.Errorf("%s has a file with a digest, and a rule (%s) by which nobody sees what comes from there", r.Host, o.Origin)
			}
		}
	}
	return nil
}

// Hides reports whether, by the rule, nobody sees what comes from the host and the ports
// of the rule pin.
func (r Rule) Hides(pin Rule) bool {
	return r.Host == pin.Host && (r.TLS == TLSSplice || r.Protocol != "") && slices.ContainsFunc(pin.Ports, r.MatchPort)
}

// pinFilter lets pinned files pass as they must be, and nothing else of their URLs.
type pinFilter struct{}

// Request makes the host send the whole file as it is.
func (pinFilter) Request(x *Exchange) (*http.Response, error) {
	if len(x.digests) == 0 {
		return nil, nil
	}
	if !x.TLS {
		return nil, &RefusalError{Reason: ReasonPlaintext, Hint: "the file is allowed by https"}
	}
	for _, name := range []string{"Range", "If-Range", "If-None-Match", "If-Modified-Since"} {
		x.Out.Header.Del(name)
	}
	x.Out.Header.Set("Accept-Encoding", "identity")
	return nil, nil
}

// Response has the file verified while it passes. A small one is verified before the
// job gets anything.
func (pinFilter) Response(x *Exchange, r *http.Response) error {
	if len(x.digests) == 0 {
		return nil
	}
	refuse := func(format string, args ...any) error {
		return &RefusalError{Status: http.StatusBadGateway, Reason: ReasonIntegrity, Hint: fmt.Sprintf(format, args...)}
	}
	r.Trailer = nil
	switch {
	case r.StatusCode != http.StatusOK:
		// Whatever page comes with it is not the file.
		_ = r.Body.Close()
		if r.StatusCode < http.StatusBadRequest {
			return refuse("the host answered %d, and not with the file whose digest the policy has", r.StatusCode)
		}
		text := fmt.Sprintf("zviz: %s answered %d\n", x.Host, r.StatusCode)
		r.Header = http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
		return nil
	case r.Header.Get("Content-Encoding") != "":
		_ = r.Body.Close()
		return refuse("the host sent the file with an encoding, so its digest cannot be compared")
	case x.Out.Method == http.MethodHead:
		return nil
	}
	p := &pinned{x: x, from: r.Body, sum: sha256.New()}
	if err := p.fill(); err != nil {
		_ = r.Body.Close()
		if p.wrong {
			return refuse("%s", x.Event.Hint)
		}
		return err
	}
	r.Body = p
	return nil
}

// pinned reads a file whose digest is known.
type pinned struct {
	x    *Exchange
	from io.ReadCloser
	sum  hash.Hash

	held  bytes.Buffer // read, and not handed on
	chunk [8 << 10]byte
	ended bool // from is at its end, and the digest was the right one
	wrong bool // it was not
	err   error
}

// fill reads until more than the end that is held back is there, or all of it.
func (p *pinned) fill() error {
	for !p.ended && p.err == nil && p.held.Len() <= pinHeld {
		n, err := p.from.Read(p.chunk[:])
		p.sum.Write(p.chunk[:n])
		p.held.Write(p.chunk[:n])
		switch {
		case errors.Is(err, io.EOF):
			p.err = p.judge()
		case err != nil:
			p.err = err
		}
	}
	return p.err
}

// judge compares the digest of the whole file.
func (p *pinned) judge() error {
	got := p.sum.Sum(nil)
	for _, want := range p.x.digests {
		if hex.EncodeToString(got) == want {
			continue
		}
		p.wrong = true
		e := p.x.Event
		e.Verdict, e.Reason = VerdictDeny, ReasonIntegrity
		e.Hint = fmt.Sprintf("its SHA-256 is %x, but the policy wants %s", got, want)
		return errors.New("pinned file: " + e.Hint)
	}
	p.ended = true
	p.x.Event.Fetched = &Fetched{
		Ecosystem: PresetPinned, Name: clipTo(p.x.Host+p.x.Out.URL.EscapedPath(), pathMost),
		Digest: "sha256-" + base64.StdEncoding.EncodeToString(got),
	}
	return nil
}

// Read hands on what is not held back. What is wrong ends in an error: the connection
// breaks off before the file is whole.
func (p *pinned) Read(b []byte) (int, error) {
	if err := p.fill(); err != nil {
		return 0, err
	}
	if p.ended {
		return p.held.Read(b)
	}
	return p.held.Read(b[:min(len(b), p.held.Len()-pinHeld)])
}

func (p *pinned) Close() error { return p.from.Close() }
