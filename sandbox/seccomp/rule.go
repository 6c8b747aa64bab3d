// SPDX-License-Identifier: Apache-2.0

package seccomp

import "syscall"

// rule is what a profile says about one call: a verdict, or a choice by the
// low 32 bits of one argument. The kernel truncates int and unsigned int
// arguments to those bits.
type rule struct {
	end  Verdict // if test is nil
	test *test
}

// test chooses by arg & mask: the first case that contains it, else other.
type test struct {
	arg   int
	mask  uint32
	cases []choice
	other rule
}

// choice is one inclusive range of values and what it leads to.
type choice struct {
	lo, hi uint32
	then   rule
}

func allow() rule                          { return rule{end: Verdict{Action: Allow}} }
func fail(e syscall.Errno) rule            { return rule{end: Verdict{Action: Errno, Errno: e}} }
func notify(e syscall.Errno) rule          { return rule{end: Verdict{Action: Notify, Errno: e}} }
func when(lo, hi uint32, then rule) choice { return choice{lo, hi, then} }

// oneOf makes a choice of each value.
func oneOf(then rule, values ...uint32) []choice {
	c := make([]choice, len(values))
	for i, v := range values {
		c[i] = choice{v, v, then}
	}
	return c
}

// byArg chooses by the low 32 bits of an argument.
func byArg(arg int, other rule, cases ...[]choice) rule {
	return byBits(arg, 0xffffffff, other, cases...)
}

// byBits chooses by some of the low 32 bits of an argument.
func byBits(arg int, mask uint32, other rule, cases ...[]choice) rule {
	t := &test{arg: arg, mask: mask, other: other}
	for _, c := range cases {
		t.cases = append(t.cases, c...)
	}
	return rule{test: t}
}

// onlyBits allows a flags argument that has no bit outside of known.
func onlyBits(arg int, known uint32, other rule) rule {
	return byBits(arg, ^known, other, oneOf(allow(), 0))
}

func (r rule) verdict(args [6]uint64) Verdict {
	for r.test != nil {
		r = r.test.pick(uint32(args[r.test.arg]))
	}
	return r.end
}

func (t *test) pick(low uint32) rule {
	v := low & t.mask
	for _, c := range t.cases {
		if c.lo <= v && v <= c.hi {
			return c.then
		}
	}
	return t.other
}
