// SPDX-License-Identifier: Apache-2.0

package runview

import "strings"

// What is kept of each step that runs, in case that it fails.
const (
	ringLines = 10
	ringBytes = 400 // of a line
)

// ring keeps the last lines.
type ring struct {
	lines [ringLines]string
	next  int
}

func (r *ring) add(line string) {
	if len(line) > ringBytes {
		line = strings.ToValidUTF8(line[:ringBytes], "") + "…" // a copy, that does not hold all of it
	}
	r.lines[r.next%ringLines] = line
	r.next++
}

// all returns the lines, the oldest first.
func (r *ring) all() []string {
	var list []string
	for i := max(r.next-ringLines, 0); i < r.next; i++ {
		list = append(list, r.lines[i%ringLines])
	}
	return list
}
