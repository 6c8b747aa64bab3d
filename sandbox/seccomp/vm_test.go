// SPDX-License-Identifier: Apache-2.0

package seccomp

import "fmt"

// run executes a program as the kernel does, on one call. It knows only what
// a program of ours may contain and refuses the rest. constant reports whether
// the program never looked at an argument: the condition for the kernel's
// bitmap (seccomp_is_const_allow of kernel/seccomp.c).
func run(prog []Instruction, auditArch, nr uint32, args [6]uint64) (ret uint32, constant bool, err error) {
	var acc uint32
	constant = true
	for pc := 0; pc < len(prog); pc++ {
		in := prog[pc]
		var cond bool
		switch in.Code {
		case opLoad:
			switch k := in.K; {
			case k == offNr:
				acc = nr
			case k == offArch:
				acc = auditArch
			case k >= offArgs && k < offArgs+48 && k%4 == 0:
				constant = false
				acc = uint32(args[(k-offArgs)/8] >> (8 * ((k - offArgs) % 8)))
			default:
				return 0, false, fmt.Errorf("instruction %d: load from %d", pc, k)
			}
			continue
		case opAnd:
			acc &= in.K
			continue
		case opRet:
			return in.K, constant, nil
		case opJA:
			pc += int(in.K)
			continue
		case opJEQ:
			cond = acc == in.K
		case opJGT:
			cond = acc > in.K
		case opJGE:
			cond = acc >= in.K
		case opJSET:
			cond = acc&in.K != 0
		default:
			return 0, false, fmt.Errorf("instruction %d: unknown code %#x", pc, in.Code)
		}
		if cond {
			pc += int(in.JT)
		} else {
			pc += int(in.JF)
		}
	}
	return 0, false, fmt.Errorf("the program ran past its end of %d", len(prog))
}
