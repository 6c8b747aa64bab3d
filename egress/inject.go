// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/zviz/run/internal/mask"
)

// Inject puts a credential into the requests that a rule allows. The job never
// holds it: it is read when the network opens, goes into the request on its way out,
// to the rule's hosts over TLS only, and is masked where an answer repeats it.
type Inject struct {
	Header string `json:"header"` // "Authorization"
	// ValueFrom is "env:NAME", a variable of the runner, or "file:/PATH", whose
	// content counts without the white space around it. "job:NAME" is what the runner
	// holds for this job, as the forge's token.
	ValueFrom string `json:"value_from"`
	// Scheme stands before the value: "Bearer". With "Basic" the value is
	// user:password, and is encoded.
	Scheme string `json:"scheme,omitempty"`
	// Placeholder, if given, is what the job's own header must hold; it is replaced
	// there, also within the encoding of Basic. Without it the header is set in
	// every request.
	Placeholder string `json:"placeholder,omitempty"`
}

func (i Inject) check() error {
	name := http.CanonicalHeaderKey(i.Header)
	switch {
	case i.Header == "" || strings.Trim(lowerASCII(i.Header), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "":
		return fmt.Errorf("inject.header %q: want the name of a header, such as Authorization", clip(i.Header))
	case hopByHop(name) || name == "Host" || name == "Content-Length" || name == "Proxy-Authorization":
		return fmt.Errorf("inject.header %s: is about the connection", name)
	case i.Scheme != "" && strings.Trim(lowerASCII(i.Scheme), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "":
		return fmt.Errorf("inject.scheme %q: want a word, such as Bearer", clip(i.Scheme))
	case i.Scheme != "" && i.Placeholder != "":
		return errors.New("inject: with a placeholder the job's header has the scheme already")
	case i.Placeholder != "" && len(i.Placeholder) < 8:
		return errors.New("inject.placeholder: want at least 8 characters, so that nothing else is taken for it")
	}
	kind, name, _ := strings.Cut(i.ValueFrom, ":")
	switch {
	case kind == "env" && name != "" && !strings.ContainsAny(name, "= \t\x00"):
	case kind == "file" && path.IsAbs(name):
	case kind == "job" && name != "":
	case fromTool(i.ValueFrom):
	default:
		return fmt.Errorf("inject.value_from %q: want env:NAME or file:/PATH", clip(i.ValueFrom))
	}
	return nil
}

// fromTool reports whether a credential lies in a tool's own configuration.
func fromTool(from string) bool {
	_, _, _, ok := ConfigSource(from)
	return ok
}

// injector is the filter that injects.
type injector struct {
	values map[string]string // by ValueFrom
	lacks  []error           // what presets name and is not there
	off    bool              // ModeLearn: what the job sends goes out as it is
}

// newInjector reads the credentials that the rules name. One that a preset found, and
// that cannot be read, is left out and stands in lacks: configurations name variables
// that are not set, and its registry says itself that it wants one.
func newInjector(rules []Rule, read func(string) (string, error)) (*injector, error) {
	in := &injector{values: map[string]string{}}
	for _, r := range rules {
		if r.Inject == nil {
			continue
		}
		from := r.Inject.ValueFrom
		if _, ok := in.values[from]; ok {
			continue
		}
		if read == nil {
			return nil, fmt.Errorf("rule for %s: inject: nobody reads credentials here", r.Host)
		}
		value, err := read(from)
		if err != nil && r.Preset != "" {
			in.lacks = append(in.lacks, fmt.Errorf("%s of preset %s: %w", r.Host, r.Preset, err))
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("rule for %s: inject.value_from %s: %w", r.Host, from, err)
		}
		if value = strings.TrimSpace(value); value == "" || strings.ContainsAny(value, "\r\n\x00") {
			return nil, fmt.Errorf("rule for %s: inject.value_from %s: is empty or has more than one line", r.Host, from)
		}
		if r.Inject.Scheme == "Basic" && !strings.Contains(value, ":") {
			return nil, fmt.Errorf("rule for %s: inject.value_from %s: with scheme: Basic it is user:password", r.Host, from)
		}
		in.values[from] = value
	}
	return in, nil
}

// header returns what the header becomes, or false if the job did not ask for it.
func (i Inject) header(value string, asked []string) (string, bool) {
	switch {
	case i.Placeholder != "":
		if len(asked) != 1 {
			return "", false
		}
		return replacePlaceholder(asked[0], i.Placeholder, value)
	case i.Scheme == "Basic":
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(value)), true
	case i.Scheme != "":
		return i.Scheme + " " + value, true
	default:
		return value, true
	}
}

func replacePlaceholder(header, placeholder, value string) (string, bool) {
	if strings.Contains(header, placeholder) {
		return strings.ReplaceAll(header, placeholder, value), true
	}
	scheme, coded, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Basic") {
		return "", false
	}
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(coded))
	if err != nil || !bytes.Contains(plain, []byte(placeholder)) {
		return "", false
	}
	plain = bytes.ReplaceAll(plain, []byte(placeholder), []byte(value))
	return "Basic " + base64.StdEncoding.EncodeToString(plain), true
}

// Request injects.
func (in *injector) Request(x *Exchange) (*http.Response, error) {
	if x.inject == nil || in.off {
		return nil, nil
	}
	name := http.CanonicalHeaderKey(x.inject.Header)
	value, ok := in.values[x.inject.ValueFrom]
	if !ok {
		if x.Rule.Preset != "" {
			return nil, nil // it is one of lacks
		}
		return nil, errors.New("bug: a credential that was not read")
	}
	header, ok := x.inject.header(value, x.Asked[name])
	if !ok {
		return nil, nil
	}
	if !x.TLS {
		return nil, &RefusalError{Reason: ReasonPlaintext, Hint: "a credential is not sent without TLS; ask by https"}
	}
	x.Out.Header.Set(name, header)
	x.Event.Injected = true
	// What an answer repeats must be readable to be masked, and whole.
	x.Out.Header.Set("Accept-Encoding", "identity")
	x.Out.Header.Del("Range")
	x.Out.Header.Del("If-Range")
	return nil, nil
}

// Response masks the credential where the answer repeats it.
func (in *injector) Response(x *Exchange, r *http.Response) error {
	if !x.Event.Injected {
		return nil
	}
	value := in.values[x.inject.ValueFrom]
	secrets := []string{value}
	if user, password, ok := strings.Cut(value, ":"); ok && x.inject.Scheme == "Basic" {
		secrets = append(secrets, password, base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
	}
	if sent := x.Out.Header.Get(x.inject.Header); sent != "" {
		if _, coded, ok := strings.Cut(sent, " "); ok {
			secrets = append(secrets, coded)
		}
	}
	x.Out.Header.Del(x.inject.Header) // it is on the wire, and filters read Out
	for name, values := range r.Header {
		for i, v := range values {
			masked, n := maskText(v, secrets)
			values[i] = masked
			x.Event.Masked += n
		}
		if masked, n := maskText(name, secrets); n > 0 && masked != name {
			r.Header.Del(name)
			x.Event.Masked += n
		}
	}
	r.Header.Del("Trailer")
	if len(r.Header["Set-Cookie"]) > 0 { // a session is as good as the credential that it was made with
		r.Header.Del("Set-Cookie")
		x.Event.Redacted = append(x.Event.Redacted, "set-cookie")
	}
	body := r.Body
	switch coding := strings.ToLower(r.Header.Get("Content-Encoding")); coding {
	case "", "identity":
	case "gzip":
		zr, err := gzip.NewReader(body)
		if err != nil && r.ContentLength != 0 && x.Out.Method != http.MethodHead {
			return &RefusalError{Status: http.StatusBadGateway, Reason: ReasonEncoded, Hint: "the answer cannot be read, so a credential in it could not be masked"}
		}
		if err == nil {
			body = both{zr, r.Body}
		}
		r.Header.Del("Content-Encoding")
	default:
		return &RefusalError{Status: http.StatusBadGateway, Reason: ReasonEncoded, Hint: "the answer is encoded as " + clip(coding) + ", so a credential in it could not be masked"}
	}
	if x.Out.Method != http.MethodHead && r.Body != http.NoBody {
		// The text that stands for a credential has another length.
		r.Header.Del("Content-Length")
		r.ContentLength = -1
		r.Body = newMaskedBody(body, secrets, r, x.Event)
	}
	return nil
}

// both reads one and closes the other.
type both struct {
	io.Reader
	io.Closer
}

func maskText(s string, secrets []string) (string, int) {
	var b strings.Builder
	w := mask.New(&b, secrets)
	_, _ = io.WriteString(w, s) // a Builder does not fail
	_ = w.Flush()
	return b.String(), w.Count()
}

// maskedBody hides credentials in what is read through it.
type maskedBody struct {
	src    io.ReadCloser
	ready  bytes.Buffer
	mask   *mask.Writer
	buf    []byte
	err    error
	answer *http.Response
	event  *Event
}

func newMaskedBody(src io.ReadCloser, secrets []string, answer *http.Response, event *Event) *maskedBody {
	b := &maskedBody{src: src, buf: make([]byte, 16<<10), answer: answer, event: event}
	b.mask = mask.New(&b.ready, secrets)
	return b
}

func (b *maskedBody) Read(p []byte) (int, error) {
	for b.ready.Len() == 0 && b.err == nil {
		var n int
		n, b.err = b.src.Read(b.buf)
		_, _ = b.mask.Write(b.buf[:n]) // a Buffer does not fail
		if b.err != nil {
			_ = b.mask.Flush()
			b.event.Masked += b.mask.Count()
			b.answer.Trailer = nil // it comes with the end, and nobody has looked into it
		}
	}
	if b.ready.Len() > 0 {
		return b.ready.Read(p)
	}
	return 0, b.err
}

func (b *maskedBody) Close() error { return b.src.Close() }

// finalOnly drops answers that come before the answer (RFC 9110 section 15.2): they
// go past Response.
type finalOnly struct{ http.ResponseWriter }

func (w finalOnly) WriteHeader(status int) {
	if status >= http.StatusOK {
		w.ResponseWriter.WriteHeader(status)
	}
}

// Unwrap is for http.ResponseController.
func (w finalOnly) Unwrap() http.ResponseWriter { return w.ResponseWriter }
