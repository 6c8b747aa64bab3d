// SPDX-License-Identifier: Apache-2.0

//go:build linux

package attack_test

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/attack"
)

// catalogue reads the published table of attempts: what each row expects, by
// its identifier. The table is not part of this repository.
func catalogue(t *testing.T) map[string]string {
	t.Helper()
	dir := os.Getenv("ZVIZ_CONFORMANCE")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "conformance") // beside the repository
	}
	text, err := os.ReadFile(filepath.Join(dir, "escape", "cases.tsv"))
	if err != nil {
		if os.Getenv("ZVIZ_TEST_REQUIRE") == "1" {
			t.Fatalf("%v (ZVIZ_TEST_REQUIRE=1)", err)
		}
		t.Skipf("the table of attempts is not here: ZVIZ_CONFORMANCE names its folder: %v", err)
	}
	// Not encoding/csv: a quotation mark is a letter here.
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if got, want := lines[0], "id\tclass\tattempt\tsource\texpected"; got != want {
		t.Fatalf("columns: got %q, want %q", got, want)
	}
	rows := map[string]string{}
	for n, line := range lines[1:] {
		fields := strings.Split(line, "\t")
		if _, twice := rows[fields[0]]; len(fields) != 5 || twice {
			t.Fatalf("line %d: got %q, want five fields and an identifier of its own", n+2, line)
		}
		rows[fields[0]] = fields[4]
	}
	return rows
}

// rowOf is the row of the table that an attempt belongs to: sc-05 has sc-05-map.
func rowOf(id string) string {
	parts := strings.SplitN(id, "-", 3)
	return strings.Join(parts[:min(2, len(parts))], "-")
}

// TestCatalogueHasAttempts wants an attempt of every row of the classes that
// TestKernelAttempts makes.
func TestCatalogueHasAttempts(t *testing.T) {
	have := map[string]bool{}
	for _, a := range attack.All() {
		have[rowOf(a.ID)] = true
	}
	var missing []string
	for id := range catalogue(t) {
		// On other processors a row of one processor's calls has no attempt.
		if aboutKernel(id) && !have[id] && (runtime.GOARCH == "amd64" || id != "sc-18" && id != "sc-20") {
			missing = append(missing, id)
		}
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		t.Errorf("rows without an attempt: %s", strings.Join(missing, " "))
	}
}

// TestCatalogueExpects compares what the attempts want with what the table
// expects. What differs is an override, and an override differs.
func TestCatalogueExpects(t *testing.T) {
	rows := catalogue(t)
	overrides := attack.Overrides()
	used := make([]bool, len(overrides))
	for _, a := range attack.All() {
		expected, ok := rows[rowOf(a.ID)]
		if !ok || !aboutKernel(a.ID) || a.Allowed && rowOf(a.ID) != a.ID { // what must work beside the row's own attempt
			continue
		}
		for _, profile := range []string{"ci", "hostile"} {
			wants := a.Wants(profile)
			if a.Allowed {
				wants = []string{"WORKS"}
			}
			for _, want := range wants {
				o := slices.IndexFunc(overrides, func(o attack.Override) bool {
					return o.ID == a.ID && o.Got == want && (o.Profile == "" || o.Profile == profile)
				})
				switch {
				case o >= 0:
					used[o] = true
					if expects(expected, want) {
						t.Errorf("%s, %s: the override %s is what the table expects: %q", a.ID, profile, want, expected)
					}
				case !expects(expected, want):
					t.Errorf("%s, %s: the attempt wants %s, the table %q, and no override says why", a.ID, profile, want, expected)
				}
			}
		}
	}
	for i, o := range overrides {
		if aboutKernel(o.ID) && !used[i] {
			t.Errorf("the override of %s by %s has no attempt", o.ID, o.Got)
		}
		if o.Why == "" {
			t.Errorf("the override of %s has no reason", o.ID)
		}
	}
}

var errnoName = regexp.MustCompile(`^E[A-Z0-9]+$`)

// expects reports whether a sentence of the table allows an outcome: the name of
// an errno in it, the text of the errno, or the words themselves.
func expects(sentence, want string) bool {
	if !errnoName.MatchString(want) {
		return strings.Contains(sentence, want)
	}
	if slices.Contains(strings.FieldsFunc(sentence, func(r rune) bool { return strings.ContainsRune(" ,;()", r) }), want) {
		return true
	}
	for e := syscall.Errno(1); e < 200; e++ {
		if unix.ErrnoName(e) == want {
			return strings.Contains(strings.ToLower(sentence), e.Error())
		}
	}
	return false
}
