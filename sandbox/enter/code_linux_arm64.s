// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

#define SYS_fcntl 25
#define SYS_write 64
#define SYS_exit_group 94
#define SYS_unshare 97
#define SYS_setresuid 147
#define SYS_setresgid 149
#define SYS_setns 268
#define SYS_execveat 281

#define CALL(nr) \
	MOVD $nr, R8; \
	SVC

// See code_linux_amd64.s. R19 is the stack as the kernel gave it, R20 the data.
TEXT ·code(SB), NOSPLIT|NOFRAME, $0-0
	MOVD RSP, R19
	MOVD $0x600000, R20
	MOVD (R20), R0
	MOVD $0x10000000, R1      // CLONE_NEWUSER
	CALL(SYS_setns)
	CBNZ R0, fail
	MOVD $0, R0
	MOVD $0, R1
	MOVD $0, R2
	CALL(SYS_setresgid)
	CBNZ R0, fail
	MOVD $0, R0
	MOVD $0, R1
	MOVD $0, R2
	CALL(SYS_setresuid)
	CBNZ R0, fail
	MOVD $0x20000, R0         // CLONE_NEWNS
	CALL(SYS_unshare)
	CBNZ R0, fail
	MOVD (R20), R0
	MOVD $2, R1               // F_SETFD
	MOVD $1, R2               // FD_CLOEXEC
	CALL(SYS_fcntl)
	MOVD 8(R20), R0
	MOVD $2, R1
	MOVD $1, R2
	CALL(SYS_fcntl)
	SUB  $16, RSP, R9
	MOVD $0, R10
	MOVD R10, (R9)            // the empty path
	MOVD 8(R20), R0
	MOVD R9, R1
	ADD  $8, R19, R2          // argv
	MOVD (R19), R10
	LSL  $3, R10, R10
	ADD  $16, R10, R10
	ADD  R19, R10, R3         // envp
	MOVD $0x1000, R4          // AT_EMPTY_PATH
	CALL(SYS_execveat)

fail:
	MOVD $2, R0
	ADD  $24, R20, R1
	MOVD 16(R20), R2
	CALL(SYS_write)
	MOVD $125, R0             // Failed
	CALL(SYS_exit_group)
	BRK
	WORD $0x7a69767a          // "zviz-end"
	WORD $0x646e652d

// func codeAddr() unsafe.Pointer
TEXT ·codeAddr(SB), NOSPLIT, $0-8
	MOVD $·code(SB), R0
	MOVD R0, ret+0(FP)
	RET
