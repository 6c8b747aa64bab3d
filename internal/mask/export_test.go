// SPDX-License-Identifier: Apache-2.0

package mask

// WithoutSieve is a set that looks at every byte.
func (s *Set) WithoutSieve() *Set {
	c := *s
	c.sieve = sieve{}
	return &c
}

// Values are how many values each set holds.
func (g *Growing) Values() []int {
	var out []int
	for _, s := range g.sets {
		out = append(out, len(s.values))
	}
	return out
}
