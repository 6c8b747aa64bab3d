// SPDX-License-Identifier: Apache-2.0

package egress

import "net/http"

// Filter has a say in each request that ends at the gateway, plain or terminated,
// and that a rule allows. It is where what knows more than hosts and paths plugs in:
// an age that a release must have, a lockfile, a store of packages, a credential.
//
// For each request, Request of every filter is called in their order, before
// anything is dialled, and then Response of each in the reverse order, before the
// job gets any of the answer. Calls are made from many goroutines. Requests that
// Mode lets through without a rule are shown to no filter.
type Filter interface {
	// Request may change what goes out, answer in the host's place by returning an
	// answer, which then goes to the job without Response being asked, or refuse by
	// returning a *RefusalError. Any other error is a failure of ours: 502.
	Request(*Exchange) (*http.Response, error)
	// Response may change header and body of the host's answer, or return an error:
	// the job then gets 502, or what a *RefusalError says.
	Response(*Exchange, *http.Response) error
}

// Exchange is one request on its way.
type Exchange struct {
	Host   string // normal form
	Port   uint16
	TLS    bool        // the host is reached by TLS
	Rule   Rule        // that allows it; Rule.Preset names the ecosystem
	Asked  http.Header // as the job sent it, to be read only
	Out    *http.Request
	Event  *Event // that will be recorded: a filter may add what it did
	inject *Inject

	digests []string // that the answer must have: SHA-256 in hex
}

// RefusalError is the error by which a Filter refuses.
type RefusalError struct {
	Status int    // of the answer; 0 means 403
	Reason string // of the event
	Hint   string // what to do about it
}

func (r *RefusalError) Error() string { return r.Reason }

// answered is a Transport for a request that a filter has answered.
type answered struct{ *http.Response }

func (a answered) RoundTrip(*http.Request) (*http.Response, error) { return a.Response, nil }
