// SPDX-License-Identifier: Apache-2.0

package mask

import "io"

// Growing are sets to which values may come at any time. It is not safe for concurrent use;
// writers do not see what comes after them.
type Growing struct {
	sets []sized // each of more bytes than those after it together, nearly
}

// sized is a set, and the values that it is made of.
type sized struct {
	*Set
	values []string
	bytes  int
}

// Add hides values in the writers to come. They make a set together with those of the sets
// that are no larger: so a value is part of a new set as often as the size doubles, and not
// each time that one more comes.
func (g *Growing) Add(values ...string) {
	if len(values) == 0 {
		return
	}
	size := 0
	for _, v := range values {
		size += len(v)
	}
	for n := len(g.sets); n > 0 && g.sets[n-1].bytes <= size; n-- {
		last := g.sets[n-1]
		values, size, g.sets = append(last.values, values...), last.bytes+size, g.sets[:n-1]
	}
	g.sets = append(g.sets, sized{NewSet(values), values, size})
}

// NewWriter hides all values that have come so far in what goes to w.
func (g *Growing) NewWriter(w io.Writer) *Writer {
	sets := make([]*Set, 0, len(g.sets))
	for _, s := range g.sets {
		sets = append(sets, s.Set)
	}
	return NewWriter(w, sets...)
}
