// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/zviz/run/internal/testenv"
)

// row is a line of cases.tsv.
type row struct{ id, attempt, expected, log string }

func readRows(t *testing.T) []row {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(testenv.Conformance(t, "egress"), "cases.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var out []row
	for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		f := strings.Split(line, "\t")
		if len(f) != 4 {
			t.Fatalf("line %d has %d columns", i+1, len(f))
		}
		if i > 0 {
			out = append(out, row{f[0], f[1], f[2], f[3]})
		}
	}
	return out
}

// readKnown returns why a row is not run, by id.
func readKnown(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("testdata/known.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		id, why, ok := strings.Cut(line, ": ")
		if !ok || why == "" || known[id] != "" {
			t.Fatalf("known.txt: %q", line)
		}
		known[id] = why
	}
	return known
}

// TestConformance runs every row of the egress cases. A row that is not run stands in
// testdata/known.txt with its reason; one that stands there and is run fails.
func TestConformance(t *testing.T) {
	rows, known, cases := readRows(t), readKnown(t), conformanceCases()
	for _, r := range rows {
		t.Run(r.id, func(t *testing.T) {
			run, ok := cases[r.id]
			switch {
			case known[r.id] != "" && ok:
				t.Fatal("stands in known.txt, but is run")
			case known[r.id] != "":
				t.Skip(known[r.id])
			case !ok:
				t.Fatalf("nobody runs it: %s\nexpected: %s\nlog: %s", r.attempt, r.expected, r.log)
			}
			run(t)
		})
	}
	for id := range cases {
		if !slices.ContainsFunc(rows, func(r row) bool { return r.id == id }) {
			t.Errorf("%s is run, but is no row", id)
		}
	}
	for id := range known {
		if !slices.ContainsFunc(rows, func(r row) bool { return r.id == id }) {
			t.Errorf("%s stands in known.txt, but is no row", id)
		}
	}
}
