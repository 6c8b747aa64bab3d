// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Case is one row of the published table of attempts.
type Case struct {
	ID, Class, Attempt, Source, Expected string
}

// ReadCases reads the published table, which is not part of this repository.
func ReadCases(path string) ([]Case, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	// Not encoding/csv: a quotation mark is a letter here.
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if want := "id\tclass\tattempt\tsource\texpected"; lines[0] != want {
		return nil, fmt.Errorf("%s: columns: got %q, want %q", path, lines[0], want)
	}
	var cases []Case
	seen := map[string]bool{}
	for n, line := range lines[1:] {
		f := strings.Split(line, "\t")
		if len(f) != 5 || seen[f[0]] {
			return nil, fmt.Errorf("%s: line %d: got %q, want five fields and an identifier of its own", path, n+2, line)
		}
		seen[f[0]] = true
		cases = append(cases, Case{f[0], f[1], f[2], f[3], f[4]})
	}
	return cases, nil
}

// RowOf is the row that an attempt belongs to: sc-05 has sc-05-map.
func RowOf(id string) string {
	parts := strings.SplitN(id, "-", 3)
	return strings.Join(parts[:min(2, len(parts))], "-")
}

var errnoName = regexp.MustCompile(`^E[A-Z0-9]+$`)

// Expects reports whether a sentence of the table allows an outcome: the name of
// an errno in it, the text of the errno, or words that mean the outcome.
func Expects(sentence, outcome string) bool {
	if slices.ContainsFunc(meanings(outcome), func(words string) bool { return strings.Contains(sentence, words) }) {
		return true
	}
	if !errnoName.MatchString(outcome) {
		return strings.Contains(sentence, outcome)
	}
	if slices.Contains(strings.FieldsFunc(sentence, func(r rune) bool { return strings.ContainsRune(" ,;:/()", r) }), outcome) {
		return true
	}
	for e := syscall.Errno(1); e < 200; e++ {
		if unix.ErrnoName(e) == outcome {
			return strings.Contains(strings.ToLower(sentence), e.Error())
		}
	}
	return false
}

// meanings are the words of the table for an outcome that an attempt calls
// otherwise.
func meanings(outcome string) []string {
	const policy, address, port, late = "refused by policy", "address refused", "refused on every port", "refused or timed out by policy"
	const kept = "keeps content and mode"
	return map[string][]string{
		"WORKS":         {"works: ", "works, "},
		"ECONNREFUSED":  {policy, address, port, late},
		"403":           {policy, late},
		"alert 112":     {policy, late}, // unrecognized_name: how a TLS server refuses a name
		"alert 80":      {address},
		"ENETUNREACH":   {"no route", "no IPv6 route"},
		"EADDRNOTAVAIL": {"no IPv6 route"}, // nor an address to begin at
		"both":          {"same verdict as through the proxy"},
		"ESRCH":         {"only own step visible"},
		"EXDEV":         {kept},
		"EACCES":        {kept},
		"EPERM":         {kept, "no core written anywhere"}, // its limit cannot be raised
	}[outcome]
}
