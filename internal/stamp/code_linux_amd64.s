// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// Prints struct timespec of CLOCK_MONOTONIC and ends.
TEXT ·code(SB), NOSPLIT|NOFRAME, $0-0
	SUBQ $64, SP
	MOVQ $228, AX             // clock_gettime
	MOVQ $1, DI               // CLOCK_MONOTONIC
	MOVQ SP, SI
	SYSCALL
	MOVQ $1, AX               // write
	MOVQ $1, DI
	MOVQ SP, SI
	MOVQ $16, DX
	SYSCALL
	MOVQ $231, AX             // exit_group
	XORQ DI, DI
	SYSCALL
	INT  $3
	BYTE $'z'; BYTE $'v'; BYTE $'i'; BYTE $'z'; BYTE $'-'; BYTE $'e'; BYTE $'n'; BYTE $'d'

// func codeAddr() unsafe.Pointer
TEXT ·codeAddr(SB), NOSPLIT, $0-8
	LEAQ ·code(SB), AX
	MOVQ AX, ret+0(FP)
	RET
