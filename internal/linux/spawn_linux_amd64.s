// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// func clone3(args *cloneArgs, size uintptr, ops, end unsafe.Pointer) int64
//
// The child returns from the same SYSCALL with the parent's registers and the
// parent's stack pointer, and shares the parent's memory: it may write to no
// stack. It keeps all of its state in R12 and R13, which SYSCALL preserves
// (it clobbers only RCX and R11).
TEXT ·clone3(SB), NOSPLIT|NOFRAME, $0-40
	MOVQ args+0(FP), DI
	MOVQ size+8(FP), SI
	MOVQ ops+16(FP), R12
	MOVQ end+24(FP), R13
	MOVQ $435, AX             // clone3
	SYSCALL
	TESTQ AX, AX
	JZ   walk
	MOVQ AX, ret+32(FP)
	RET

walk:
	CMPQ R12, R13
	JCC  leave
	MOVQ 64(R12), AX          // Op.From
	TESTQ AX, AX
	JZ   call
	MOVQ (AX), AX
	MOVQ 72(R12), BX          // Op.To
	MOVQ AX, (BX)

call:
	MOVQ 0(R12), AX
	MOVQ 8(R12), DI
	MOVQ 16(R12), SI
	MOVQ 24(R12), DX
	MOVQ 32(R12), R10
	MOVQ 40(R12), R8
	MOVQ 48(R12), R9
	SYSCALL
	MOVQ AX, 56(R12)          // Op.Ret
	MOVQ 80(R12), BX          // Op.Flags
	TESTQ AX, AX
	JNE  nonzero
	TESTQ $2, BX              // OpZeroEnds
	JNE  leave
	JMP  next

nonzero:
	CMPQ AX, $-4095
	JCS  next
	TESTQ $1, BX              // OpMayFail
	JZ   leave

next:
	ADDQ $96, R12
	JMP  walk

leave:
	MOVQ $231, AX             // exit_group
	MOVQ $125, DI
	SYSCALL
	INT  $3
