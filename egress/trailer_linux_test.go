// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/zviz/run/internal/canary"
)

// What follows a body does not go out, and a planted credential in its names is found.
func TestTrailers(t *testing.T) {
	const name, value = "npm token of ~/.npmrc", "npm_0123456789abcdefghijABCDEFGHIJ012345"
	finder := canary.NewFinder([]canary.Credential{{Name: name, Value: value}})
	for _, h2 := range []bool{false, true} {
		j := openJob(t, func(c *Config) {
			c.Policy.Rules[0].TLS = TLSTerminate // allowed.test
			c.Canaries = func() *canary.Finder { return finder }
		})
		post := func(trailer http.Header) int {
			t.Helper()
			r := send(t, "POST", "https://allowed.test/x", "")
			r.Body, r.ContentLength, r.Trailer = io.NopCloser(strings.NewReader("body")), -1, trailer
			resp, err := j.client("169.254.1.1:443", h2).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			return resp.StatusCode
		}
		if got := post(http.Header{"X-A": {"1"}}); got != http.StatusOK {
			t.Errorf("h2 %v: got %d", h2, got)
		}
		if got := post(http.Header{"X-" + hex.EncodeToString([]byte(value)): {"1"}}); got != http.StatusForbidden {
			t.Errorf("h2 %v: a planted credential: got %d", h2, got)
		}
		if e := j.want(Event{Verdict: VerdictDeny, Door: DoorHTTP, Reason: ReasonCanary}); e.Canary != name {
			t.Errorf("event %+v", e)
		}
		if seen := j.sink.seen(); len(seen) != 1 || len(seen[0].Trailer) != 0 {
			t.Errorf("h2 %v: the outside got %d requests, %+v", h2, len(seen), seen)
		}
	}
}
