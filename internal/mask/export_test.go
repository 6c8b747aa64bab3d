// SPDX-License-Identifier: Apache-2.0

package mask

// WithoutSieve is a set that looks at every byte.
func (s *Set) WithoutSieve() *Set {
	c := *s
	c.sieve = sieve{}
	return &c
}
