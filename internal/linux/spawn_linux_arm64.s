// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// func clone3(args *cloneArgs, size uintptr, ops, end unsafe.Pointer) int64
//
// See spawn_linux_amd64.s. State of the child: R19 (op) and R20 (end); SVC preserves
// every register but R0.
TEXT ·clone3(SB), NOSPLIT|NOFRAME, $0-40
	MOVD args+0(FP), R0
	MOVD size+8(FP), R1
	MOVD ops+16(FP), R19
	MOVD end+24(FP), R20
	MOVD $435, R8             // clone3
	SVC
	CBZ  R0, walk
	MOVD R0, ret+32(FP)
	RET

walk:
	CMP  R20, R19
	BHS  leave
	MOVD 64(R19), R9          // Op.From
	CBZ  R9, call
	MOVD (R9), R9
	MOVD 72(R19), R10         // Op.To
	MOVD R9, (R10)

call:
	MOVD 0(R19), R8
	MOVD 8(R19), R0
	MOVD 16(R19), R1
	MOVD 24(R19), R2
	MOVD 32(R19), R3
	MOVD 40(R19), R4
	MOVD 48(R19), R5
	SVC
	MOVD R0, 56(R19)          // Op.Ret
	MOVD 80(R19), R10         // Op.Flags
	CBNZ R0, nonzero
	TBNZ $1, R10, leave       // OpZeroEnds
	B    next

nonzero:
	CMN  $4095, R0            // errors are -4095..-1
	BLO  next
	TBZ  $0, R10, leave       // OpMayFail

next:
	ADD  $96, R19
	B    walk

leave:
	MOVD $94, R8              // exit_group
	MOVD $125, R0
	SVC
	BRK
