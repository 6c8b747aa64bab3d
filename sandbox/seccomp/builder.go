// SPDX-License-Identifier: Apache-2.0

package seccomp

import "slices"

// Operation codes of classic BPF, linux/bpf_common.h.
const (
	opLoad = 0x20 // ld [k]
	opAnd  = 0x54 // and #k
	opJA   = 0x05 // ja k
	opJEQ  = 0x15 // jeq #k, jt, jf
	opJGT  = 0x25
	opJGE  = 0x35
	opJSET = 0x45
	opRet  = 0x06 // ret #k
)

// label names a place in the program.
type label int

// builder writes a program from its end to its start: jumps of BPF go forward
// only, so every target is known when the jump is written.
type builder struct {
	rev   []Instruction    // the last instruction first
	at    []int            // by label: index in rev
	rets  map[uint32]label // by value
	rules map[string]label // by content
}

// reach is the largest distance that jt and jf can hold, less the two helpers
// that one jump may put in between.
const reach = 255 - 2

// op writes an instruction before all others.
func (b *builder) op(code uint16, k uint32) label {
	b.rev = append(b.rev, Instruction{Code: code, K: k})
	return b.here()
}

func (b *builder) here() label {
	b.at = append(b.at, len(b.rev)-1)
	return label(len(b.at) - 1)
}

// ret returns the label of "ret k", shared by all who end so.
func (b *builder) ret(k uint32) label {
	if l, ok := b.rets[k]; ok {
		return l
	}
	if b.rets == nil {
		b.rets = map[uint32]label{}
	}
	l := b.op(opRet, k)
	b.rets[k] = l
	return l
}

// jump writes a comparison of the accumulator with k.
func (b *builder) jump(code uint16, k uint32, yes, no label) label {
	b.near(yes)
	b.near(no)
	b.rev = append(b.rev, Instruction{Code: code, K: k, JT: uint8(b.distance(yes)), JF: uint8(b.distance(no))})
	return b.here()
}

// distance is the offset from an instruction written next.
func (b *builder) distance(l label) int { return len(b.rev) - 1 - b.at[l] }

// near brings a label into reach: by a copy if it is a return, else by a jump
// whose offset has 32 bits. Later jumps use the nearer place as well.
func (b *builder) near(l label) {
	if b.distance(l) <= reach {
		return
	}
	in := b.rev[b.at[l]]
	if in.Code != opRet {
		in = Instruction{Code: opJA, K: uint32(b.distance(l))}
	}
	b.rev = append(b.rev, in)
	b.at[l] = len(b.rev) - 1
}

// program returns what was written, first instruction first.
func (b *builder) program() []Instruction {
	p := slices.Clone(b.rev)
	slices.Reverse(p)
	return p
}
