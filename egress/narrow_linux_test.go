// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"net/http"
	"testing"
)

// A policy that narrows and only reports must not take away what the rule of the other
// one means: a body, a query and headers would get to a registry.
func TestNarrowingAuditKeepsWhatARuleMeans(t *testing.T) {
	j := openJob(t, func(c *Config) { c.Policy = Intersect(c.Policy, Policy{Mode: ModeAudit}) })
	c := j.client("169.254.1.1:443", false)
	if status, _ := do(t, c, send(t, "GET", "https://preset.test/x", "secret")); status != http.StatusForbidden {
		t.Errorf("a body: %d", status)
	}
	r := get(t, "https://preset.test/x?secret=1")
	r.Header.Set("Authorization", "Bearer attacker")
	if status, _ := do(t, c, r); status != http.StatusOK {
		t.Errorf("got %d", status)
	}
	j.want(Event{Verdict: VerdictWouldDeny, Host: "preset.test", Path: "/x"})
	if seen := j.sink.seen(); len(seen) != 1 || seen[0].URL.RawQuery != "" || seen[0].Header.Get("Authorization") != "" {
		t.Errorf("the registry got %+v", seen)
	}
}
