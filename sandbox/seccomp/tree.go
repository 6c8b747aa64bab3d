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
//
// Two comparisons cut one number out of a range that surrounds it; one test for
// equality does the same. So spans are first put together into groups that lead
// to one place but for a few single numbers, then the groups are bisected.
func (b *builder) choose(s []span) label { return b.bisect(groups(s)) }

func (b *builder) bisect(g []group) label {
	if len(g) == 1 {
		l := g[0].to
		for _, x := range g[0].except {
			l = b.jump(opJEQ, x.lo, x.to, l)
		}
		return l
	}
	mid := len(g) / 2
	high := b.bisect(g[mid:])
	low := b.bisect(g[:mid])
	return b.jump(opJGE, g[mid].lo, high, low)
}

// group is a range of values that leads to one place but for single values.
type group struct {
	lo     uint32
	to     label
	except []span // each of one value
}

// maxExcept bounds the tests in a row of one group: the kernel runs the
// program once for every number when it is loaded.
const maxExcept = 6

// groups finds the division with the fewest comparisons: one for each
// exception and one between groups.
func groups(s []span) []group {
	type step struct {
		cost, from int
		to         label
	}
	best := make([]step, len(s)+1)
	for end := 1; end <= len(s); end++ {
		best[end].cost = 1 << 30
		for from := end - 1; from >= 0 && from >= end-2*maxExcept-1; from-- {
			for _, base := range s[from:end] {
				n, ok := exceptions(s[from:end], base.to)
				if cost := best[from].cost + 1 + n; ok && cost < best[end].cost {
					best[end] = step{cost, from, base.to}
				}
			}
		}
	}
	var g []group
	for end := len(s); end > 0; end = best[end].from {
		from := best[end].from
		one := group{lo: s[from].lo, to: best[end].to}
		for _, x := range s[from:end] {
			if x.to == one.to {
				continue
			}
			for v := x.lo; ; v++ {
				one.except = append(one.except, span{v, v, x.to})
				if v == x.hi {
					break
				}
			}
		}
		g = append([]group{one}, g...)
	}
	return g
}

// exceptions counts the values that do not lead to base.
func exceptions(s []span, base label) (n int, ok bool) {
	for _, x := range s {
		if x.to == base {
			continue
		}
		size := uint64(x.hi) - uint64(x.lo) + 1
		if size > maxExcept {
			return 0, false
		}
		n += int(size)
	}
	return n, n <= maxExcept
}
