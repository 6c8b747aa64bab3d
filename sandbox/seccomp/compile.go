// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"fmt"
	"slices"
)

// maxInstructions is BPF_MAXINSNS, the kernel's limit on one program.
const maxInstructions = 4096

// Offsets in struct seccomp_data. The low half of an argument comes first on
// both architectures.
const (
	offNr   = 0
	offArch = 4
	offArgs = 16
)

// Compile returns the program for an architecture. Those of the built-in
// profiles are made ahead and cost a copy.
func (p Profile) Compile(a Arch) ([]Instruction, error) {
	if prog := p.prebuilt(a); prog != nil {
		return prog, nil
	}
	return p.compile(a)
}

func (p Profile) compile(a Arch) ([]Instruction, error) {
	if a.audit() == 0 {
		return nil, fmt.Errorf("no system-call filter for architecture %q", a)
	}
	var b builder
	foreign := b.rule(rule{end: Verdict{Action: Kill}})
	unknown := b.rule(fail(enosys))
	start := b.choose(p.numbers(a, &b))

	// Emitted backwards: the last instruction is the first to run.
	b.jump(opJGE, x32Bit, unknown, start)
	first := b.op(opLoad, offNr)
	b.jump(opJEQ, a.audit(), first, foreign)
	b.op(opLoad, offArch)
	prog := b.program()
	if len(prog) > maxInstructions {
		return nil, fmt.Errorf("bug: program of %d instructions, the kernel takes %d", len(prog), maxInstructions)
	}
	return prog, nil
}

// numbers returns what each range of numbers leads to, gapless from 0 on.
func (p Profile) numbers(a Arch, b *builder) []span {
	unknown := b.rule(fail(enosys))
	var spans []span
	next := uint32(0)
	for _, c := range a.calls() {
		if c.nr > next {
			spans = append(spans, span{next, c.nr - 1, unknown})
		}
		spans = append(spans, span{c.nr, c.nr, b.rule(p.rule(c.name))})
		next = c.nr + 1
	}
	return merge(append(spans, span{next, 0xffffffff, unknown}))
}

// rule emits a rule and returns its label; equal rules share one.
func (b *builder) rule(r rule) label {
	if r.test == nil {
		return b.ret(r.end.ret())
	}
	t := r.test
	spans := t.spans(b)
	key := fmt.Sprint(t.arg, t.mask, spans)
	if l, ok := b.rules[key]; ok {
		return l
	}
	if len(spans) == 1 {
		return spans[0].to // the argument decides nothing
	}
	// Each instruction falls through to the one that was written before it.
	switch {
	case t.mask == 0xffffffff:
		b.choose(spans)
	case len(spans) == 2 && spans[0].hi == 0: // no bit of mask is set, or any is
		b.jump(opJSET, t.mask, spans[1].to, spans[0].to)
	default:
		b.choose(spans)
		b.op(opAnd, t.mask)
	}
	l := b.op(opLoad, offArgs+8*uint32(t.arg))
	if b.rules == nil {
		b.rules = map[string]label{}
	}
	b.rules[key] = l
	return l
}

// spans returns what each value leads to, gapless. An earlier case hides a
// later one, as in test.pick.
func (t *test) spans(b *builder) []span {
	other := b.rule(t.other)
	cuts := []uint64{0, 1 << 32}
	for _, c := range t.cases {
		cuts = append(cuts, uint64(c.lo), uint64(c.hi)+1)
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	var spans []span
	for i, lo := range cuts[:len(cuts)-1] {
		l := other
		for _, c := range t.cases {
			if uint64(c.lo) <= lo && lo <= uint64(c.hi) {
				l = b.rule(c.then)
				break
			}
		}
		spans = append(spans, span{uint32(lo), uint32(cuts[i+1] - 1), l})
	}
	return merge(spans)
}
