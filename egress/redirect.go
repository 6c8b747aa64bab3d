// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"io"
	"net/http"
	"slices"
)

// redirectsMost bounds how far the gateway follows for a job.
const redirectsMost = 5

// follower follows the redirects of a host whose rule says so, to hosts that the job
// may not reach: archives of registries lie with whoever serves files for them, under
// names that change. Exactly the URL that the host answered with is asked for, by GET
// or HEAD and https, at a global address, without a credential or anything that the
// job said but which form of the file it wants. Where the job may go itself, it does.
type follower struct {
	q    *request
	next http.RoundTripper
}

func (f follower) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := f.next.RoundTrip(r)
	for n := 0; err == nil && n < redirectsMost; n++ {
		next := f.to(r, resp)
		if next == nil {
			return resp, nil
		}
		// What is left of the answer is not read: the connection is not worth it.
		_ = resp.Body.Close()
		g := f.q.web.g
		host := next.URL.Hostname()
		head := headSize(next)
		if g.budget.take(host, head) < head {
			return nil, errUpCap
		}
		f.q.event.Up += int64(head)
		if !slices.Contains(f.q.event.Redirected, host) {
			f.q.event.Redirected = append(f.q.event.Redirected, host)
		}
		r = next
		resp, err = f.q.web.client(false).RoundTrip(next)
	}
	return resp, err
}

// to returns the request that a redirect asks for, nil if it is the job's matter.
func (f follower) to(r *http.Request, resp *http.Response) *http.Request {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil
	}
	at, err := r.URL.Parse(resp.Header.Get("Location"))
	if err != nil || at.Scheme != "https" || at.User != nil || at.Opaque != "" {
		return nil
	}
	to, err := parseAuthority(at.Host, 443)
	if err != nil {
		return nil
	}
	d := f.q.judge(to)
	// Where the job may go itself nobody would verify what comes.
	if d.verdict != VerdictDeny && len(f.q.x.digests) == 0 || d.reason == ReasonDenied {
		return nil
	}
	at.Fragment = ""
	at.Host = to.String()
	next := &http.Request{Method: r.Method, URL: at, Header: http.Header{}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if to.port == 443 {
		next.Host = to.host
	}
	for _, name := range []string{"Accept", "Accept-Encoding", "Range", "If-Range", "User-Agent"} {
		if v := r.Header.Get(name); v != "" {
			next.Header.Set(name, v)
		}
	}
	return next.WithContext(r.Context())
}

// drained reads a short answer to its end, so that its connection is kept.
func drained(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 16<<10)
	_ = resp.Body.Close()
}
