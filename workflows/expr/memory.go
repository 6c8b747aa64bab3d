// SPDX-License-Identifier: Apache-2.0

package expr

import "math"

// The runner counts, roughly, what an expression takes (EvaluationMemory.cs,
// MemoryCounter.cs): two bytes for each unit of a string, and these.
const (
	defaultMemory = 10 << 20 // ParseOptions.cs, MaxResultSize
	objectBytes   = 24
	stringBytes   = 26
	pointerBytes  = 8
)

// memory is what the values of an evaluation take that are in use at a time: a
// node's value, and those of its arguments until it is known that they are gone.
type memory struct {
	limit  int
	total  int
	depths []int // by depth of the node
}

// add counts the value of a node. A value that holds no other one frees what is
// deeper.
func (m *memory) add(depth, bytes int, frees bool) bool {
	if frees {
		for d := depth + 1; d < len(m.depths); d++ {
			m.total -= m.depths[d]
		}
		m.depths = m.depths[:min(len(m.depths), depth+1)]
	}
	for len(m.depths) <= depth {
		m.depths = append(m.depths, 0)
	}
	m.depths[depth] += bytes
	m.total += bytes
	return m.total <= m.limit
}

// counter is what one node takes while it makes its value.
type counter struct{ left int }

// add counts bytes; false if they are too many.
func (c *counter) add(bytes int) bool {
	if bytes > c.left {
		c.left = math.MinInt
		return false
	}
	c.left -= bytes
	return true
}

// full reports whether it was asked for too much.
func (c *counter) full() bool { return c.left < 0 }

func (c *counter) str(s string) bool { return c.add(sizeOf(s)) }

func sizeOf(s string) int { return stringBytes + 2*units(s) }
