// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"math/rand/v2"
	"testing"
)

// TestTree compiles rules with far more cases than a real one has, so that
// jumps out of the reach of 8 bits occur, and compares with the rules.
func TestTree(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	longest, far := 0, 0
	for range 60 {
		leaves := []rule{allow(), notify(eperm), fail(enosys), fail(eperm), fail(einval), onlyBits(1, 6, fail(einval))}
		var cases []choice
		for range 1 + rnd.IntN(500) {
			lo := rnd.Uint32N(2000)
			if rnd.IntN(10) == 0 {
				lo = rnd.Uint32()
			}
			hi := lo + min(rnd.Uint32N(4), ^lo)
			cases = append(cases, when(lo, hi, leaves[rnd.IntN(len(leaves))]))
		}
		mask := uint32(0xffffffff)
		if rnd.IntN(3) == 0 {
			mask = rnd.Uint32()
		}
		r := byBits(0, mask, leaves[rnd.IntN(len(leaves))], cases)
		var b builder
		b.rule(r) // the last rule written is the first to run
		prog := b.program()
		longest = max(longest, len(prog))
		for _, in := range prog {
			if in.Code == opJA {
				far++
			}
		}
		check := func(v uint32) {
			for _, second := range []uint64{0, 6, 1} {
				args := [6]uint64{uint64(v) | 1<<40, second}
				got, _, err := run(prog, 0, 0, args)
				if want := r.verdict(args); err != nil || got != want.ret() {
					t.Fatalf("value %#x: program says %#x, %v; rule says %v", v, got, err, want)
				}
			}
		}
		for v := range uint32(2010) {
			check(v)
		}
		for _, c := range cases {
			for _, v := range []uint32{c.lo, c.hi, c.lo - 1, c.hi + 1} {
				check(v)
			}
		}
	}
	if far == 0 {
		t.Error("no jump was out of reach")
	}
	t.Logf("longest program: %d instructions, %d far jumps", longest, far)
}
