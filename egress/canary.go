// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/zviz/run/internal/canary"
)

// errCanary ends a body in which a planted credential is. What completes the
// credential does not go out.
var errCanary = errors.New("a planted credential")

// planted returns the planted credential that the head of a request holds, and looks
// into its body as it goes by.
func (q *request) planted(r *http.Request) string {
	if q.web.g.canaries == nil {
		return ""
	}
	f := q.web.g.canaries()
	query, err := url.QueryUnescape(r.URL.RawQuery)
	if err != nil {
		query = "" // RequestURI has it as it was sent
	}
	name := cmp.Or(f.FindInName(r.Host), f.Find(r.Method), f.Find(r.RequestURI), f.Find(r.URL.Path), f.Find(query))
	if name != "" {
		return name
	}
	for key, values := range r.Header {
		for _, v := range values {
			if name = cmp.Or(f.Find(v), f.Find(key), f.FindInName(key)); name != "" {
				return name
			}
		}
	}
	for key := range r.Trailer {
		if name = cmp.Or(f.Find(key), f.FindInName(key)); name != "" {
			return name
		}
	}
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &canaryBody{ReadCloser: r.Body, scan: f.Scanner(), q: q}
	}
	return ""
}

// leak refuses a request for a planted credential in its head.
func (q *request) leak(rw http.ResponseWriter, r *http.Request, name string) {
	q.event.Host, q.event.Canary = clip(r.Host), name
	if to := q.conn.to; to.host != "" {
		q.event.Host, q.event.Port = to.host, to.port
	}
	q.refuse(rw, http.StatusForbidden, ReasonCanary)
}

// canaryBody is a body that ends where a planted credential would be whole.
type canaryBody struct {
	io.ReadCloser
	scan *canary.Scanner
	q    *request
}

func (b *canaryBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if name := b.scan.Scan(p[:n]); name != "" {
		b.q.leaks.Store(&name)
		return 0, errCanary
	}
	return n, err
}
