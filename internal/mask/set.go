// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"encoding/binary"
	"io"
	"math"
	"math/bits"
)

// Set is the forms of some values, ready to be looked for. It does not change and
// may be used by many writers at a time. It takes about 25 bytes for each byte of a
// form, and there are about ten forms of a value.
//
// It is the automaton of Aho and Corasick (1975): a tree of the forms, and for each
// state where to go on when what comes continues none of them. Few states have more
// than one child, so children are a list; those of the root are a table, and those of
// other states with many stand in one table of hashes. Where each state is the only
// child of the one before, the text is compared with all of them at once. Most of a
// text never comes here: see sieve.
type Set struct {
	sieve  sieve
	root   [256]int32
	states []state
	chars  []byte // those of the states
	edges  []edge // to children of states that have many, by hash
}

// edge leads from a state to a child. There is none where to is 0.
type edge struct {
	from, to int32
	char     byte
}

// state is a node of the tree. The root is number 0.
type state struct {
	child, sibling int32
	fail           int32  // the longest end of what was seen that begins a form too
	depth          int32  // how much of a form was seen
	match          int32  // how long the longest form is that ends here; 0 if none does
	char           byte   // that leads here
	many           bool   // its children are found by their edges
	run            uint16 // this many states follow, each an only child, in which no form ends
}

const (
	fewChildren = 4          // a list of them is walked as fast as a hash is found
	golden      = 0x9E3779B1 // 2³² divided by the golden ratio: Fibonacci hashing
)

// NewSet makes a set of the values' forms.
func NewSet(values []string) *Set {
	needles := Needles(values)
	total := 1
	for _, n := range needles {
		total += len(n)
	}
	s := &Set{states: make([]state, 1, total), sieve: newSieve(needles)}
	for _, n := range needles { // all first bytes first, so that those states are the first
		if s.root[n[0]] == 0 {
			s.root[n[0]] = s.add(0, n[0])
		}
	}
	for _, n := range needles {
		at := s.root[n[0]]
		for i := 1; i < len(n); i++ {
			to := s.childOf(at, n[i])
			if to == 0 {
				to = s.add(at, n[i])
			}
			at = to
		}
		s.states[at].match = int32(len(n))
	}
	s.complete()
	return s
}

func (s *Set) add(parent int32, c byte) int32 {
	p := &s.states[parent]
	n := int32(len(s.states))
	child := state{char: c, depth: p.depth + 1, sibling: p.child}
	p.child = n
	s.states = append(s.states, child)
	return n
}

// childOf is the child of a state for a byte; 0 if there is none.
func (s *Set) childOf(at int32, c byte) int32 {
	if at == 0 {
		return s.root[c]
	}
	if s.states[at].many {
		return s.alongEdge(at, c)
	}
	to := s.states[at].child
	for to != 0 && s.states[to].char != c {
		to = s.states[to].sibling
	}
	return to
}

// step is the state after one more byte.
func (s *Set) step(at int32, c byte) int32 {
	for at != 0 {
		if to := s.childOf(at, c); to != 0 {
			return to
		}
		at = s.states[at].fail
	}
	return s.root[c]
}

// complete puts in where to go on, and the tables of the second bytes.
func (s *Set) complete() {
	queue := make([]int32, 0, len(s.states))
	for to := s.states[0].child; to != 0; to = s.states[to].sibling {
		queue = append(queue, to)
	}
	for i := 0; i < len(queue); i++ {
		at := queue[i]
		if s.states[at].match == 0 {
			s.states[at].match = s.states[s.states[at].fail].match
		}
		for to := s.states[at].child; to != 0; to = s.states[to].sibling {
			s.states[to].fail = s.step(s.states[at].fail, s.states[to].char)
			queue = append(queue, to)
		}
	}
	s.findMany()
	s.chars = make([]byte, len(s.states))
	for at := len(s.states) - 1; at > 0; at-- {
		p := &s.states[at]
		s.chars[at] = p.char
		if to := p.child; int(to) == at+1 && s.states[to].sibling == 0 && s.states[to].match == 0 && s.states[to].run < math.MaxUint16 {
			p.run = s.states[to].run + 1
		}
	}
}

// findMany makes the table of the children of states that have many.
func (s *Set) findMany() {
	total := 0
	for at := 1; at < len(s.states); at++ {
		n := 0
		for to := s.states[at].child; to != 0; to = s.states[to].sibling {
			n++
		}
		if n > fewChildren {
			s.states[at].many = true
			total += n
		}
	}
	s.edges = make([]edge, 1<<bits.Len(uint(2*total))) // at most half full
	for at := range s.states {
		if !s.states[at].many {
			continue
		}
		for to := s.states[at].child; to != 0; to = s.states[to].sibling {
			e := edge{from: int32(at), to: to, char: s.states[to].char}
			i := s.place(e.from, e.char)
			for s.edges[i].to != 0 {
				i = (i + 1) % len(s.edges)
			}
			s.edges[i] = e
		}
	}
}

// place is where the search for an edge begins.
func (s *Set) place(from int32, c byte) int {
	return int((uint32(from)<<8|uint32(c))*golden>>16) & (len(s.edges) - 1)
}

// alongEdge is childOf for a state with many.
func (s *Set) alongEdge(from int32, c byte) int32 {
	for i := s.place(from, c); ; i = (i + 1) & (len(s.edges) - 1) {
		if e := &s.edges[i]; e.to == 0 || e.from == from && e.char == c {
			return e.to
		}
	}
}

// along returns how many of the states that follow at, each an only child, are those
// of p.
func (s *Set) along(at int32, p []byte) int {
	chars := s.chars[at+1:]
	n := min(int(s.states[at].run), len(p))
	i := 0
	for ; i+8 <= n; i += 8 {
		if differ := binary.LittleEndian.Uint64(p[i:]) ^ binary.LittleEndian.Uint64(chars[i:]); differ != 0 {
			return i + bits.TrailingZeros64(differ)/8
		}
	}
	for i < n && p[i] == chars[i] {
		i++
	}
	return i
}

// NewWriter returns a writer that masks what it passes on to w.
func (s *Set) NewWriter(w io.Writer) *Writer { return NewWriter(w, s) }

// skip returns where the first value may begin in p, at from or after it; the length
// of p if nowhere.
func (s *Set) skip(p []byte, from int) int {
	if s.sieve.stride > 0 {
		from = s.sieve.skip(p, from)
	}
	for from < len(p) && s.root[p[from]] == 0 {
		from++
	}
	return from
}
