// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"encoding/binary"
	"math/bits"
)

// sieve finds quickly where no form can begin: nearly everywhere. It looks at four
// bytes in every stride bytes of the text. A form that begins since the last look
// has these four at one of its first stride places; if no form has them there, no
// form begins there. (The q-grams of Wu and Manber, "A fast algorithm for
// multi-pattern searching", 1994, in steps of a fixed width.)
//
// What it lets through is looked at by the automaton, so it decides nothing but speed.
type sieve struct {
	stride int      // bytes; 0 if there is nothing to find
	shift  uint     // of the hash, so that it is a place in seen
	seen   []uint64 // a bit for each hash of four bytes
}

const (
	gram = 4 // bytes; no form is shorter
	// longestStride is where more places a form cost more than longer steps save: with
	// 50 secrets, and with tokens that begin alike.
	longestStride = 8
	// A set of many forms gets 16 bits for each of its places, to 32 KiB: what is
	// looked at all the time should stay in the processor's first cache.
	bitsPerPlace = 64
	fewestBits   = 14 // as powers of two
	mostBits     = 18
)

func newSieve(needles []string) sieve {
	if len(needles) == 0 {
		return sieve{}
	}
	shortestForm := len(needles[len(needles)-1]) // they are sorted
	f := sieve{stride: min(shortestForm-gram+1, longestStride)}
	size := bits.Len(uint(len(needles) * f.stride * bitsPerPlace))
	size = min(max(size, fewestBits), mostBits)
	f.shift = uint(32 - size)
	f.seen = make([]uint64, 1<<size/64)
	for _, n := range needles {
		for i := range f.stride {
			h := f.hash(binary.LittleEndian.Uint32([]byte(n[i : i+gram])))
			f.seen[h/64] |= 1 << (h % 64)
		}
	}
	return f
}

func (f *sieve) hash(four uint32) uint32 { return four * golden >> f.shift }

// skip returns from where on a form may begin in p, at from or after it. What is
// before it begins none that p could show; the last few bytes are never skipped.
func (f *sieve) skip(p []byte, from int) int {
	stride, shift, seen := f.stride, f.shift&31, f.seen
	for at := from + stride - 1; at+gram <= len(p); at += stride {
		h := binary.LittleEndian.Uint32(p[at:]) * golden >> shift
		if seen[h/64]&(1<<(h%64)) != 0 {
			break
		}
		from = at + 1
	}
	return from
}
