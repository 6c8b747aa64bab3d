// SPDX-License-Identifier: Apache-2.0

// Package spell finds the name that was probably meant.
//
//	if n, ok := spell.Nearest("allwo", names); ok { fmt.Printf("did you mean %q?", n) }
package spell

import "strings"

// Nearest returns the candidate with the fewest typing errors away from name,
// if that is few enough to be a slip: one for short names, two for longer ones.
func Nearest(name string, candidates []string) (string, bool) {
	const longest = 64 // names of ours are short; foreign text is not compared at length
	if name == "" || len(name) > longest {
		return "", false
	}
	best, bestDist := "", 1+max(1, min(2, len(name)/3))
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d < bestDist {
			best, bestDist = c, d
		}
	}
	return best, best != ""
}

// distance counts insertions, deletions, substitutions and swaps of neighbours
// (optimal string alignment).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			same := 1
			if a[i-1] == b[j-1] {
				same = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+same)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
