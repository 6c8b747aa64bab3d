// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/zviz/run/internal/attack"
)

const folder = module + "internal/attack"

// log is what go test -json prints: lines of "TEST ACTION [KEY=VALUE or OUTPUT]".
func log(t *testing.T, lines ...string) suite {
	t.Helper()
	var text strings.Builder
	for _, line := range lines {
		f := strings.SplitN(line, " ", 3)
		var rest string
		if len(f) == 3 {
			rest = f[2]
		}
		key, value, _ := strings.Cut(rest, "=")
		fmt.Fprintf(&text, "{\"Package\":%q,\"Test\":%q,\"Action\":%q,\"Key\":%q,\"Value\":%q,\"Output\":%q}\n", folder, f[0], f[1], key, value, rest)
	}
	s, err := readSuite(strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSuiteAttempt: what the tests said of an attempt is its end, and a test that
// failed or was skipped is never one that passed.
func TestSuiteAttempt(t *testing.T) {
	tests := []struct {
		name, id, profile string
		log               []string
		want              attack.End
		why               string
	}{
		{"blocked", "ns-01", "ci", []string{"T/ns-01 attr attack:ci:ns-01=BLOCKED EPERM", "T/ns-01 pass"}, attack.Blocked, "BLOCKED EPERM"},
		{"another errno", "ns-01", "ci", []string{"T/ns-01 attr attack:ci:ns-01=BLOCKED EINVAL", "T/ns-01 fail"}, attack.Wrong, "BLOCKED EINVAL"},
		{"escaped", "ns-01", "ci", []string{"T/ns-01 attr attack:ci:ns-01=BLOCKED EPERM", "T/ns-01 attr attack:ci:ns-01=ESCAPED a namespace", "T/ns-01 fail"}, attack.Escaped, "ESCAPED a namespace"},
		{"escaped, though the test passes", "ns-01", "ci", []string{"T/ns-01 attr attack:ci:ns-01=ESCAPED a namespace", "T/ns-01 pass"}, attack.Escaped, "ESCAPED a namespace"},
		{"let through", "net-02", "ci", []string{"T/net-02 attr attack:ci:net-02=ESCAPED a socket", "T/net-02 pass"}, attack.Permitted, "ESCAPED a socket"},
		{"let through under the other", "net-02", "hostile", []string{"T/net-02 attr attack:hostile:net-02=ESCAPED a socket", "T/net-02 pass"}, attack.Escaped, "ESCAPED a socket"},
		{"not logged", "net-05", "ci", []string{"T/net-05/ci attr attack:ci:net-05=BLOCKED ECONNREFUSED", "T/net-05/ci output     limits_test.go:9: no event", "T/net-05/ci fail", "T/net-05 fail"}, attack.Wrong, "internal/attack.T/net-05/ci: no event"},
		{"failed under the other", "net-05", "hostile", []string{"T/net-05/ci fail", "T/net-05/hostile attr attack:hostile:net-05=BLOCKED ECONNREFUSED", "T/net-05/hostile pass", "T/net-05 fail"}, attack.Blocked, "BLOCKED ECONNREFUSED"},
		{"wrong under the other, in one test", "ns-01", "ci", []string{"T/ns-01 attr attack:ci:ns-01=BLOCKED EPERM", "T/ns-01 attr attack:hostile:ns-01=ESCAPED a namespace", "T/ns-01 fail"}, attack.Blocked, "BLOCKED EPERM"},
		{"no control", "ns-01", "ci", []string{"T/ns-01 output     x_test.go:9: the attempt proves nothing", "T/ns-01 fail"}, attack.Wrong, "internal/attack.T/ns-01: the attempt proves nothing"},
		{"skipped", "sc-09", "ci", []string{"T/sc-09 output     x_test.go:9: needs gdb", "T/sc-09 skip"}, attack.NotRun, "needs gdb"},
		{"all skipped", "ns-01", "ci", []string{"TestKernelAttempts output     x_test.go:9: needs root", "TestKernelAttempts skip"}, attack.NotRun, "needs root"},
		{"interrupted", "ns-01", "ci", []string{"T/ns-01 run", "T run"}, attack.Wrong, "internal/attack.T/ns-01: it did not end"},
		{"unheard of", "ns-01", "ci", []string{"T/ns-02 pass"}, attack.NotRun, "no test made it under this profile"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, ok := attack.ByID(tt.id)
			if !ok {
				t.Fatal("no such attempt")
			}
			got := log(t, tt.log...).attempt(a, tt.profile)
			if got.End != tt.want || got.Why != tt.why {
				t.Errorf("got %s, %q; want %s, %q", got.End, got.Why, tt.want, tt.why)
			}
		})
	}
}

// TestSuiteElsewhere: a row that a test makes as a whole ends as its own subtests.
func TestSuiteElsewhere(t *testing.T) {
	tests := []struct {
		name string
		row  string
		test string // in the folder
		log  []string
		want attack.End
		why  string
	}{
		{"later", "ws-04", "", nil, attack.NotRun, "the reason"},
		{"passed", "fs-17", "H", []string{"H/ci/fs-17 pass", "H/ci/fs-18 pass", "H/ci pass", "H pass"}, attack.Blocked, "internal/attack.H/ci/fs-17 passed"},
		{"failed", "fs-17", "H", []string{"H/ci/fs-17 output     x_test.go:9: got 0", "H/ci/fs-17 fail", "H/ci fail", "H fail"}, attack.Wrong, "internal/attack.H/ci/fs-17: got 0"},
		{"another row failed", "fs-17", "H", []string{"H/ci/fs-17 pass", "H/ci/fs-18 fail", "H/ci fail", "H fail"}, attack.Blocked, "internal/attack.H/ci/fs-17 passed"},
		{"the whole failed", "fs-17", "H", []string{"H/ci/fs-17 pass", "H/ci pass", "H fail"}, attack.Wrong, "internal/attack.H: it says no reason"},
		{"the other profile failed", "fs-17", "H", []string{"H/ci/fs-17 pass", "H/ci pass", "H/hostile/fs-17 fail", "H/hostile fail", "H fail"}, attack.Blocked, "internal/attack.H/ci/fs-17 passed"},
		{"only the other profile", "fs-17", "H", []string{"H/hostile/fs-17 pass", "H/hostile pass", "H pass"}, attack.NotRun, "internal/attack.H does not make it under this profile"},
		{"a subtest", "res-08", "R/busy_loops", []string{"R/busy_loops/ci pass", "R/log_flood/ci fail", "R fail"}, attack.Blocked, "internal/attack.R/busy_loops/ci passed"},
		{"all skipped", "res-08", "R/busy_loops", []string{"R output     x_test.go:9: needs root", "R skip"}, attack.NotRun, "needs root"},
		{"one of several failed", "res-06", "D", []string{"D/bytes/ci pass", "D/files/ci fail", "D/more/ci pass", "D fail"}, attack.Wrong, "internal/attack.D/files/ci: it says no reason"},
		{"it did not run", "fs-17", "H", nil, attack.NotRun, "internal/attack.H does not make it under this profile"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := attack.Elsewhere{Row: tt.row, Why: "the reason"}
			if tt.test != "" {
				e.Test = "internal/attack." + tt.test
			}
			got := log(t, tt.log...).elsewhere(e, "ci")
			if got.End != tt.want || got.Why != tt.why {
				t.Errorf("got %s, %q; want %s, %q", got.End, got.Why, tt.want, tt.why)
			}
		})
	}
}

// TestSuiteFailures: a test that failed and is the end of no row is not forgotten.
func TestSuiteFailures(t *testing.T) {
	s := log(t, "T/ns-01 fail", "T fail", "Other fail", "Fine pass")
	got := s.failures(map[string]bool{"ns-01": true}, "")
	if want := "internal/attack.Other: it says no reason"; len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestTable: without the tests' outcomes no row is good, and none is absent.
func TestTable(t *testing.T) {
	var direct []row
	for _, a := range attack.All() {
		direct = append(direct, row{ID: a.ID, What: a.What, End: attack.NotRun, Why: inPlace})
	}
	cases := []attack.Case{{ID: "ns-01", Class: "namespace"}, {ID: "ns-99", Class: "namespace"}}
	table := newTable(box{profile: "ci"}, cases, direct, log(t))
	ends := map[string]attack.End{}
	for _, r := range table.rows {
		ends[r.ID] = r.End
		if r.End == attack.NotRun && r.Why == "" {
			t.Errorf("%s is not run, without a reason", r.ID)
		}
		if r.End != attack.NotRun && r.ID != "ns-99" {
			t.Errorf("%s is %s, and nothing made it", r.ID, r.End)
		}
	}
	if ends["ns-99"] != attack.Wrong || table.good() {
		t.Errorf("ns-99, which nothing makes, is %s", ends["ns-99"])
	}
}
