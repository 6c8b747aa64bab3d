// SPDX-License-Identifier: Apache-2.0

package seccomp

// span leads an inclusive range of values to a place.
type span struct {
	lo, hi uint32
	to     label
}

// merge joins neighbours that lead to the same place.
func merge(s []span) []span {
	var out []span
	for _, x := range s {
		if n := len(out); n > 0 && out[n-1].to == x.to {
			out[n-1].hi = x.hi
			continue
		}
		out = append(out, x)
	}
	return out
}

// choose writes a search tree over gapless spans for the value in the
// accumulator, and returns its first instruction.
func (b *builder) choose(s []span) label {
	if len(s) == 1 {
		return s[0].to
	}
	mid := len(s) / 2
	high := b.choose(s[mid:])
	low := b.choose(s[:mid])
	return b.jump(opJGE, s[mid].lo, high, low)
}
