// SPDX-License-Identifier: Apache-2.0

package mask

import "io"

// Set is the forms of some values, ready to be looked for. It does not change and
// may be used by many writers at a time. It takes about 25 bytes for each byte of a
// form, and there are about ten forms of a value.
//
// It is the automaton of Aho and Corasick (1975): a tree of the forms, and for each
// state where to go on when what comes continues none of them. Few states have more
// than one child, so children are a list; those of the root, and of its children,
// are a table.
type Set struct {
	root   [256]int32
	second [][]int32 // by state of depth 1, from 1: the child for each byte; nil if it has few
	states []state
}

// state is a node of the tree. The root is number 0.
type state struct {
	child, sibling int32
	fail           int32 // the longest end of what was seen that begins a form too
	depth          int32 // how much of a form was seen
	match          int32 // how long the longest form is that ends here; 0 if none does
	char           byte  // that leads here
}

// fewChildren are walked faster than a table is worth its memory.
const fewChildren = 4

// NewSet makes a set of the values' forms.
func NewSet(values []string) *Set {
	needles := Needles(values)
	total := 1
	for _, n := range needles {
		total += len(n)
	}
	s := &Set{states: make([]state, 1, total)}
	for _, n := range needles { // all first bytes first, so that those states are the first
		if s.root[n[0]] == 0 {
			s.root[n[0]] = s.add(0, n[0])
		}
	}
	s.second = make([][]int32, len(s.states))
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
	if int(at) < len(s.second) && s.second[at] != nil {
		return s.second[at][c]
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
	for at := 1; at < len(s.second); at++ {
		n := 0
		var table [256]int32
		for to := s.states[at].child; to != 0; to = s.states[to].sibling {
			table[s.states[to].char] = to
			n++
		}
		if n > fewChildren {
			s.second[at] = table[:]
		}
	}
}

// NewWriter returns a writer that masks what it passes on to w.
func (s *Set) NewWriter(w io.Writer) *Writer { return &Writer{w: w, set: s} }
