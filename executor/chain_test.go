// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/zviz/run/egress"
)

// chained is a stored report of n events.
func chained(t *testing.T, n int) string {
	t.Helper()
	r := fullReport()
	e := r.Egress.Events[0]
	r.Egress.Events = nil
	r.Egress.Head = egress.ChainStart(r.ID)
	for i := range n {
		e.Up = int64(i)
		head, err := e.Link(r.Egress.Head)
		if err != nil {
			t.Fatal(err)
		}
		r.Egress.Head = head
		r.Egress.Events = append(r.Egress.Events, e)
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestCheckChain(t *testing.T) {
	for _, n := range []int{0, 1, 3} {
		if err := CheckChain([]byte(chained(t, n))); err != nil {
			t.Errorf("%d events: %v", n, err)
		}
	}
	whole := chained(t, 3)
	// A later version may have put fields in; what it hashed is what stands there.
	for name, change := range map[string]func(string) string{
		"a host changed": func(s string) string { return strings.Replace(s, "a.test", "b.test", 1) },
		"a field added": func(s string) string {
			return strings.Replace(s, `"host": "a.test",`, `"host": "a.test", "new": 1,`, 1)
		},
		"the last one cut":  func(s string) string { return cutEvent(t, s, 2) },
		"the first one cut": func(s string) string { return cutEvent(t, s, 0) },
		"one cut":           func(s string) string { return cutEvent(t, s, 1) },
		"of another run":    func(s string) string { return strings.Replace(s, `"id": "exec-1"`, `"id": "exec-2"`, 1) },
		"no head":           func(s string) string { return strings.Replace(s, `"head"`, `"tail"`, 1) },
	} {
		changed := change(whole)
		if changed == whole {
			t.Fatalf("%s: nothing changed", name)
		}
		if err := CheckChain([]byte(changed)); err == nil {
			t.Errorf("%s: not noticed", name)
		}
	}
}

func cutEvent(t *testing.T, report string, i int) string {
	t.Helper()
	var r Report
	if err := json.Unmarshal([]byte(report), &r); err != nil {
		t.Fatal(err)
	}
	r.Egress.Events = append(r.Egress.Events[:i:i], r.Egress.Events[i+1:]...)
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
