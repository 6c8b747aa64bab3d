// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// func int80(nr uintptr) syscall.Errno
// Makes system call nr of the i386 table without arguments, from 64-bit code:
// the kernel takes the table of the entry, not of the process.
TEXT ·int80(SB), NOSPLIT, $0-16
	MOVQ nr+0(FP), AX
	XORL BX, BX
	XORL CX, CX
	XORL DX, DX
	INT  $0x80
	CMPL AX, $0xfffff001
	JCC  failed
	MOVQ $0, ret+8(FP)
	RET
failed:
	NEGL AX
	MOVQ AX, ret+8(FP)
	RET
